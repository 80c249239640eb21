"""How far to trust a guess, in pictures; the notebooks find them in `plots`."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from housing.data.synthetic import generate_sample
from housing.plots import overview, style
from housing.schema import TARGET


@pytest.fixture(autouse=True)
def _no_figure_stays_open():
    yield
    plt.close("all")


def ticks(axis):
    axis.axes.figure.canvas.draw()
    return [one.get_text() for one in axis.get_ticklabels() if one.get_text()]


def in_dollars(axis):
    return all(one.lstrip("−").startswith("$") for one in ticks(axis))


def test_errors_by_distance_are_those_of_their_band():
    truth = pd.Series(np.ones(100))
    near = truth.to_numpy() + np.tile([0.1, 0.1, 0.1, 0.3], 25)
    km = np.repeat([0.0, 1.5], [60, 40])
    axes = overview.plot_error_by_distance(
        truth, {"near": near, "far": near}, {"near": km, "far": km + 4}
    )
    by = {one.get_label(): one for one in axes.get_lines()}
    assert list(by) == ["RMSE, near", "typical, near", "RMSE, far", "typical, far"]
    assert list(by["RMSE, near"].get_xdata()) == [0, 2]
    assert list(by["RMSE, far"].get_xdata()) == [3, 4]
    assert by["RMSE, near"].get_ydata() == pytest.approx(0.03**0.5 * 1e5)
    assert by["typical, near"].get_ydata() == pytest.approx(10_000)
    assert ticks(axes.xaxis) == ["0", "to 1", "to 2", "to 5", "to 10"]
    assert in_dollars(axes.yaxis)
    assert "km" in axes.get_xlabel()


def test_a_band_of_a_handful_of_block_groups_has_no_point():
    truth, km = pd.Series(np.ones(50)), np.repeat([0.0, 30.0], [45, 5])
    axes = overview.plot_error_by_distance(truth, {"near": truth + 0.1}, {"near": km})
    assert [list(one.get_xdata()) for one in axes.get_lines()] == [[0], [0]]


def curve(spread):
    rmse = [63_000.0, 58_000.0, 53_000.0, 50_000.0]
    index = pd.Index([500, 1_000, 2_000, 4_000], name="training rows")
    return pd.DataFrame({"RMSE, $": rmse, "spread, $": spread}, index)


def test_a_learning_curve_says_what_a_doubling_brings():
    axes = overview.plot_learning_curve(curve(0.0))
    assert list(axes.get_lines()[0].get_ydata()) == [63_000, 58_000, 53_000, 50_000]
    start, end = axes.texts
    assert start.get_text() == "$63,000"
    assert end.get_text() == "$50,000, and $4,000\nless per doubling"
    assert not end.get_parse_math()  # what stands between two dollar signs is no formula
    assert ticks(axes.xaxis) == ["500", "1,000", "2,000", "4,000"]
    assert in_dollars(axes.yaxis)


def test_a_learning_curve_shows_the_spread_over_folds_where_there_is_one():
    assert overview.plot_learning_curve(curve(0.0)).get_legend() is None
    named = overview.plot_learning_curve(curve(500.0)).get_legend().get_texts()
    assert [one.get_text() for one in named] == ["standard deviation over the folds"]


def test_a_group_that_surely_falls_short_is_told_apart_from_one_that_may_not():
    table = pd.DataFrame(
        {
            "block groups": [1_000, 10, 500, 300],
            "inside, %": [90.0, 80.0, 82.0, 97.0],
            "mean width, $": [93_000.0, 20_000.0, 50_400.0, 120_000.0],
        },
        pd.Index(["all", "few", "$1 to $2", "wide"], name="region"),
    )
    axes = overview.plot_coverage(table, target_coverage=0.9)
    *drawn, wanted = axes.get_lines()
    bars, marks = drawn[::2], drawn[1::2]
    assert list(wanted.get_xdata()) == [90, 90]
    assert [one.get_xdata()[0] for one in marks] == [90, 80, 82, 97]
    assert [one.get_color() for one in marks] == ["C0", "C0", style.MISSED_COLOR, "C0"]
    assert bars[2].get_xdata() == pytest.approx([79.0, 84.6], abs=0.1)  # Wilson's, of 410 in 500
    assert ticks(axes.yaxis)[2] == "$1 to $2  (500)"
    [widths] = axes.child_axes
    assert ticks(widths.yaxis) == ["$93k", "$20k", "$50k", "$120k"]
    assert not axes.get_yticklabels()[2].get_parse_math()
    assert "90%" in axes.get_xlabel()


def test_intervals_are_drawn_by_guess_and_those_that_miss_are_counted():
    truth = generate_sample(300)[TARGET]
    guess = truth.to_numpy() + np.random.default_rng(0).normal(0, 0.3, 300)
    axes = overview.plot_intervals(truth, guess, guess - 0.4, guess + 0.4, max_rows=60)
    bars, guesses, inside, outside = axes.get_lines()
    low, high, gap = bars.get_ydata().reshape(60, 3).T
    assert high - low == pytest.approx(80_000)
    assert np.isnan(gap).all()
    middle = (low + high) / 2
    assert (np.diff(middle) >= 0).all()
    assert guesses.get_ydata() == pytest.approx(middle)
    assert len(inside.get_ydata()) + len(outside.get_ydata()) == 60
    assert abs(inside.get_ydata() - middle[inside.get_xdata()]).max() <= 40_000
    assert abs(outside.get_ydata() - middle[outside.get_xdata()]).min() > 40_000
    assert axes.get_title() == f"{len(inside.get_ydata())} of 60 true values lie inside"
    assert in_dollars(axes.yaxis)


def test_intervals_of_fewer_rows_than_asked_for_can_be_drawn():
    truth = pd.Series([1.0, 2.0])
    axes = overview.plot_intervals(
        truth, truth.to_numpy(), truth.to_numpy() - 1, truth.to_numpy() + 1
    )
    assert axes.get_title() == "2 of 2 true values lie inside"
