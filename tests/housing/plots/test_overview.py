"""Each figure is labelled with its units, and a notebook keeps it as SVG and as PNG."""

import struct
from base64 import b64decode

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

from housing.data.synthetic import generate_sample
from housing.evaluation import slices
from housing.models.families import FAMILIES
from housing.plots import overview
from housing.schema import FEATURES, HOUSE_VALUE_CAP, TARGET


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def frame():
    return generate_sample(400)


@pytest.fixture
def y_pred(frame):
    noise = np.random.default_rng(0).normal(0, 0.3, len(frame))
    return frame[TARGET].to_numpy() + noise


def tick_labels(axis):
    axis.axes.figure.canvas.draw()
    return [label.get_text() for label in axis.get_ticklabels() if label.get_text()]


def is_in_dollars(axis):
    return all(label.lstrip("−").startswith("$") for label in tick_labels(axis))


def test_histograms_are_labelled_with_feature_and_unit(frame):
    panels = list(overview.plot_histograms(frame).flat)
    assert [panel.get_title() for panel in panels] == list(FEATURES)
    units = [feature.unit for feature in FEATURES.values()]
    assert [panel.get_xlabel() for panel in panels] == units


def test_the_cap_is_a_bar_of_its_own_with_its_count(frame):
    axes = overview.plot_value_cap(frame)
    [annotation] = axes.texts
    assert annotation.get_text().startswith(
        f"{(frame[TARGET] >= HOUSE_VALUE_CAP).sum():,} block groups"
    )
    below, capped = [patch.get_data().values.sum() for patch in axes.patches]
    assert capped == (frame[TARGET] >= HOUSE_VALUE_CAP).sum()
    assert below + capped == len(frame)
    assert is_in_dollars(axes.xaxis)


def test_residuals_show_every_block_group_and_the_capped_ones_separately(frame, y_pred):
    axes = overview.plot_residuals(frame[TARGET], y_pred)
    below, capped = (dots for dots in axes.collections if dots.get_offsets().shape[0] > 1)
    assert len(capped.get_offsets()) == (frame[TARGET] >= HOUSE_VALUE_CAP).sum()
    assert len(below.get_offsets()) + len(capped.get_offsets()) == len(frame)
    assert is_in_dollars(axes.xaxis)
    assert is_in_dollars(axes.yaxis)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["median", "half of all", "80%", "true value at the cap"]


def test_the_median_of_predictions_that_are_all_too_high_is_above_zero(frame):
    axes = overview.plot_residuals(frame[TARGET], frame[TARGET].to_numpy() + 0.5)
    line = axes.get_lines()[0]
    assert line.get_label() == "median"
    assert line.get_ydata() == pytest.approx(50_000)


def test_importance_is_labelled_with_the_meaning_of_the_features():
    columns = {"RMSE lost, $": [70_000.0, 1_000.0], "spread, $": [900.0, 50.0]}
    axes = overview.plot_importance(pd.DataFrame(columns, ["MedInc", "HouseAge"]))
    assert tick_labels(axes.yaxis) == ["median age of the houses", "median household income"]
    assert "$70,000" in [text.get_text() for text in axes.texts]
    assert is_in_dollars(axes.xaxis)


def test_a_trial_far_worse_than_the_others_does_not_stretch_the_axis():
    rmse = [0.50, 0.49, 0.48, 5.0, 0.47]
    [axes] = overview.plot_search_progress(
        {"tree": pd.DataFrame({"rmse": rmse, "first_fold": rmse})}
    )
    low, high = axes.get_ylim()
    assert low < 47_000
    assert 50_000 < high < 60_000
    [outside] = [line for line in axes.get_lines() if line.get_marker() == "^"]
    assert list(outside.get_xdata()) == [4]
    assert axes.get_title() == "decision tree\nbest: $47,000"
    assert is_in_dollars(axes.yaxis)


def test_a_pruned_trial_is_a_cross_at_its_first_fold():
    trials = pd.DataFrame({"rmse": [0.5, np.nan, 0.49], "first_fold": [0.5, 0.495, 0.49]})
    [axes] = overview.plot_search_progress({"tree": trials})
    [cross] = [line for line in axes.get_lines() if line.get_marker() == "x"]
    assert (list(cross.get_xdata()), list(cross.get_ydata())) == ([2], [49_500])


def test_each_of_six_families_has_a_panel():
    trials = pd.DataFrame({"rmse": [0.5], "first_fold": [0.5]})
    panels = overview.plot_search_progress(dict.fromkeys(FAMILIES, trials))
    titles = [panel.get_title().split("\n")[0] for panel in panels]
    assert titles == [family.title for family in FAMILIES.values()]


def test_a_search_of_one_trial_can_be_drawn():
    [axes] = overview.plot_search_progress(
        {"tree": pd.DataFrame({"rmse": [0.5], "first_fold": [0.5]})}
    )
    assert axes.get_ylim()[0] < 50_000 < axes.get_ylim()[1]
    assert {float(tick) for tick in axes.get_xticks() if 0.7 <= tick <= 1.3} == {1}


def test_group_errors_show_typical_error_bias_and_group_size(frame, y_pred):
    table = slices.errors_by_group(frame[TARGET], y_pred, slices.age_band(frame))
    axes = overview.plot_group_errors(table)
    typical, bias = axes.containers
    assert [bar.get_height() for bar in typical] == list(table["typical error, $"])
    assert [bar.get_height() for bar in bias] == list(table["bias, $"])
    assert tick_labels(axes.xaxis)[0] == f"{table.index[0]}\n{table['block groups'].iloc[0]:,.0f}"
    assert is_in_dollars(axes.yaxis)


def test_the_comparison_is_in_dollars():
    row = {"cross-validation RMSE, $": 61_000.0, "test RMSE, $": 60_000.0}
    axes = overview.plot_family_comparison(pd.DataFrame([row], ["tree"]))
    assert tick_labels(axes.yaxis) == ["decision tree"]
    assert {text.get_text() for text in axes.texts} == {"$61,000", "$60,000"}
    assert is_in_dollars(axes.xaxis)


CELLS = [
    "from housing.plots import overview, style\n"
    "from housing.data.synthetic import generate_sample\n"
    "style.use_style()",
    "overview.plot_value_cap(generate_sample(200));",
]


def run_cells(*sources):
    """Run the sources as cells of a notebook; return the outputs of the last one."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3").execute()
    return notebook.cells[-1].outputs


@pytest.mark.slow
def test_a_notebook_keeps_each_figure_as_svg_and_as_png_of_twice_the_size():
    [output] = run_cells(*CELLS)
    assert "<svg" in output.data["image/svg+xml"]
    width, _ = struct.unpack(">II", b64decode(output.data["image/png"])[16:24])
    assert width == pytest.approx(2 * output.metadata["image/png"]["width"], abs=1)
    [repeated] = run_cells(*CELLS)
    assert output.data == repeated.data
