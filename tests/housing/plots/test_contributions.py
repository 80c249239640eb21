import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from housing.plots import overview


@pytest.fixture(autouse=True)
def _no_figure_stays_open():
    yield
    plt.close("all")


def labels(axes):
    axes.figure.canvas.draw()
    return [one.get_text().replace("\n", " ") for one in axes.get_yticklabels()]


def test_contributions_lead_from_an_ordinary_guess_to_this_one():
    names = ["HouseAge", "MedInc", "where it is, $9 and $10"]
    axes = overview.plot_contributions(names, [-3_000.0, 50_000.0, 7_000.0], 200_000.0, 254_000.0)
    [bars] = axes.containers
    spans = [(one.get_x(), one.get_x() + one.get_width()) for one in bars]
    assert spans == [(200_000, 250_000), (250_000, 257_000), (257_000, 254_000)]
    assert labels(axes) == [
        "an ordinary place", "median household income", "where it is, $9 and $10",
        "median age of the houses", "this guess",
    ]  # fmt: skip
    said = [one.get_text() for one in axes.texts]
    assert said == ["$200,000", "+$50,000", "+$7,000", "−$3,000", "$254,000"]
    assert not any(one.get_parse_math() for one in axes.get_yticklabels())


def test_what_raises_and_what_lowers_differ_in_colour():
    [bars] = overview.plot_contributions(["MedInc", "HouseAge"], [9.0, -5.0], 0.0, 4.0).containers
    up, down = (one.get_facecolor() for one in bars)
    assert up != down


def test_every_bar_and_number_lies_inside_the_picture():
    each = [-40_000.0, 18_000.0, -7_000.0]
    axes = overview.plot_contributions(
        ["MedInc", "HouseAge", "AveRooms"], each, 207_000.0, 178_000.0
    )
    low, high = axes.get_xlim()
    assert low < 167_000
    axes.figure.canvas.draw()
    box = axes.get_window_extent()
    for said in axes.texts:
        assert said.get_window_extent().x1 <= box.x1
    assert high > 207_000


def test_contributions_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match=r"add up to \$210,000, the prediction is \$250,000"):
        overview.plot_contributions(["MedInc"], [10_000.0], 200_000.0, 250_000.0)


def test_the_weightiest_feature_comes_first_with_its_mean_size():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"HouseAge": rng.normal(0, 100, 3_000), "MedInc": [-500.0, 700.0] * 1_500})
    axes = overview.plot_contribution_spread(table)
    age = f"{table.HouseAge.abs().mean():,.0f}"
    assert labels(axes) == ["median household income ±$600", f"median age of the houses ±${age}"]
    first, second = axes.collections
    assert len(first.get_offsets()) == len(second.get_offsets()) == 1_000
    assert set(first.get_offsets()[:, 0]) == {-500, 700}
    assert abs(first.get_offsets()[:, 1]).max() <= 0.3
    low, high = axes.get_xlim()
    assert low < -500 < 700 < high
