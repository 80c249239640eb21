"""Maps of California, drawn from the block groups alone: no outline, no tiles, nothing to fetch.

Each function takes data, labels itself with units, and returns its Axes.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from sklearn.neighbors import KDTree

from housing.geography import TOWNS, describe_locations
from housing.plots.interactive import InteractiveFigure, build_interactive_figure
from housing.plots.style import dollar_formatter
from housing.schema import TARGET, USD_PER_UNIT

MIN_LONGITUDE, MAX_LONGITUDE, MIN_LATITUDE, MAX_LATITUDE = (
    -125.0,
    -113.7,
    32.2,
    42.3,
)  # the panel, in degrees
GRID_STEP_DEGREES = 0.05  # degrees between the places that are asked whether they are land
MAP_LONGITUDE_SCALE = np.cos(np.radians(37))  # of a degree of longitude against one of latitude
# colours of their own, no neutral greys: a report that turns greys for a dark page leaves the map
SEA_COLOR, OUTSIDE_COLOR, LAND_COLOR, TEXT_COLOR = "#c8dff0", "#eadfc4", "#fdf6e3", "#17324f"
VALUE_COLORS = ["#fbc98c", "#f28a63", "#d6456c", "#962c80", "#511c6f", "#1c0f33"]
ERROR_COLORS = ["#053061", "#2f79b5", "#92c5de", "#cfc4a8", "#f4a582", "#c43c3c", "#67001f"]
CITY_LABEL_SIDES = {  # the names on the map, and on which side of its mark each stands
    "San Francisco": "left", "Sacramento": "right", "Fresno": "right", "Los Angeles": "left",
    "San Diego": "left",
}  # fmt: skip


def plot_value_map(frame: pd.DataFrame) -> Axes:
    """Where houses are dear: a dot a block group, colour its house value in dollars."""
    axes = _draw_base_map(frame)
    edges = np.arange(6) * USD_PER_UNIT
    mixed = frame.sample(frac=1, random_state=0)  # else whole counties would hide their neighbours
    dots = _draw_dots(
        axes, mixed, mixed[TARGET] * USD_PER_UNIT, VALUE_COLORS, edges, size=2.4, extend="max"
    )
    _add_colorbar(axes, dots, edges[[0, 1, 3, 5]], "median house value (arrow: cap)")
    axes.set_title("House values are high along the coast")
    return axes


def plot_error_map(
    frame: pd.DataFrame, error: pd.Series, all_block_groups: pd.DataFrame | None = None
) -> Axes:
    """Where the model is wrong: a dot a block group, colour its error in dollars.

    error: (n,) guess minus truth; the largest ones lie on top. everywhere: all block groups that
    are known, from which the land is drawn; by default those of the frame.
    """
    axes = _draw_base_map(frame if all_block_groups is None else all_block_groups)
    edges = np.array([-150, -75, -25, 25, 75, 150]) * 1000
    order = np.argsort(np.abs(error.to_numpy()), kind="stable")
    dots = _draw_dots(
        axes, frame.iloc[order], error.iloc[order], ERROR_COLORS, edges, size=7, extend="both"
    )
    bar = _add_colorbar(axes, dots, edges[[0, 2, 3, 5]], "guess minus true value")
    for side, x, words in (("left", 0, "◂ too low"), ("right", 1, "too high ▸")):
        bar.text(
            x, -2.3, words, transform=bar.transAxes, ha=side, va="top", size=9, color=TEXT_COLOR
        )
    axes.set_title("Where the guesses are off")
    return axes


def interactive_error_map(axes: Axes, frame: pd.DataFrame, y_pred: np.ndarray) -> InteractiveFigure:
    """An error map that answers: point at a dot, and it says place, guess, true value and more.

    axes: what `error_map` drew of the frame; guess: (n,) in $100,000. In hundreds of dollars.
    """
    error = y_pred - frame[TARGET]
    order = np.argsort(-error.abs(), kind="stable")  # the dot that lies on top is asked first
    facts = pd.DataFrame(
        {
            "": describe_locations(frame),
            "guess": (y_pred * USD_PER_UNIT).round(-2),
            "true value": (frame[TARGET] * USD_PER_UNIT).round(-2),
            "error": (error * USD_PER_UNIT).round(-2),
            "income": (frame.MedInc * 10_000).round(-2),
            "people": frame.Population,
        }
    ).iloc[order]
    alt = (
        f"Map of California: {len(frame):,} block groups as dots, coloured by how many dollars "
        "the guess is above the true value (red) or below it (blue)"
    )
    usd = dict.fromkeys(("guess", "true value"), "${:,.0f}")
    formats = {**usd, "error": "${:+,.0f}", "income": "${:,.0f} a year", "people": "{:,.0f}"}
    return build_interactive_figure(
        axes, frame.Longitude.iloc[order], frame.Latitude.iloc[order], facts, formats, alt
    )


def _draw_dots(
    axes: Axes,
    frame: pd.DataFrame,
    values: pd.Series,
    colors: list[str],
    edges: np.ndarray,
    size: float,
    extend: str,
) -> PathCollection:
    return axes.scatter(
        frame.Longitude, frame.Latitude, c=values, s=size, cmap=ListedColormap(colors),
        norm=BoundaryNorm(edges, len(colors), extend=extend), linewidths=0, rasterized=True,
        antialiased=False,
    )  # fmt: skip


def _add_colorbar(axes: Axes, dots: PathCollection, ticks: np.ndarray, title: str) -> Axes:
    """The colour bar, in the sea where no dot is."""
    box = axes.inset_axes((0.05, 0.1, 0.4, 0.022))
    bar = axes.figure.colorbar(
        dots, cax=box, orientation="horizontal", format=dollar_formatter(), ticks=ticks
    )
    bar.outline.set_visible(False)
    box.set_title(title, fontsize=9.5, color=TEXT_COLOR, weight="normal", pad=5)
    box.tick_params(labelsize=8.5, length=0, labelcolor=TEXT_COLOR)
    return box


def _draw_base_map(frame: pd.DataFrame) -> Axes:
    """A map without dots: the sea, the land that the block groups span, some cities' names."""
    axes = plt.figure(figsize=(5.8, 6.2)).gca()
    axes.set_aspect(1 / MAP_LONGITUDE_SCALE)
    axes.set(
        xlim=(MIN_LONGITUDE, MAX_LONGITUDE),
        ylim=(MIN_LATITUDE, MAX_LATITUDE),
        facecolor=OUTSIDE_COLOR,
    )
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xticks(range(-124, -113, 2), [f"{-one}° W" for one in range(-124, -113, 2)])
    axes.set_yticks(range(34, 43, 2), [f"{one}° N" for one in range(34, 43, 2)])
    axes.tick_params(length=0, labelsize=9)
    _draw_land(axes, frame)
    axes.text(-123.5, 35.2, "Pacific\nOcean", color="#3f6e93", style="italic", ha="center")
    for name, side in CITY_LABEL_SIDES.items():
        spot = TOWNS[name][::-1]
        axes.plot(*spot, "o", ms=4.5, color=LAND_COLOR, mec=TEXT_COLOR, mew=1.2, zorder=4)
        axes.annotate(
            name, spot, (7 if side == "right" else -7, 0), textcoords="offset points",
            ha="left" if side == "right" else "right", va="center", color=TEXT_COLOR, fontsize=9.5,
            bbox={"boxstyle": "round,pad=0.15", "fc": LAND_COLOR, "ec": "none", "alpha": 0.75}, zorder=4,
        )  # fmt: skip
    return axes


def _draw_land(axes: Axes, frame: pd.DataFrame) -> None:
    """Land and sea: a wide outline for the empty east, a close one for the coast."""
    mainland = frame[(frame.Latitude > 33.5) | (frame.Longitude > -118)]  # without Santa Catalina
    east, north = (
        np.arange(MIN_LONGITUDE - 1, MAX_LONGITUDE + 1, GRID_STEP_DEGREES),
        np.arange(MIN_LATITUDE - 1, MAX_LATITUDE + 1, GRID_STEP_DEGREES),
    )
    wide = _signed_land_distance(mainland, east[::2], north[::2], 0.7)
    axes.contourf(east[::2], north[::2], wide, [0, np.inf], colors=[LAND_COLOR], zorder=0.5)
    close = _signed_land_distance(mainland, east, north, 0.25)
    rows = np.flatnonzero((close > 0).any(axis=1))
    first = (close[rows] > 0).argmax(axis=1)
    dry, wet = close[rows, first], close[rows, first - 1]
    shore = east[first] - GRID_STEP_DEGREES * dry / (dry - wet)
    corners = [
        (MIN_LONGITUDE - 1, MAX_LATITUDE + 1),
        (MIN_LONGITUDE - 1, MIN_LATITUDE - 1),
        (shore[0], MIN_LATITUDE - 1),
    ]
    coast = np.column_stack([shore, north[rows]])
    sea = np.vstack([corners, coast, [(shore[-1], MAX_LATITUDE + 1)]])
    axes.fill(*sea.T, color=SEA_COLOR, linewidth=0, zorder=0.6)


def _signed_land_distance(
    frame: pd.DataFrame, longitudes: np.ndarray, latitudes: np.ndarray, disc_radius_degrees: float
) -> np.ndarray:
    """(north, east) grid of how many degrees inside the land a place is; negative outside it.

    The land is all that a disc of radius `reach`, in degrees, cannot touch without covering a
    block group: gaps narrower than the disc are closed, bays wider than it stay open.
    """
    grid = np.stack(np.meshgrid(longitudes * MAP_LONGITUDE_SCALE, latitudes), axis=-1).reshape(
        -1, 2
    )
    places = np.column_stack([frame.Longitude * MAP_LONGITUDE_SCALE, frame.Latitude])
    nearest = KDTree(places).query(grid)[0].ravel()
    free = KDTree(grid[nearest > disc_radius_degrees]).query(grid)[0]
    return free.reshape(len(latitudes), len(longitudes)) - (disc_radius_degrees - 0.06)
