"""Maps of California, drawn from the block groups alone: no outline, no tiles, no download.

Each function takes data, labels itself with units, and returns its Axes.
"""

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.lines import Line2D

from housing.geography import describe_locations
from housing.plots.base_map import LAND_COLOR, TEXT_COLOR, draw_base_map
from housing.plots.interactive import InteractiveFigure, build_interactive_figure
from housing.plots.style import CAPPED_COLOR, dollar_formatter, format_dollars
from housing.schema import TARGET, USD_PER_UNIT

MIN_DISC_SIZE, MAX_DISC_SIZE = 6.0, 220.0  # points squared, of a cell's disc
TRAINING_COLOR = "#c9b88a"
VALUE_COLORS = ["#fbc98c", "#f28a63", "#d6456c", "#962c80", "#511c6f", "#1c0f33"]
ERROR_COLORS = ["#053061", "#2f79b5", "#92c5de", "#cfc4a8", "#f4a582", "#c43c3c", "#67001f"]


def plot_value_map(frame: pd.DataFrame) -> Axes:
    """Draw a dot a block group, colored by its house value in dollars."""
    axes = draw_base_map(frame)
    edges = np.arange(6) * USD_PER_UNIT
    shuffled = frame.sample(frac=1, random_state=0)  # else counties would hide their neighbors
    dots = _draw_dots(
        axes, shuffled, shuffled[TARGET] * USD_PER_UNIT, VALUE_COLORS, edges, size=2.4, extend="max"
    )
    _add_colorbar(axes, dots, edges[[0, 1, 3, 5]], "median house value (arrow: cap)")
    axes.set_title("House values are high along the coast")
    return axes


def plot_error_map(
    frame: pd.DataFrame, error: pd.Series, all_block_groups: pd.DataFrame | None = None
) -> Axes:
    """Draw a dot a block group, colored by its error in dollars.

    error: (n,) prediction minus true value, in dollars; the largest ones are drawn on top.
    all_block_groups: the block groups from which the land is drawn; by default those of the frame.
    """
    axes = draw_base_map(frame if all_block_groups is None else all_block_groups)
    edges = np.array([-150, -75, -25, 25, 75, 150]) * 1000
    order = np.argsort(np.abs(error.to_numpy()), kind="stable")
    dots = _draw_dots(
        axes, frame.iloc[order], error.iloc[order], ERROR_COLORS, edges, size=7, extend="both"
    )
    bar = _add_colorbar(axes, dots, edges[[0, 2, 3, 5]], "prediction minus true value")
    for side, x, text in (("left", 0, "◂ too low"), ("right", 1, "too high ▸")):
        bar.text(
            x, -2.3, text, transform=bar.transAxes, ha=side, va="top", size=9, color=TEXT_COLOR
        )
    axes.set_title("Where the predictions are off")
    return axes


def plot_request_map(cells: pd.DataFrame, training_places: np.ndarray) -> Axes:
    """Draw where requests come from, over the places of the training rows.

    cells: latitude and longitude (of the middle of a cell), rows, and is_far: whether the cell is
    far from all training rows. training_places: (n, 2), degrees north and east. The area of a disc
    is proportional to the rows of its cell, up to those of the fullest.
    """
    land = pd.DataFrame(training_places, columns=["Latitude", "Longitude"])
    axes = draw_base_map(land)
    axes.scatter(
        land.Longitude,
        land.Latitude,
        s=1.6,
        color=TRAINING_COLOR,
        linewidths=0,
        rasterized=True,
        antialiased=False,
    )
    sizes = MIN_DISC_SIZE + MAX_DISC_SIZE * cells.rows / max(cells.rows.max(), 1)
    labels = {TRAINING_COLOR: "training rows"}
    for in_group, color, label in (
        (~cells.is_far, VALUE_COLORS[3], "requests"),
        (cells.is_far, CAPPED_COLOR, "requests far from any of them"),
    ):
        places = cells.longitude[in_group], cells.latitude[in_group]
        if in_group.any():
            labels[color] = label
            axes.scatter(*places, sizes[in_group], color, alpha=0.6, linewidths=0, zorder=3)
    handles = [Line2D([], [], marker="o", linestyle="", color=color) for color in labels]
    axes.legend(
        handles,
        labels.values(),
        loc="upper right",
        fontsize=9,
        facecolor=LAND_COLOR,
        labelcolor=TEXT_COLOR,
        frameon=True,
    )
    axes.set_title("Where requests come from")
    return axes


def interactive_error_map(axes: Axes, frame: pd.DataFrame, y_pred: np.ndarray) -> InteractiveFigure:
    """Make an error map interactive: a dot shows its place, prediction, true value and error.

    axes: what `plot_error_map` drew of the frame; y_pred: (n,) in $100,000. Amounts are rounded to
    hundreds of dollars.
    """
    error = y_pred - frame[TARGET]
    order = np.argsort(-error.abs(), kind="stable")  # of dots at one place the top one comes first
    tooltip_texts = pd.DataFrame(
        {
            "": describe_locations(frame),
            "prediction": _hundreds_texts(pd.Series(y_pred, frame.index)),
            "true value": _hundreds_texts(frame[TARGET]),
            "error": _hundreds_texts(error, plus_sign="+"),
            "income": _hundreds_texts(frame.MedInc / 10) + " a year",
            "people": frame.Population.map("{:,.0f}".format),
        }
    ).iloc[order]
    alt_text = (
        f"Map of California: {len(frame):,} block groups as dots, colored by how many dollars "
        "the prediction is above the true value (red) or below it (blue)"
    )
    longitude, latitude = frame.Longitude.iloc[order], frame.Latitude.iloc[order]
    return build_interactive_figure(axes, longitude, latitude, tooltip_texts, alt_text)


def _hundreds_texts(values: pd.Series, plus_sign: str = "") -> pd.Series:
    """Return values in $100,000 as texts in dollars, rounded to hundreds."""
    return (values * USD_PER_UNIT).round(-2).map(lambda usd: format_dollars(usd, plus_sign))


def _draw_dots(
    axes: Axes,
    frame: pd.DataFrame,
    values: pd.Series,
    colors: list[str],
    edges: np.ndarray,
    size: float,
    extend: Literal["max", "both"],
) -> PathCollection:
    return axes.scatter(
        frame.Longitude,
        frame.Latitude,
        c=values,
        s=size,
        cmap=ListedColormap(colors),
        norm=BoundaryNorm(edges, len(colors), extend=extend),
        linewidths=0,
        rasterized=True,
        antialiased=False,
    )


def _add_colorbar(axes: Axes, dots: PathCollection, ticks: np.ndarray, title: str) -> Axes:
    """Draw the colorbar into the sea, where there are no dots; return its Axes."""
    bar = axes.inset_axes((0.05, 0.1, 0.4, 0.022))
    colorbar = axes.figure.colorbar(
        dots, cax=bar, orientation="horizontal", format=dollar_formatter(), ticks=ticks
    )
    colorbar.outline.set_visible(False)
    bar.set_title(title, fontsize=9.5, color=TEXT_COLOR, weight="normal", pad=5)
    bar.tick_params(labelsize=8.5, length=0, labelcolor=TEXT_COLOR)
    return bar
