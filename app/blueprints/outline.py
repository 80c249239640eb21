"""California as the page draws it: its outline, some cities, and where the training rows lie.

Needs numpy only. An equirectangular projection; a drawing unit is a hundredth of a degree of
latitude.
"""

from __future__ import annotations

from functools import cache, lru_cache
from math import cos, radians
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from housing.inference.training_domain import LONGITUDE_SCALE

if TYPE_CHECKING:
    from app.model.champion import Champion
    from housing.inference.neighbors import NeighborIndex

MAP_WEST, MAP_EAST, MAP_SOUTH, MAP_NORTH = -125.4, -113.8, 32.3, 42.2  # the drawn part, in degrees
UNITS_PER_DEGREE = 100  # of latitude
MAP_LONGITUDE_SCALE = cos(radians(37.25))  # degrees of latitude of one of longitude, in the middle
DENSITY_CELL_UNITS = 8  # width of the map's squares, 9 km
# training rows of a square of the two lighter shades; the darkest shade has more
LIGHT_SHADE_MAX_POINTS, MEDIUM_SHADE_MAX_POINTS = 3, 12
SHADE_COUNT = 3
# degrees north and east, simplified by hand: a drawing to click on, not a border to decide by.
# From the Oregon border east, down the Colorado, and back along the coast.
MAINLAND = [
    (42.00, -124.21), (42.00, -120.00), (39.00, -120.00), (35.00, -114.63), (34.87, -114.63),
    (34.72, -114.48), (34.46, -114.38), (34.30, -114.14), (34.17, -114.24), (33.95, -114.52),
    (33.60, -114.53), (33.41, -114.72), (33.03, -114.71), (32.90, -114.47), (32.72, -114.72),
    (32.534, -117.125), (32.67, -117.24), (32.85, -117.28), (33.20, -117.39), (33.46, -117.72),
    (33.60, -117.93), (33.74, -118.12), (33.71, -118.29), (33.75, -118.42), (33.85, -118.40),
    (34.01, -118.50), (34.00, -118.81), (34.09, -119.07), (34.15, -119.23), (34.27, -119.29),
    (34.40, -119.55), (34.40, -119.84), (34.47, -120.20), (34.45, -120.47), (34.58, -120.65),
    (34.90, -120.67), (35.14, -120.64), (35.17, -120.76), (35.26, -120.90), (35.40, -120.87),
    (35.66, -121.28), (36.02, -121.58), (36.31, -121.90), (36.64, -121.94), (36.61, -121.85),
    (36.80, -121.79), (36.97, -121.93), (36.95, -122.06), (37.12, -122.33), (37.50, -122.50),
    (37.79, -122.51), (37.81, -122.41), (37.72, -122.37), (37.60, -122.37), (37.50, -122.20),
    (37.44, -122.02), (37.52, -122.08), (37.70, -122.20), (37.76, -122.28), (37.82, -122.31),
    (37.90, -122.35), (37.96, -122.43), (38.02, -122.35), (38.06, -122.20), (38.11, -122.30),
    (38.11, -122.48), (37.97, -122.48), (37.83, -122.47), (37.82, -122.53), (37.91, -122.70),
    (38.00, -123.02), (38.24, -122.98), (38.31, -123.07), (38.57, -123.33), (38.95, -123.74),
    (39.31, -123.81), (39.75, -123.84), (40.03, -124.08), (40.26, -124.36), (40.44, -124.41),
    (40.80, -124.20), (41.06, -124.16), (41.46, -124.07), (41.75, -124.22), (41.88, -124.21),
]  # fmt: skip
ISLANDS = [
    [(33.48, -118.60), (33.44, -118.47), (33.34, -118.31), (33.31, -118.44), (33.43, -118.55)],
    [(34.05, -119.92), (34.02, -119.56), (33.96, -119.72), (33.98, -119.88)],
    [(34.01, -120.05), (33.93, -119.96), (33.90, -120.12), (34.00, -120.24)],
    [(33.03, -118.60), (32.82, -118.36), (32.84, -118.50), (32.97, -118.60)],
]
MAP_CITIES = {  # degrees north and east, and the side of the mark on which the name is written
    "Redding": (40.59, -122.39, "right"), "Sacramento": (38.58, -121.49, "right"),
    "San Francisco": (37.77, -122.42, "left"), "Fresno": (36.74, -119.79, "right"),
    "Los Angeles": (34.05, -118.24, "left"), "San Diego": (32.72, -117.16, "left"),
}  # fmt: skip


class MapCity(NamedTuple):
    """A city whose name is on the map, for orientation."""

    name: str
    latitude: float
    longitude: float
    label_side: str
    x: int
    y: int


class CaliforniaMap(NamedTuple):
    """What the page needs to draw California, and to turn a click into a location."""

    width: float
    height: float
    west: float  # the left edge, in degrees
    north: float  # the top edge, in degrees
    units_per_degree: float  # of latitude
    longitude_scale: float  # degrees of latitude of one degree of longitude
    land_path: str  # an SVG path
    density_paths: tuple[str, ...]  # SVG paths to be stroked: squares with few, some and many rows
    cell_size: int  # width of their strokes
    cities: list[MapCity]


def california_map(champion: Champion | None) -> CaliforniaMap:
    """Return the map, with the champion's training locations if it was registered with them."""
    width, height = _project(MAP_SOUTH, MAP_EAST)
    training_domain = champion.training_domain if champion else None
    return CaliforniaMap(
        width=round(width),
        height=round(height),
        west=MAP_WEST,
        north=MAP_NORTH,
        units_per_degree=UNITS_PER_DEGREE,
        longitude_scale=MAP_LONGITUDE_SCALE,
        land_path=_land_path(),
        density_paths=_density_paths(training_domain.location_index) if training_domain else (),
        cell_size=DENSITY_CELL_UNITS,
        cities=_map_cities(),
    )


@lru_cache(maxsize=1)  # computed once for each champion
def _density_paths(training_locations: NeighborIndex) -> tuple[str, ...]:
    """Return an SVG path for each shade: the map's squares that hold so many training rows."""
    latitude, longitude = (training_locations.points / [1.0, LONGITUDE_SCALE]).T
    x, y = _project(latitude, longitude)
    cells = np.floor(np.column_stack([y, x]) / DENSITY_CELL_UNITS).astype(int)
    cells, counts = np.unique(cells, axis=0, return_counts=True)
    shades = np.digitize(counts, [LIGHT_SHADE_MAX_POINTS + 1, MEDIUM_SHADE_MAX_POINTS + 1])
    return tuple(_density_path(cells[shades == shade]) for shade in range(SHADE_COUNT))


def _density_path(cells: np.ndarray) -> str:
    """Return an SVG path of lines as wide as a square, one for each run of adjacent squares.

    cells: (n, 2), the row and column of each square, sorted.
    """
    run_ends = np.flatnonzero((np.diff(cells[:, 0]) != 0) | (np.diff(cells[:, 1]) != 1)) + 1
    path = ""
    for run in np.split(cells, run_ends):
        if len(run):
            y, x = run[0] * DENSITY_CELL_UNITS
            path += f"M{x} {y + DENSITY_CELL_UNITS // 2}h{len(run) * DENSITY_CELL_UNITS}"
    return path


@cache
def _land_path() -> str:
    """Return the mainland and the islands as an SVG path."""
    return "".join(
        "M" + "L".join("{:.0f} {:.0f}".format(*_project(*corner)) for corner in corners) + "Z"
        for corners in [MAINLAND, *ISLANDS]
    )


def _map_cities() -> list[MapCity]:
    cities = []
    for name, (latitude, longitude, label_side) in MAP_CITIES.items():
        x, y = _project(latitude, longitude)
        cities.append(MapCity(name, latitude, longitude, label_side, round(x), round(y)))
    return cities


def _project(latitude: Any, longitude: Any) -> tuple[Any, Any]:
    """Return where locations are in the drawing: units from its left and from its top."""
    x = (longitude - MAP_WEST) * MAP_LONGITUDE_SCALE * UNITS_PER_DEGREE
    y = (MAP_NORTH - latitude) * UNITS_PER_DEGREE
    return x, y
