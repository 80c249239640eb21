"""California as the page draws it: its outline, some cities, and where a model has learnt.

Needs numpy only. Equirectangular; a unit of the drawing is a hundredth of a degree of latitude.
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

MAP_WEST, MAP_EAST, MAP_SOUTH, MAP_NORTH = -125.4, -113.8, 32.3, 42.2  # what is drawn, in degrees
UNITS_PER_DEGREE = 100  # a degree of latitude
DENSITY_CELL_UNITS = 8  # units: squares of 9 km
LIGHT_SHADE_MAX_POINTS, MEDIUM_SHADE_MAX_POINTS = (
    3,
    12,
)  # places in a square; more than SOME is the darkest shade
MAP_CITIES = {  # degrees north and east, and the side of its mark on which each name is written
    name: (*TOWNS[name], side) for name, side in PAGE_CITY_LABEL_SIDES.items()
}


class MapCity(NamedTuple):
    """A name to find one's way by."""

    name: str
    latitude: float
    longitude: float
    label_side: str
    x: int
    y: int


class CaliforniaMap(NamedTuple):
    """What the page needs to draw California and to know which place was clicked on."""

    width: float
    height: float
    west: float  # the left edge, in degrees
    north: float  # the top edge
    units_per_degree: float  # a degree of latitude
    longitude_scale: float  # a degree of longitude in degrees of latitude
    land_path: str  # an SVG path
    density_paths: tuple[str, ...]  # three paths, to be stroked: a few, some and many known places
    cell_size: int  # how wide to stroke them
    cities: list[MapCity]


def california_map(champion: Champion | None) -> CaliforniaMap:
    """California, with the places that the champion has learnt from if it tells them."""
    width, height = _project(MAP_SOUTH, MAP_EAST)
    known = champion and champion.training_domain
    shades = _density_paths(champion.training_domain.location_index) if known else ()
    return CaliforniaMap(
        round(width),
        round(height),
        MAP_WEST,
        MAP_NORTH,
        UNITS_PER_DEGREE,
        MAP_LONGITUDE_SCALE,
        _land_path(),
        shades,
        DENSITY_CELL_UNITS,
        _map_cities(),
    )


@lru_cache(maxsize=1)  # made once for each champion
def _density_paths(training_locations: NeighborIndex) -> tuple[str, ...]:
    """Where known places are: squares of the drawing, those of one shade as one path."""
    north, east = (training_locations.points / [1.0, LONGITUDE_SCALE]).T
    cells = np.floor(np.column_stack(_project(north, east)[::-1]) / DENSITY_CELL_UNITS).astype(int)
    cells, count = np.unique(cells, axis=0, return_counts=True)
    shade = np.digitize(count, [LIGHT_SHADE_MAX_POINTS + 1, MEDIUM_SHADE_MAX_POINTS + 1])
    return tuple(_density_path(cells[shade == one]) for one in range(3))


def _density_path(cells: np.ndarray) -> str:
    """Lines as wide as a square is high: one for all neighbours. cells: (n, 2), sorted."""
    ends = np.flatnonzero((np.diff(cells[:, 0]) != 0) | (np.diff(cells[:, 1]) != 1)) + 1
    lines = (line * DENSITY_CELL_UNITS for line in np.split(cells, ends) if len(line))
    starts = ((*line[0], len(line) * DENSITY_CELL_UNITS) for line in lines)
    return "".join(f"M{x} {y + DENSITY_CELL_UNITS // 2}h{length}" for y, x, length in starts)


@cache
def _land_path() -> str:
    """Mainland and islands as an SVG path."""
    return "".join(
        "M" + "L".join("{:.0f} {:.0f}".format(*_project(*corner)) for corner in corners) + "Z"
        for corners in [MAINLAND, *ISLANDS]
    )


def _map_cities() -> list[MapCity]:
    return [
        MapCity(name, north, east, side, *(round(one) for one in _project(north, east)))
        for name, (north, east, side) in MAP_CITIES.items()
    ]


def _project(latitude: Any, longitude: Any) -> tuple[Any, Any]:
    """Where places are in the drawing: units from its left and from its top."""
    return (longitude - MAP_WEST) * MAP_LONGITUDE_SCALE * UNITS_PER_DEGREE, (
        MAP_NORTH - latitude
    ) * UNITS_PER_DEGREE
