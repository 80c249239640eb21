import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from housing.plots import contributions


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def row_labels(axes):
    axes.figure.canvas.draw()
    return [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()]


def test_contributions_lead_from_the_base_to_the_prediction():
    names = ["HouseAge", "MedInc", "where it is, $9 and $10"]
    axes = contributions.plot_contributions(
        names, [-3_000.0, 50_000.0, 7_000.0], 200_000.0, 254_000.0
    )
    [bars] = axes.containers
    spans = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]
    assert spans == [(200_000, 250_000), (250_000, 257_000), (257_000, 254_000)]
    assert row_labels(axes) == [
        "an ordinary place",
        "median household income",
        "where it is, $9 and $10",
        "median age of the houses",
        "this prediction",
    ]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["$200,000", "+$50,000", "+$7,000", "−$3,000", "$254,000"]
    assert not any(label.get_parse_math() for label in axes.get_yticklabels())


def test_positive_and_negative_contributions_differ_in_color():
    [bars] = contributions.plot_contributions(
        ["MedInc", "HouseAge"], [9.0, -5.0], 0.0, 4.0
    ).containers
    positive, negative = (bar.get_facecolor() for bar in bars)
    assert positive != negative


def test_every_bar_and_number_lies_inside_the_figure():
    amounts = [-40_000.0, 18_000.0, -7_000.0]
    axes = contributions.plot_contributions(
        ["MedInc", "HouseAge", "AveRooms"], amounts, 207_000.0, 178_000.0
    )
    low, high = axes.get_xlim()
    assert low < 167_000
    axes.figure.canvas.draw()
    box = axes.get_window_extent()
    for text in axes.texts:
        assert text.get_window_extent().x1 <= box.x1
    assert high > 207_000


def test_contributions_that_do_not_add_up_are_an_error():
    with pytest.raises(ValueError, match=r"add up to \$210,000, the prediction is \$250,000"):
        contributions.plot_contributions(["MedInc"], [10_000.0], 200_000.0, 250_000.0)


def test_the_largest_contribution_comes_first_with_its_mean_size():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"HouseAge": rng.normal(0, 100, 3_000), "MedInc": [-500.0, 700.0] * 1_500})
    axes = contributions.plot_contribution_spread(table)
    mean_age_size = f"{table.HouseAge.abs().mean():,.0f}"
    assert row_labels(axes) == [
        "median household income ±$600",
        f"median age of the houses ±${mean_age_size}",
    ]
    first, second = axes.collections
    assert len(first.get_offsets()) == len(second.get_offsets()) == 1_000
    assert set(first.get_offsets()[:, 0]) == {-500, 700}
    assert abs(first.get_offsets()[:, 1]).max() <= 0.3
    low, high = axes.get_xlim()
    assert low < -500 < 700 < high
