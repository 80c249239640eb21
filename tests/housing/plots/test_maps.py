import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb

from housing.data.synthetic import generate_sample
from housing.plots import maps
from housing.schema import TARGET
from tests.support.interactive_payload import read_payload


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def frame():
    return generate_sample(3_000)


def dots_of(axes):
    [dots] = [item for item in axes.collections if isinstance(item, PathCollection)]
    return dots


def dot_color(axes, index):
    """Return the color of the dot with this index."""
    dots = dots_of(axes)
    axes.figure.canvas.draw()
    return tuple(dots.get_facecolors()[index][:3])


def colorbar(axes):
    [bar] = axes.child_axes
    axes.figure.canvas.draw()
    return bar, [label.get_text() for label in bar.get_xticklabels()]


def test_the_value_map_has_every_block_group_and_a_colorbar_in_dollars(frame):
    axes = maps.plot_value_map(frame)
    assert len(dots_of(axes).get_offsets()) == len(frame)
    bar, ticks = colorbar(axes)
    assert ticks == ["$0", "$100k", "$300k", "$500k"]
    assert "house value" in bar.get_title()
    assert [label.get_text()[-1] for label in axes.get_xticklabels()] == ["W"] * 6
    assert {"San Francisco", "Los Angeles"} <= {text.get_text() for text in axes.texts}


@pytest.mark.parametrize(
    ("error", "color_index"), [(0, 3), (20_000, 3), (-30_000, 2), (100_000, 5), (-1e6, 0), (1e6, 6)]
)
def test_an_error_has_the_color_of_its_range_in_the_colorbar(frame, error, color_index):
    axes = maps.plot_error_map(
        frame.head(1), pd.Series([float(error)], [0]), all_block_groups=frame
    )
    assert dot_color(axes, 0) == pytest.approx(to_rgb(maps.ERROR_COLORS[color_index]), abs=0.01)
    bar, ticks = colorbar(axes)
    assert ticks == ["−$150k", "−$25k", "$25k", "$150k"]
    low_text, high_text = [text.get_text() for text in bar.texts]
    assert "low" in low_text
    assert "high" in high_text


def test_the_largest_error_is_drawn_last(frame):
    error = pd.Series(np.random.default_rng(0).normal(0, 50_000, len(frame)), frame.index)
    worst = error.abs().idxmax()
    last = dots_of(maps.plot_error_map(frame, error)).get_offsets()[-1]
    assert list(last) == list(frame.loc[worst, ["Longitude", "Latitude"]])


def test_inhabited_places_are_land_and_the_ocean_is_sea(frame):
    axes = maps.plot_value_map(frame)
    [sea] = axes.patches
    places = {"sea": (-123.5, 35.0), "Fresno": (-119.8, 36.7), "Nevada": (-116.0, 40.0)}
    assert {name: sea.get_path().contains_point(point) for name, point in places.items()} == {
        "sea": True,
        "Fresno": False,
        "Nevada": False,
    }
    dots = dots_of(axes).get_offsets()
    on_land = [not sea.get_path().contains_point(dot) for dot in dots]
    assert np.mean(on_land) > 0.99


def test_a_map_of_few_block_groups_can_be_drawn():
    assert len(dots_of(maps.plot_value_map(generate_sample(5))).get_offsets()) == 5


def test_the_tooltips_have_prediction_true_value_and_error(frame):
    errors_usd = np.tile([-12_300, 0, 51_200], 1_000)
    errors_usd[7] = 80_000
    y_pred = frame[TARGET].to_numpy() + errors_usd / 100_000
    axes = maps.plot_error_map(frame, (y_pred - frame[TARGET]) * 100_000)
    html = maps.interactive_error_map(axes, frame, y_pred).html
    tooltips = pd.DataFrame(read_payload(html)["texts"])
    assert list(tooltips)[1:] == ["prediction", "true value", "error", "income", "people"]
    assert set(tooltips.error) == {"−$12,300", "$0", "+$51,200", "+$80,000"}
    first, row = tooltips.iloc[0], 7  # the largest error is on top
    assert first["prediction"] == f"${round(y_pred[row] * 1_000) * 100:,}"
    assert first["true value"] == f"${round(frame[TARGET].iloc[row] * 1_000) * 100:,}"
    assert first["income"] == f"${round(frame.MedInc.iloc[row] * 100) * 100:,} a year"
    assert first["people"] == f"{frame.Population.iloc[row]:,.0f}"
    assert "Map of California: 3,000 block groups" in html
    assert plt.get_fignums() == []  # else the cell would show the map twice
