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

from housing.geography import CITIES, place
from housing.plots.interactive import Hover, hover
from housing.plots.style import dollars
from housing.schema import TARGET, USD

WEST, EAST, SOUTH, NORTH = -125.0, -113.7, 32.2, 42.3  # the panel, in degrees
STEP = 0.05  # degrees between the places that are asked whether they are land
NARROWING = np.cos(np.radians(37))  # of a degree of longitude against one of latitude
# colours of their own, no neutral greys: a report that turns greys for a dark page leaves the map
SEA, BEYOND, LAND, INK = "#c8dff0", "#eadfc4", "#fdf6e3", "#17324f"
DEAR = ["#fbc98c", "#f28a63", "#d6456c", "#962c80", "#511c6f", "#1c0f33"]
WRONG = ["#053061", "#2f79b5", "#92c5de", "#cfc4a8", "#f4a582", "#c43c3c", "#67001f"]
SHOWN = {  # the names on the map, and on which side of its mark each stands
    "San Francisco": "left", "Sacramento": "right", "Fresno": "right", "Los Angeles": "left",
    "San Diego": "left",
}  # fmt: skip


def value_map(frame: pd.DataFrame) -> Axes:
    """Where houses are dear: a dot a block group, colour its house value in dollars."""
    axes = _california(frame)
    edges = np.arange(6) * USD
    mixed = frame.sample(frac=1, random_state=0)  # else whole counties would hide their neighbours
    dots = _dots(axes, mixed, mixed[TARGET] * USD, DEAR, edges, size=2.4, extend="max")
    _legend(axes, dots, edges[[0, 1, 3, 5]], "median house value (arrow: cap)")
    axes.set_title("House values are high along the coast")
    return axes


def error_map(
    frame: pd.DataFrame, error: pd.Series, everywhere: pd.DataFrame | None = None
) -> Axes:
    """Where the model is wrong: a dot a block group, colour its error in dollars.

    error: (n,) guess minus truth; the largest ones lie on top. everywhere: all block groups that
    are known, from which the land is drawn; by default those of the frame.
    """
    axes = _california(frame if everywhere is None else everywhere)
    edges = np.array([-150, -75, -25, 25, 75, 150]) * 1000
    order = np.argsort(np.abs(error.to_numpy()), kind="stable")
    dots = _dots(axes, frame.iloc[order], error.iloc[order], WRONG, edges, size=7, extend="both")
    bar = _legend(axes, dots, edges[[0, 2, 3, 5]], "guess minus true value")
    for side, x, words in (("left", 0, "◂ too low"), ("right", 1, "too high ▸")):
        bar.text(x, -2.3, words, transform=bar.transAxes, ha=side, va="top", size=9, color=INK)
    axes.set_title("Where the guesses are off")
    return axes


def look_around(axes: Axes, frame: pd.DataFrame, guess: np.ndarray) -> Hover:
    """An error map that answers: point at a dot, and it says place, guess, true value and more.

    axes: what `error_map` drew of the frame; guess: (n,) in $100,000. In hundreds of dollars.
    """
    error = guess - frame[TARGET]
    order = np.argsort(-error.abs(), kind="stable")  # the dot that lies on top is asked first
    facts = pd.DataFrame(
        {
            "": place(frame),
            "guess": (guess * USD).round(-2),
            "true value": (frame[TARGET] * USD).round(-2),
            "error": (error * USD).round(-2),
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
    return hover(axes, frame.Longitude.iloc[order], frame.Latitude.iloc[order], facts, formats, alt)


def _dots(
    axes: Axes,
    frame: pd.DataFrame,
    dollars: pd.Series,
    colours: list[str],
    edges: np.ndarray,
    size: float,
    extend: str,
) -> PathCollection:
    return axes.scatter(
        frame.Longitude, frame.Latitude, c=dollars, s=size, cmap=ListedColormap(colours),
        norm=BoundaryNorm(edges, len(colours), extend=extend), linewidths=0, rasterized=True,
        antialiased=False,
    )  # fmt: skip


def _legend(axes: Axes, dots: PathCollection, ticks: np.ndarray, title: str) -> Axes:
    """The colour bar, in the sea where no dot is."""
    box = axes.inset_axes((0.05, 0.1, 0.4, 0.022))
    bar = axes.figure.colorbar(
        dots, cax=box, orientation="horizontal", format=dollars(), ticks=ticks
    )
    bar.outline.set_visible(False)
    box.set_title(title, fontsize=9.5, color=INK, weight="normal", pad=5)
    box.tick_params(labelsize=8.5, length=0, labelcolor=INK)
    return box


def _california(frame: pd.DataFrame) -> Axes:
    """A map without dots: the sea, the land that the block groups span, some cities' names."""
    axes = plt.figure(figsize=(5.8, 6.2)).gca()
    axes.set_aspect(1 / NARROWING)
    axes.set(xlim=(WEST, EAST), ylim=(SOUTH, NORTH), facecolor=BEYOND)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xticks(range(-124, -113, 2), [f"{-one}° W" for one in range(-124, -113, 2)])
    axes.set_yticks(range(34, 43, 2), [f"{one}° N" for one in range(34, 43, 2)])
    axes.tick_params(length=0, labelsize=9)
    _land(axes, frame)
    axes.text(-123.5, 35.2, "Pacific\nOcean", color="#3f6e93", style="italic", ha="center")
    for name, side in SHOWN.items():
        spot = CITIES[name][::-1]
        axes.plot(*spot, "o", ms=4.5, color=LAND, mec=INK, mew=1.2, zorder=4)
        axes.annotate(
            name, spot, (7 if side == "right" else -7, 0), textcoords="offset points",
            ha="left" if side == "right" else "right", va="center", color=INK, fontsize=9.5,
            bbox={"boxstyle": "round,pad=0.15", "fc": LAND, "ec": "none", "alpha": 0.75}, zorder=4,
        )  # fmt: skip
    return axes


def _land(axes: Axes, frame: pd.DataFrame) -> None:
    """Land and sea: a wide outline for the empty east, a close one for the coast."""
    mainland = frame[(frame.Latitude > 33.5) | (frame.Longitude > -118)]  # without Santa Catalina
    east, north = np.arange(WEST - 1, EAST + 1, STEP), np.arange(SOUTH - 1, NORTH + 1, STEP)
    wide = _span(mainland, east[::2], north[::2], 0.7)
    axes.contourf(east[::2], north[::2], wide, [0, np.inf], colors=[LAND], zorder=0.5)
    close = _span(mainland, east, north, 0.25)
    rows = np.flatnonzero((close > 0).any(axis=1))
    first = (close[rows] > 0).argmax(axis=1)
    dry, wet = close[rows, first], close[rows, first - 1]
    shore = east[first] - STEP * dry / (dry - wet)
    corners = [(WEST - 1, NORTH + 1), (WEST - 1, SOUTH - 1), (shore[0], SOUTH - 1)]
    coast = np.column_stack([shore, north[rows]])
    sea = np.vstack([corners, coast, [(shore[-1], NORTH + 1)]])
    axes.fill(*sea.T, color=SEA, linewidth=0, zorder=0.6)


def _span(frame: pd.DataFrame, east: np.ndarray, north: np.ndarray, reach: float) -> np.ndarray:
    """(north, east) grid of how many degrees inside the land a place is; negative outside it.

    The land is all that a disc of radius `reach`, in degrees, cannot touch without covering a
    block group: gaps narrower than the disc are closed, bays wider than it stay open.
    """
    grid = np.stack(np.meshgrid(east * NARROWING, north), axis=-1).reshape(-1, 2)
    places = np.column_stack([frame.Longitude * NARROWING, frame.Latitude])
    nearest = KDTree(places).query(grid)[0].ravel()
    free = KDTree(grid[nearest > reach]).query(grid)[0]
    return free.reshape(len(north), len(east)) - (reach - 0.06)
