"""The figures of trust in predictions."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from housing.data.synthetic import generate_sample
from housing.plots import style, uncertainty
from housing.schema import TARGET


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def tick_labels(axis):
    axis.axes.figure.canvas.draw()
    return [label.get_text() for label in axis.get_ticklabels() if label.get_text()]


def is_in_dollars(axis):
    return all(label.lstrip("−").startswith("$") for label in tick_labels(axis))


def test_errors_by_distance_are_grouped_by_band():
    y_true = pd.Series(np.ones(100))
    y_pred = y_true.to_numpy() + np.tile([0.1, 0.1, 0.1, 0.3], 25)
    distance_km = np.repeat([0.0, 1.5], [60, 40])
    axes = uncertainty.plot_error_by_distance(
        y_true,
        {"near": y_pred, "far": y_pred},
        {"near": distance_km, "far": distance_km + 4},
    )
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines) == ["RMSE, near", "typical, near", "RMSE, far", "typical, far"]
    assert list(lines["RMSE, near"].get_xdata()) == [0, 2]
    assert list(lines["RMSE, far"].get_xdata()) == [3, 4]
    assert lines["RMSE, near"].get_ydata() == pytest.approx(0.03**0.5 * 1e5)
    assert lines["typical, near"].get_ydata() == pytest.approx(10_000)
    assert tick_labels(axes.xaxis) == ["0", "to 1", "to 2", "to 5", "to 10"]
    assert is_in_dollars(axes.yaxis)
    assert "km" in axes.get_xlabel()


def test_a_band_of_few_block_groups_has_no_point():
    y_true, distance_km = pd.Series(np.ones(50)), np.repeat([0.0, 30.0], [45, 5])
    axes = uncertainty.plot_error_by_distance(y_true, {"near": y_true + 0.1}, {"near": distance_km})
    assert [list(line.get_xdata()) for line in axes.get_lines()] == [[0], [0]]


def learning_curve(spread):
    rmse = [63_000.0, 58_000.0, 53_000.0, 50_000.0]
    index = pd.Index([500, 1_000, 2_000, 4_000], name="training rows")
    return pd.DataFrame({"RMSE, $": rmse, "spread, $": spread}, index)


def test_a_learning_curve_is_labelled_with_the_gain_of_a_doubling():
    axes = uncertainty.plot_learning_curve(learning_curve(0.0))
    assert list(axes.get_lines()[0].get_ydata()) == [63_000, 58_000, 53_000, 50_000]
    start, end = axes.texts
    assert start.get_text() == "$63,000"
    assert end.get_text() == "$50,000, and $4,000\nless per doubling"
    assert not end.get_parse_math()  # text between two dollar signs is no formula
    assert tick_labels(axes.xaxis) == ["500", "1,000", "2,000", "4,000"]
    assert is_in_dollars(axes.yaxis)


def test_a_learning_curve_shows_the_spread_over_folds_if_it_has_one():
    assert uncertainty.plot_learning_curve(learning_curve(0.0)).get_legend() is None
    legend_texts = uncertainty.plot_learning_curve(learning_curve(500.0)).get_legend().get_texts()
    assert [text.get_text() for text in legend_texts] == ["standard deviation over the folds"]


def test_a_group_that_clearly_misses_the_coverage_has_another_color():
    table = pd.DataFrame(
        {
            "block groups": [1_000, 10, 500, 300],
            "inside, %": [90.0, 80.0, 82.0, 97.0],
            "mean width, $": [93_000.0, 20_000.0, 50_400.0, 120_000.0],
        },
        pd.Index(["all", "small", "$1 to $2", "wide"], name="region"),
    )
    axes = uncertainty.plot_coverage(table, target_coverage=0.9)
    *group_lines, target_line = axes.get_lines()
    bars, markers = group_lines[::2], group_lines[1::2]
    assert list(target_line.get_xdata()) == [90, 90]
    assert [marker.get_xdata()[0] for marker in markers] == [90, 80, 82, 97]
    assert [marker.get_color() for marker in markers] == ["C0", "C0", style.MISSED_COLOR, "C0"]
    assert bars[2].get_xdata() == pytest.approx([79.0, 84.6], abs=0.1)  # Wilson's, of 410 in 500
    assert tick_labels(axes.yaxis)[2] == "$1 to $2  (500)"
    [widths] = axes.child_axes
    assert tick_labels(widths.yaxis) == ["$93k", "$20k", "$50k", "$120k"]
    assert not axes.get_yticklabels()[2].get_parse_math()
    assert "90%" in axes.get_xlabel()


def test_intervals_are_ordered_by_prediction_and_misses_are_counted():
    y_true = generate_sample(300)[TARGET]
    y_pred = y_true.to_numpy() + np.random.default_rng(0).normal(0, 0.3, 300)
    axes = uncertainty.plot_intervals(y_true, y_pred, y_pred - 0.4, y_pred + 0.4, max_rows=60)
    predictions, inside, outside = axes.get_lines()
    low, high = np.array(axes.collections[0].get_segments())[:, :, 1].T
    assert len(low) == 60
    assert high - low == pytest.approx(80_000)
    center = (low + high) / 2
    assert (np.diff(center) >= 0).all()
    assert predictions.get_ydata() == pytest.approx(center)
    assert len(inside.get_ydata()) + len(outside.get_ydata()) == 60
    assert abs(inside.get_ydata() - center[inside.get_xdata()]).max() <= 40_000
    assert abs(outside.get_ydata() - center[outside.get_xdata()]).min() > 40_000
    assert axes.get_title() == f"{len(inside.get_ydata())} of 60 true values lie inside"
    assert is_in_dollars(axes.yaxis)


def test_intervals_of_fewer_rows_than_the_maximum_can_be_drawn():
    y_true = pd.Series([1.0, 2.0])
    y_pred = y_true.to_numpy()
    axes = uncertainty.plot_intervals(y_true, y_pred, y_pred - 1, y_pred + 1)
    assert axes.get_title() == "2 of 2 true values lie inside"
