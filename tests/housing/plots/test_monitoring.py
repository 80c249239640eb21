"""The figures of the monitoring: what traffic looks like over time, and beside held-out rows."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

from housing.plots import comparisons, maps, monitoring, svg
from housing.schema import FEATURE_NAMES

WEEKS = pd.date_range("2026-09-07", periods=4, freq="7D")
NO_ROWS = pd.DataFrame(columns=["mean", "low", "high", "low so far", "high so far"])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def legend_texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def notes(axes):
    return [text.get_text() for text in axes.texts]


def weekly_means(means, margin):
    means = np.asarray(means, float)
    bands = {"low": means - margin, "high": means + margin}
    so_far = {f"{name} so far": values for name, values in bands.items()}
    return pd.DataFrame({"mean": means, **bands, **so_far}, WEEKS)


def test_the_error_is_drawn_beside_that_of_the_held_out_rows():
    table = weekly_means([23_000, 24_000, np.nan, 47_000], 3_000)
    axes = monitoring.plot_error_over_time(table, 23_354, [WEEKS[3]])
    points, level, change = axes.get_lines()
    assert points.get_ydata()[[0, 3]].tolist() == [23_000, 47_000]
    assert level.get_ydata() == [23_354, 23_354]
    assert change.get_label() == "a change began"
    assert "held out: $23,354" in legend_texts(axes)
    [bars] = [item for item in axes.collections if isinstance(item, LineCollection)]
    assert bars.get_segments()[3][:, 1].tolist() == [44_000, 50_000]


def test_coverage_is_drawn_in_percent():
    axes = monitoring.plot_coverage_over_time(weekly_means([0.9, 0.91, 0.9, 0.6], 0.05), 0.906)
    assert "held out: 90.6%" in legend_texts(axes)
    assert axes.yaxis.get_major_formatter()(0.6, 0) == "60%"


def test_an_estimate_without_true_values_stands_alone():
    table = pd.DataFrame({"all rows": [23_000.0] * 4, "labelled rows": np.nan}, WEEKS)
    axes = monitoring.plot_track_record(table.assign(**{"true error": np.nan}), 23_354)
    assert legend_texts(axes) == ["estimated, all rows", "held out: $23,354"]


def test_evidence_is_drawn_up_to_the_first_alarm():
    table = pd.DataFrame(
        [[0.01, 0.1, 40.0, 1e9], [0.01, 0.02, 0.02, 1e-9]], ["error", "MedInc"], WEEKS
    )
    axes = monitoring.plot_evidence(table)
    error, alarm, income, _ = axes.get_lines()
    assert error.get_ydata().tolist() == [0.01, 0.1, 40.0]
    assert (alarm.get_marker(), alarm.get_ydata().tolist()) == ("D", [40.0])
    assert income.get_ydata().tolist() == [0.01, 0.02, 0.02, monitoring.MIN_EVIDENCE]


def test_refused_rows_stand_on_the_answered_ones():
    requests = pd.DataFrame({"answered": [100, 0, 80, 90], "refused": [0, 0, 5, 1]}, WEEKS)
    latencies = pd.DataFrame({"half of all": [0.8, np.nan, 1.0, 0.8]}, WEEKS)
    upper, lower = monitoring.plot_traffic(requests, latencies)
    answered, refused = upper.containers
    assert [bar.get_height() for bar in refused] == [0, 0, 5, 1]
    assert [bar.get_y() for bar in refused] == [bar.get_height() for bar in answered]
    assert lower.get_ylim() == pytest.approx((0.1, 10))


def test_a_distribution_is_drawn_over_that_of_the_held_out_rows():
    flat = pd.DataFrame(np.ones((2, 20)), ["prediction", "MedInc"])
    now = flat.copy()
    now.loc["MedInc", 19] = 5.0
    ticks = pd.DataFrame([["$80k", "$360k"], ["1.9", "6.1"]], flat.index, [0.1, 0.9])
    panels = comparisons.plot_distributions(now, flat, ticks)
    assert [panel.get_title("left") or panel.get_title() for panel in panels] == [
        "prediction",
        "MedInc",
    ]
    held_out, rows = panels[1].patches
    assert held_out.get_data().values[-1] == 1
    assert rows.get_data().values[-1] == 5
    assert [panel.get_ylim()[1] for panel in panels] == [2.0, 5.5]
    assert [label.get_text() for label in panels[0].get_xticklabels()] == ["$80k", "$360k"]


def test_a_group_with_an_alarm_stands_out():
    table = pd.DataFrame(
        {
            "rows": [100, 2_000],
            "shrunk": [-1_000.0, -40_000.0],
            "low": [-5_000.0, -44_000.0],
            "high": [3_000.0, -36_000.0],
            "held out": [500.0, 800.0],
            "alarm": [False, True],
        },
        pd.MultiIndex.from_tuples([("region", "San Diego"), ("income", "above $80k")]),
    )
    axes = comparisons.plot_segments(table, "mean error", "Errors by group")
    alike, unlike = axes.get_lines()[:2]
    assert alike.get_xdata().tolist() == [-1_000]
    assert unlike.get_xdata().tolist() == [-40_000]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["San Diego  (100)", "above $80k  (2,000)"]


def test_requests_far_from_the_training_rows_have_a_color_of_their_own():
    places = np.array([[34.0, -118.2], [37.8, -122.3], [38.6, -121.4], [32.8, -117.1]])
    cells = pd.DataFrame(
        {
            "latitude": [34.1, 41.6],
            "longitude": [-118.1, -120.1],
            "rows": [900, 10],
            "is_far": [False, True],
        }
    )
    axes = maps.plot_request_map(cells, places)
    texts = ["training rows", "requests", "requests far from any of them"]
    assert legend_texts(axes) == texts
    assert legend_texts(maps.plot_request_map(cells[:1], places)) == texts[:2]
    assert legend_texts(maps.plot_request_map(cells[:0], places)) == texts[:1]


def test_without_rows_each_figure_says_so():
    empty = pd.DataFrame()
    no_means = pd.DataFrame({"all rows": [np.nan]}, WEEKS[:1])
    no_rows = pd.DataFrame({"answered": [0], "refused": [0]}, WEEKS[:1])
    drawn = [
        monitoring.plot_error_over_time(NO_ROWS, 1),
        monitoring.plot_coverage_over_time(NO_ROWS, 0.9),
        comparisons.plot_segments(empty, "", ""),
        monitoring.plot_track_record(no_means, 1),
        monitoring.plot_evidence(empty),
        *monitoring.plot_traffic(no_rows, empty),
        *comparisons.plot_distributions(empty, empty, empty),
    ]
    assert [notes(axes) for axes in drawn[:3]] == [["no true values yet"]] * 3
    assert [notes(axes) for axes in drawn[3:]] == [["no traffic yet"]] * 4


def test_a_figure_is_small_whatever_it_stands_for():
    names = [*FEATURE_NAMES, "prediction"]
    flat = pd.DataFrame(np.random.default_rng(0).random((len(names), 20)), names)
    ticks = pd.DataFrame([["1", "2"]] * len(names), names, [0.1, 0.9])
    panels = comparisons.plot_distributions(flat, flat, ticks)
    assert len(svg.render(panels[0].figure)) < 60_000
