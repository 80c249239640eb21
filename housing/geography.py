"""Where block groups are: the nearest town, the region in words, and distances in kilometres."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

EARTH_RADIUS_KM = 6371.0088  # km, the mean radius
KM_PER_DEGREE = 111.2  # a degree of latitude
REGIONS = {  # towns of each region, degrees north and east
    "Bay Area": {
        "Concord": (37.98, -122.03), "Oakland": (37.80, -122.27),
        "San Francisco": (37.77, -122.42), "San Jose": (37.34, -121.89),
        "Santa Rosa": (38.44, -122.71),
    },
    "Los Angeles and Orange": {
        "Anaheim": (33.84, -117.91), "Lancaster": (34.70, -118.14), "Long Beach": (33.77, -118.19),
        "Los Angeles": (34.05, -118.24),
    },
    "San Diego": {"San Diego": (32.72, -117.16)},
    "Inland Empire and desert": {
        "Barstow": (34.90, -117.02), "El Centro": (32.79, -115.56),
        "Palm Springs": (33.83, -116.55), "Riverside": (33.95, -117.40),
    },
    "Central Coast": {
        "Monterey": (36.60, -121.89), "San Luis Obispo": (35.28, -120.66),
        "Santa Barbara": (34.42, -119.70), "Santa Cruz": (36.97, -122.03),
        "Ventura": (34.28, -119.29),
    },
    "San Joaquin Valley": {
        "Bakersfield": (35.37, -119.02), "Fresno": (36.74, -119.79), "Modesto": (37.64, -121.00),
        "Stockton": (37.96, -121.29),
    },
    "Sacramento Valley": {"Chico": (39.73, -121.84), "Sacramento": (38.58, -121.49)},
    "North and Sierra": {
        "Bishop": (37.36, -118.40), "Eureka": (40.80, -124.16), "Redding": (40.59, -122.39),
        "South Lake Tahoe": (38.94, -119.98), "Susanville": (40.42, -120.65),
        "Ukiah": (39.15, -123.21),
    },
}  # fmt: skip
TOWNS = {name: place for towns in REGIONS.values() for name, place in towns.items()}
TOWN_REGIONS = {name: region for region, towns in REGIONS.items() for name in towns}


def describe_locations(frame: pd.DataFrame) -> pd.Series:
    """Where each block group is, in words: "near Fresno", or from 20 km on "40 km from Fresno"."""
    import pandas as pd

    names, distance = _nearest_town(frame)
    tens = (distance / 10).round().astype(int) * 10
    far = [f"{km} km from {name}" for km, name in zip(tens, names, strict=True)]
    return pd.Series(np.where(tens >= 20, far, [f"near {name}" for name in names]), frame.index)


def region(frame: pd.DataFrame) -> pd.Series:
    """Which of the `REGIONS` each block group is in: that of its nearest town."""
    import pandas as pd

    names, _ = _nearest_town(frame)
    found = pd.Categorical([TOWN_REGIONS[name] for name in names], list(REGIONS))
    return pd.Series(found, frame.index, name="region")


def distance_to_nearest_km(frame: pd.DataFrame, reference: pd.DataFrame) -> np.ndarray:
    """(n,) kilometres from each block group to the nearest one that is known.

    Raises ValueError if none is known.
    """
    if reference.empty:
        raise ValueError("no block group is known, so none is nearest")
    return find_nearest(_coordinates(frame), _coordinates(reference))[0]


def find_nearest(points: np.ndarray, reference_points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) kilometres to the nearest known point, and (n,) its number.

    points, known: (n, 2) and (m, 2) degrees north and east. Great-circle distance, by the
    haversine formula (Sinnott, 1984).
    """
    from sklearn.neighbors import BallTree  # absent where only the service is installed

    tree = BallTree(np.radians(reference_points), metric="haversine")
    distance, found = tree.query(np.radians(points))
    return distance.ravel() * EARTH_RADIUS_KM, found.ravel()


def _nearest_town(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    distance, found = find_nearest(_coordinates(frame), np.array(list(TOWNS.values())))
    return np.array(list(TOWNS))[found], distance


def _coordinates(frame: pd.DataFrame) -> np.ndarray:
    return frame[["Latitude", "Longitude"]].to_numpy()
