"""A made-up California: same columns, like ranges and shape, any number of rows.

For tests, for growth curves, and for a first start on a machine with no network. Never real data.
"""

import numpy as np
import pandas as pd

from housing.schema import COLUMNS, HOUSE_VALUE_CAP

# the coast from Oregon to Mexico, (latitude, longitude), and the border to Nevada and Arizona
COASTLINE = np.array(
    [
        (42.0, -124.2), (40.4, -124.4), (39.3, -123.8), (38.3, -123.0), (37.8, -122.5),
        (37.1, -122.3), (36.6, -121.9), (35.6, -121.1), (34.6, -120.6), (34.4, -119.8),
        (34.0, -118.8), (33.7, -118.2), (33.2, -117.4), (32.5, -117.1),
    ]
)  # fmt: skip
EASTERN_BORDER = np.array(
    [(42.0, -120.0), (39.0, -120.0), (35.0, -114.6), (34.0, -114.4), (32.5, -114.5)]
)
# latitude, longitude, share of the people, spread in degrees, what a view of it adds in $100,000
SYNTHETIC_CITIES = np.array(
    [
        (34.05, -118.25, 0.34, 0.22, 0.7), (37.75, -122.35, 0.14, 0.14, 1.2),
        (32.80, -117.10, 0.10, 0.14, 0.5), (37.33, -121.90, 0.09, 0.12, 0.9),
        (33.75, -117.80, 0.08, 0.14, 0.6), (38.57, -121.45, 0.07, 0.14, 0.1),
        (36.75, -119.78, 0.05, 0.14, -0.1), (35.37, -119.02, 0.03, 0.12, -0.1),
        (37.96, -121.30, 0.03, 0.10, 0.0), (34.10, -117.30, 0.07, 0.16, 0.0),
    ]
)  # fmt: skip


def generate_sample(n_rows: int = 20_640, seed: int = 0) -> pd.DataFrame:
    """(rows, 9) float64, columns as in `schema.COLUMNS`; the same seed gives the same rows.

    Raises ValueError if rows is below 1.
    """
    if n_rows < 1:
        raise ValueError(f"rows is {n_rows}, expected at least 1")
    rng = np.random.default_rng(seed)
    latitude, longitude = _draw_locations(n_rows, rng)
    near = _city_proximity(latitude, longitude)
    income = np.clip(
        rng.lognormal(1.15 + 0.25 * near @ SYNTHETIC_CITIES[:, 4], 0.42, n_rows), 0.4999, 15.0001
    )
    age = np.clip(np.round(rng.normal(24 + 12 * near.max(axis=1), 11, n_rows)), 1, 52)
    rooms = np.clip(rng.lognormal(1.45 + 0.05 * income, 0.18, n_rows), 0.85, 140)
    bedrooms = np.clip(rooms * rng.normal(0.2, 0.02, n_rows), 0.34, 34)
    population = np.clip(np.round(rng.lognormal(7.05, 0.72, n_rows)), 3, 35_682)
    occupancy = np.clip(rng.lognormal(1.05, 0.26, n_rows), 0.7, 1_240)
    inland = longitude - np.interp(latitude, COASTLINE[::-1, 0], COASTLINE[::-1, 1])
    value = (
        0.25
        + 0.31 * income
        + 0.9 * np.exp(-inland / 0.25)
        + near @ SYNTHETIC_CITIES[:, 4]
        + 0.006 * (age - 28)
        - 0.18 * (occupancy - 2.9)
    ) * rng.lognormal(0, 0.2, n_rows)
    value = np.where(value > 5, HOUSE_VALUE_CAP, np.clip(np.round(value, 3), 0.14999, 5))
    columns = (income, age, rooms, bedrooms, population, occupancy, latitude, longitude, value)
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))).round(6)


def _draw_locations(n_rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude in degrees, two decimals: nine in ten near a city, none at sea."""
    latitude, longitude = np.empty(n_rows), np.empty(n_rows)
    missing = np.arange(n_rows)
    while len(missing):
        count = len(missing)
        city = SYNTHETIC_CITIES[
            rng.choice(
                len(SYNTHETIC_CITIES),
                count,
                p=SYNTHETIC_CITIES[:, 2] / SYNTHETIC_CITIES[:, 2].sum(),
            )
        ]
        rural = rng.random(count) < 0.1
        lat = np.where(rural, rng.uniform(32.54, 41.95, count), rng.normal(city[:, 0], city[:, 3]))
        lon = np.where(
            rural, rng.uniform(-124.3, -114.4, count), rng.normal(city[:, 1], city[:, 3])
        )
        latitude[missing], longitude[missing] = lat.round(2), lon.round(2)
        west = np.interp(latitude[missing], COASTLINE[::-1, 0], COASTLINE[::-1, 1])
        east = np.interp(latitude[missing], EASTERN_BORDER[::-1, 0], EASTERN_BORDER[::-1, 1])
        inside = (longitude[missing] > west) & (longitude[missing] < east)
        inside &= (latitude[missing] >= 32.54) & (latitude[missing] <= 41.95)
        missing = missing[~inside]
    return latitude, longitude


def _city_proximity(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """(rows, cities): 1 in the middle of a city, falling to 0 some 40 km out."""
    square = (latitude[:, None] - SYNTHETIC_CITIES[:, 0]) ** 2 + (
        longitude[:, None] - SYNTHETIC_CITIES[:, 1]
    ) ** 2
    return np.exp(-square / (2 * (2 * SYNTHETIC_CITIES[:, 3]) ** 2))
