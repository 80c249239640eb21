"""California as the page draws it: its outline, some cities, and where the training rows lie.

Needs numpy only. An equirectangular projection; a drawing unit is a hundredth of a degree of
latitude.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from housing.geography import (
    ISLANDS,
    LONGITUDE_SCALE,
    MAINLAND,
    MAP_LONGITUDE_SCALE,
    PAGE_CITY_LABEL_SIDES,
    TOWNS,
)

if TYPE_CHECKING:
    from app.model.champion import Champion
    from housing.inference.neighbors import NeighborIndex

MAP_WEST, MAP_EAST, MAP_SOUTH, MAP_NORTH = -125.4, -113.8, 32.3, 42.2  # the drawn part, in degrees
UNITS_PER_DEGREE = 100  # of latitude
DENSITY_CELL_UNITS = 8  # width of the map's squares, 9 km
# training rows of a square of the two lighter shades; the darkest shade has more
LIGHT_SHADE_MAX_POINTS, MEDIUM_SHADE_MAX_POINTS = 3, 12
SHADE_COUNT = 3


class MapCity(NamedTuple):
    """A city whose name is on the map, for orientation: left or right of its mark."""

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
    land_path: str  # an SVG path
    density_paths: tuple[str, ...]  # SVG paths to be stroked: squares with few, some and many rows
    cities: list[MapCity]
    west: float = MAP_WEST  # the left edge, in degrees
    north: float = MAP_NORTH  # the top edge, in degrees
    units_per_degree: int = UNITS_PER_DEGREE  # of latitude
    longitude_scale: float = MAP_LONGITUDE_SCALE  # degrees of latitude of one degree of longitude
    cell_size: int = DENSITY_CELL_UNITS  # width of the strokes


def california_map(champion: Champion | None) -> CaliforniaMap:
    """Return the map, with the champion's training locations if it was registered with them."""
    width, height = _project(MAP_SOUTH, MAP_EAST)
    training_domain = champion.training_domain if champion else None
    return CaliforniaMap(
        width=round(width),
        height=round(height),
        land_path=_land_path(),
        density_paths=_density_paths(training_domain.location_index) if training_domain else (),
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
    for name, label_side in PAGE_CITY_LABEL_SIDES.items():
        latitude, longitude = TOWNS[name]
        x, y = _project(latitude, longitude)
        cities.append(MapCity(name, latitude, longitude, label_side, round(x), round(y)))
    return cities


def _project(latitude: Any, longitude: Any) -> tuple[Any, Any]:
    """Return where locations are in the drawing: units from its left and from its top."""
    x = (longitude - MAP_WEST) * MAP_LONGITUDE_SCALE * UNITS_PER_DEGREE
    y = (MAP_NORTH - latitude) * UNITS_PER_DEGREE
    return x, y
