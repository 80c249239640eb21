"""Each picture says what it shows, in which unit; and a notebook keeps it as SVG and as PNG."""

import struct
from base64 import b64decode

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

from housing.data.synthetic import generate_sample
from housing.evaluation import metrics
from housing.models.families import FAMILIES
from housing.plots import overview
from housing.schema import FEATURES, HOUSE_VALUE_CAP, TARGET


@pytest.fixture(autouse=True)
def _no_figure_stays_open():
    yield
    plt.close("all")


@pytest.fixture
def frame():
    return generate_sample(400)


@pytest.fixture
def guess(frame):
    noise = np.random.default_rng(0).normal(0, 0.3, len(frame))
    return frame[TARGET].to_numpy() + noise


def ticks(axis):
    axis.axes.figure.canvas.draw()
    return [one.get_text() for one in axis.get_ticklabels() if one.get_text()]


def in_dollars(axis):
    return all(one.lstrip("−").startswith("$") for one in ticks(axis))


def test_histograms_name_each_feature_and_its_unit(frame):
    axes = list(overview.plot_histograms(frame).flat)
    assert [one.get_title() for one in axes] == list(FEATURES)
    assert [one.get_xlabel() for one in axes] == [one.unit for one in FEATURES.values()]


def test_the_cap_is_a_bar_of_its_own_with_its_count(frame):
    axes = overview.plot_value_cap(frame)
    [said] = [one.get_text() for one in axes.texts]
    assert said.startswith(f"{(frame[TARGET] >= HOUSE_VALUE_CAP).sum():,} block groups")
    below, capped = [one.get_data().values.sum() for one in axes.patches]
    assert capped == (frame[TARGET] >= HOUSE_VALUE_CAP).sum()
    assert below + capped == len(frame)
    assert in_dollars(axes.xaxis)


def test_residuals_show_every_block_group_and_the_capped_ones_apart(frame, guess):
    axes = overview.plot_residuals(frame[TARGET], guess)
    others, capped = (one for one in axes.collections if one.get_offsets().shape[0] > 1)
    assert len(capped.get_offsets()) == (frame[TARGET] >= HOUSE_VALUE_CAP).sum()
    assert len(others.get_offsets()) + len(capped.get_offsets()) == len(frame)
    assert in_dollars(axes.xaxis)
    assert in_dollars(axes.yaxis)
    named = [one.get_text() for one in axes.get_legend().get_texts()]
    assert named == ["median", "half of all", "80%", "true value at the cap"]


def test_the_median_of_guesses_that_are_all_too_high_lies_above_zero(frame):
    axes = overview.plot_residuals(frame[TARGET], frame[TARGET].to_numpy() + 0.5)
    line = axes.get_lines()[0]
    assert line.get_label() == "median"
    assert line.get_ydata() == pytest.approx(50_000)


def test_importance_says_what_the_features_mean():
    lost = {"RMSE lost, $": [70_000.0, 1_000.0], "spread, $": [900.0, 50.0]}
    axes = overview.plot_importance(pd.DataFrame(lost, ["MedInc", "HouseAge"]))
    assert ticks(axes.yaxis) == ["median age of the houses", "median household income"]
    assert "$70,000" in [one.get_text() for one in axes.texts]
    assert in_dollars(axes.xaxis)


def test_a_trial_far_worse_than_the_others_does_not_flatten_the_picture():
    rmse = [0.50, 0.49, 0.48, 5.0, 0.47]
    [axes] = overview.plot_search_progress(
        {"tree": pd.DataFrame({"rmse": rmse, "first_fold": rmse})}
    )
    low, high = axes.get_ylim()
    assert low < 47_000
    assert 50_000 < high < 60_000
    [outside] = [one for one in axes.get_lines() if one.get_marker() == "^"]
    assert list(outside.get_xdata()) == [4]
    assert axes.get_title() == "decision tree\nbest: $47,000"
    assert in_dollars(axes.yaxis)


def test_a_trial_given_up_is_a_cross_where_its_first_fold_was():
    trials = pd.DataFrame({"rmse": [0.5, np.nan, 0.49], "first_fold": [0.5, 0.495, 0.49]})
    [axes] = overview.plot_search_progress({"tree": trials})
    [cross] = [one for one in axes.get_lines() if one.get_marker() == "x"]
    assert (list(cross.get_xdata()), list(cross.get_ydata())) == ([2], [49_500])


def test_six_families_stand_in_two_rows_with_a_panel_each():
    trials = pd.DataFrame({"rmse": [0.5], "first_fold": [0.5]})
    panels = overview.plot_search_progress(dict.fromkeys(FAMILIES, trials))
    titles = [one.get_title().split("\n")[0] for one in panels]
    assert titles == [one.title for one in FAMILIES.values()]


def test_a_search_of_one_trial_can_be_drawn():
    [axes] = overview.plot_search_progress(
        {"tree": pd.DataFrame({"rmse": [0.5], "first_fold": [0.5]})}
    )
    assert axes.get_ylim()[0] < 50_000 < axes.get_ylim()[1]
    assert {float(one) for one in axes.get_xticks() if 0.7 <= one <= 1.3} == {1}


def test_groups_show_typical_error_bias_and_their_size(frame, guess):
    table = metrics.errors_by_group(frame[TARGET], guess, metrics.age_band(frame))
    axes = overview.plot_group_errors(table)
    typical, bias = axes.containers
    assert [one.get_height() for one in typical] == list(table["typical error, $"])
    assert [one.get_height() for one in bias] == list(table["bias, $"])
    assert ticks(axes.xaxis)[0] == f"{table.index[0]}\n{table['block groups'].iloc[0]:,.0f}"
    assert in_dollars(axes.yaxis)


def test_the_comparison_is_in_dollars():
    row = {"cross-validation RMSE, $": 61_000.0, "test RMSE, $": 60_000.0}
    axes = overview.plot_family_comparison(pd.DataFrame([row], ["tree"]))
    assert ticks(axes.yaxis) == ["decision tree"]
    assert {one.get_text() for one in axes.texts} == {"$61,000", "$60,000"}
    assert in_dollars(axes.xaxis)


CELLS = [
    "from housing.plots import overview\nfrom housing.data.synthetic import generate_sample\noverview.use_style()",
    "overview.plot_value_cap(generate_sample(200));",
]


def outputs(*sources):
    cells = [nbformat.v4.new_code_cell(one) for one in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3").execute()
    return notebook.cells[-1].outputs


def test_a_notebook_keeps_each_figure_as_svg_and_as_png_of_twice_the_size():
    [shown] = outputs(*CELLS)
    assert "<svg" in shown.data["image/svg+xml"]
    width, _ = struct.unpack(">II", b64decode(shown.data["image/png"])[16:24])
    assert width == pytest.approx(2 * shown.metadata["image/png"]["width"], abs=1)
    [again] = outputs(*CELLS)
    assert shown.data == again.data
