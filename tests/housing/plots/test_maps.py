import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb

from housing.data.synthetic import generate_sample
from housing.plots import maps
from housing.schema import TARGET


@pytest.fixture(autouse=True)
def _no_figure_stays_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def frame():
    return generate_sample(3_000)


def dots(axes):
    [found] = [one for one in axes.collections if isinstance(one, PathCollection)]
    return found


def color_of(axes, where):
    """What the one dot at the index `where` of the map is drawn in."""
    drawn = dots(axes)
    axes.figure.canvas.draw()
    return tuple(drawn.get_facecolors()[where][:3])


def legend(axes):
    [bar] = axes.child_axes
    axes.figure.canvas.draw()
    return bar, [one.get_text() for one in bar.get_xticklabels()]


def test_the_value_map_has_every_block_group_and_dollars_in_its_legend(frame):
    axes = maps.plot_value_map(frame)
    assert len(dots(axes).get_offsets()) == len(frame)
    bar, ticks = legend(axes)
    assert ticks == ["$0", "$100k", "$300k", "$500k"]
    assert "house value" in bar.get_title()
    assert [one.get_text()[-1] for one in axes.get_xticklabels()] == ["W"] * 6
    assert {"San Francisco", "Los Angeles"} <= {one.get_text() for one in axes.texts}


@pytest.mark.parametrize(
    ("error", "color"), [(0, 3), (20_000, 3), (-30_000, 2), (100_000, 5), (-1e6, 0), (1e6, 6)]
)
def test_an_error_has_the_colour_that_the_legend_gives_it(frame, error, color):
    axes = maps.plot_error_map(
        frame.head(1), pd.Series([float(error)], [0]), all_block_groups=frame
    )
    assert color_of(axes, 0) == pytest.approx(to_rgb(maps.ERROR_COLORS[color]), abs=0.01)
    bar, ticks = legend(axes)
    assert ticks == ["−$150k", "−$25k", "$25k", "$150k"]
    words = [one.get_text() for one in bar.texts]
    assert ["low" in words[0], "high" in words[1]] == [True, True]


def test_the_largest_errors_lie_on_top(frame):
    error = pd.Series(np.random.default_rng(0).normal(0, 50_000, len(frame)), frame.index)
    worst = error.abs().idxmax()
    last = dots(maps.plot_error_map(frame, error)).get_offsets()[-1]
    assert list(last) == list(frame.loc[worst, ["Longitude", "Latitude"]])


def test_land_is_where_people_live_and_sea_where_nobody_does(frame):
    axes = maps.plot_value_map(frame)
    [sea] = axes.patches
    at = {"sea": (-123.5, 35.0), "Fresno": (-119.8, 36.7), "Nevada": (-116.0, 40.0)}
    assert {name: sea.get_path().contains_point(place) for name, place in at.items()} == {
        "sea": True, "Fresno": False, "Nevada": False,
    }  # fmt: skip
    on_land = [not sea.get_path().contains_point(one) for one in dots(axes).get_offsets()]
    assert np.mean(on_land) > 0.99


def test_a_map_of_a_handful_of_block_groups_can_be_drawn():
    assert len(dots(maps.plot_value_map(generate_sample(5))).get_offsets()) == 5


def test_looking_around_tells_guess_truth_and_error(frame):
    guess = frame[TARGET].to_numpy() + 0.123
    axes = maps.plot_error_map(frame, (guess - frame[TARGET]) * 100_000)
    html = maps.interactive_error_map(axes, frame, guess).html
    for said in ("guess", "true value", "error", "income", "people"):
        assert f'"label":"{said}"' in html
    assert "Map of California: 3,000 block groups" in html
    assert plt.get_fignums() == []  # else the cell would show the map twice
