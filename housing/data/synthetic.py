"""A synthetic sample of California: same columns, similar ranges and shape, any number of rows.

For tests, for growth curves, and for a first start on a machine with no network. Never real data.
"""

import numpy as np
import pandas as pd

from housing.geography import (
    SYNTHETIC_CITIES,
    SYNTHETIC_COASTLINE,
    SYNTHETIC_EAST,
    SYNTHETIC_EASTERN_BORDER,
    SYNTHETIC_NORTH,
    SYNTHETIC_SOUTH,
    SYNTHETIC_WEST,
)
from housing.schema import COLUMNS, HOUSE_VALUE_CAP

CITY_LATITUDE, CITY_LONGITUDE, CITY_SHARE, CITY_SPREAD, CITY_PREMIUM = SYNTHETIC_CITIES.T
RURAL_SHARE = 0.1  # of the block groups that lie anywhere in the state


def generate_sample(n_rows: int = 20_640, seed: int = 0) -> pd.DataFrame:
    """Generate (n_rows, 9) float64, columns as in `schema.COLUMNS`; a seed gives the same rows.

    Raises ValueError if n_rows is below 1.
    """
    if n_rows < 1:
        raise ValueError(f"rows is {n_rows}, expected at least 1")
    rng = np.random.default_rng(seed)
    latitude, longitude = _draw_locations(n_rows, rng)
    proximity = _city_proximity(latitude, longitude)
    premium = proximity @ CITY_PREMIUM
    income = np.clip(rng.lognormal(1.15 + 0.25 * premium, 0.42, n_rows), 0.4999, 15.0001)
    age = np.clip(np.round(rng.normal(24 + 12 * proximity.max(axis=1), 11, n_rows)), 1, 52)
    rooms = np.clip(rng.lognormal(1.45 + 0.05 * income, 0.18, n_rows), 0.85, 140)
    bedrooms = np.clip(rooms * rng.normal(0.2, 0.02, n_rows), 0.34, 34)
    population = np.clip(np.round(rng.lognormal(7.05, 0.72, n_rows)), 3, 35_682)
    occupancy = np.clip(rng.lognormal(1.05, 0.26, n_rows), 0.7, 1_240)
    degrees_inland = longitude - _interpolate_longitude(SYNTHETIC_COASTLINE, latitude)
    value = (
        0.25
        + 0.31 * income
        + 0.9 * np.exp(-degrees_inland / 0.25)
        + premium
        + 0.006 * (age - 28)
        - 0.18 * (occupancy - 2.9)
    ) * rng.lognormal(0, 0.2, n_rows)
    value = np.where(value > 5, HOUSE_VALUE_CAP, np.clip(np.round(value, 3), 0.14999, 5))
    columns = (income, age, rooms, bedrooms, population, occupancy, latitude, longitude, value)
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))).round(6)


def _draw_locations(n_rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw latitudes and longitudes, two decimals: nine in ten near a city, none at sea."""
    latitude, longitude = np.empty(n_rows), np.empty(n_rows)
    pending = np.arange(n_rows)
    while len(pending):
        count = len(pending)
        city = rng.choice(len(SYNTHETIC_CITIES), count, p=CITY_SHARE / CITY_SHARE.sum())
        is_rural = rng.random(count) < RURAL_SHARE
        latitude[pending] = np.where(
            is_rural,
            rng.uniform(SYNTHETIC_SOUTH, SYNTHETIC_NORTH, count),
            rng.normal(CITY_LATITUDE[city], CITY_SPREAD[city]),
        ).round(2)
        longitude[pending] = np.where(
            is_rural,
            rng.uniform(SYNTHETIC_WEST, SYNTHETIC_EAST, count),
            rng.normal(CITY_LONGITUDE[city], CITY_SPREAD[city]),
        ).round(2)
        pending = pending[~_is_in_california(latitude[pending], longitude[pending])]
    return latitude, longitude


def _is_in_california(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    west = _interpolate_longitude(SYNTHETIC_COASTLINE, latitude)
    east = _interpolate_longitude(SYNTHETIC_EASTERN_BORDER, latitude)
    is_inland = (west < longitude) & (longitude < east)
    return is_inland & (latitude >= SYNTHETIC_SOUTH) & (latitude <= SYNTHETIC_NORTH)


def _interpolate_longitude(line: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Return the longitude of a line at (n,) latitudes. line: (m, 2), from north to south."""
    return np.interp(latitude, line[::-1, 0], line[::-1, 1])


def _city_proximity(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Return (n, cities): 1 in the middle of a city, falling to 0 some 40 km out."""
    squared_distance = (latitude[:, None] - CITY_LATITUDE) ** 2 + (
        longitude[:, None] - CITY_LONGITUDE
    ) ** 2
    return np.exp(-squared_distance / (2 * (2 * CITY_SPREAD) ** 2))
