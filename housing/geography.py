"""The geography of California: towns, regions, coast line, lengths of a degree, and distances.

Every place and every scale of the project is defined here, in degrees north and east; where two
numbers describe the same place differently, the comment says which result depends on it. The
constants need numpy only: the service imports them, and has neither pandas nor scikit-learn.
"""

from __future__ import annotations

from math import cos, radians
from typing import TYPE_CHECKING

import numpy as np

from housing.schema import COORDINATE_NAMES

if TYPE_CHECKING:
    import pandas as pd

Point = tuple[float, float]  # degrees north, degrees east

# --- lengths ---
EARTH_RADIUS_KM = 6371.0088  # the mean radius, for great-circle distances
# A degree of latitude. Rounded from 111.195, as the limit of the training domain and the radius of
# a search in the prediction log have always been converted with it.
KM_PER_DEGREE = 111.2
# A degree of longitude in degrees of latitude, for distances. The cosine of 36.9 degrees, rounded:
# the graphs of all registered models contain it, so that another value would be another model.
LONGITUDE_SCALE = 0.8
# The same for drawings: the cosine of the latitude in the middle of the state (32.3 to 42.2).
MAP_LONGITUDE_SCALE = cos(radians(37.25))

# --- towns and regions ---
# The towns that describe a location, by region: a block group belongs to the region of its nearest
# town. Enough towns in each region that the borders lie where a Californian would draw them.
REGIONS: dict[str, dict[str, Point]] = {
    "Bay Area": {
        "Concord": (37.98, -122.03),
        "Oakland": (37.80, -122.27),
        "San Francisco": (37.77, -122.42),
        "San Jose": (37.34, -121.89),
        "Santa Rosa": (38.44, -122.71),
    },
    "Los Angeles and Orange": {
        "Anaheim": (33.84, -117.91),
        "Lancaster": (34.70, -118.14),
        "Long Beach": (33.77, -118.19),
        "Los Angeles": (34.05, -118.24),
    },
    "San Diego": {
        "San Diego": (32.72, -117.16),
    },
    "Inland Empire and desert": {
        "Barstow": (34.90, -117.02),
        "El Centro": (32.79, -115.56),
        "Palm Springs": (33.83, -116.55),
        "Riverside": (33.95, -117.40),
    },
    "Central Coast": {
        "Monterey": (36.60, -121.89),
        "San Luis Obispo": (35.28, -120.66),
        "Santa Barbara": (34.42, -119.70),
        "Santa Cruz": (36.97, -122.03),
        "Ventura": (34.28, -119.29),
    },
    "San Joaquin Valley": {
        "Bakersfield": (35.37, -119.02),
        "Fresno": (36.74, -119.79),
        "Modesto": (37.64, -121.00),
        "Stockton": (37.96, -121.29),
    },
    "Sacramento Valley": {
        "Chico": (39.73, -121.84),
        "Sacramento": (38.58, -121.49),
    },
    "North and Sierra": {
        "Bishop": (37.36, -118.40),
        "Eureka": (40.80, -124.16),
        "Redding": (40.59, -122.39),
        "South Lake Tahoe": (38.94, -119.98),
        "Susanville": (40.42, -120.65),
        "Ukiah": (39.15, -123.21),
    },
}
TOWNS = {town: point for towns in REGIONS.values() for town, point in towns.items()}
TOWN_REGIONS = {town: region for region, towns in REGIONS.items() for town in towns}

# The towns that the maps name, and the side of its mark on which each name is written.
CITY_LABEL_SIDES = {
    "San Francisco": "left",
    "Sacramento": "right",
    "Fresno": "right",
    "Los Angeles": "left",
    "San Diego": "left",
}
# The page's map is the larger one and names a town of the north as well.
PAGE_CITY_LABEL_SIDES = {"Redding": "right", **CITY_LABEL_SIDES}

# The centers of employment to which the models measure the distance. Part of every registered
# graph, in this order: three differ from `TOWNS` by up to 2 km and must keep their numbers.
JOB_CENTERS: dict[str, Point] = {
    "San Francisco": (37.78, -122.42),
    "Los Angeles": (34.05, -118.25),
    "San Diego": TOWNS["San Diego"],
    "San Jose": TOWNS["San Jose"],
    "Sacramento": TOWNS["Sacramento"],
    "Fresno": (36.75, -119.77),
    "Beverly Hills": (34.07, -118.40),
    "Palo Alto": (37.44, -122.16),
}

# --- outline ---
# To draw and to click on, never to decide by; simplified by hand. From the Oregon border east,
# down the Colorado, and back along the coast.
MAINLAND: list[Point] = [
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
ISLANDS: list[list[Point]] = [
    [(33.48, -118.60), (33.44, -118.47), (33.34, -118.31), (33.31, -118.44), (33.43, -118.55)],
    [(34.05, -119.92), (34.02, -119.56), (33.96, -119.72), (33.98, -119.88)],
    [(34.01, -120.05), (33.93, -119.96), (33.90, -120.12), (34.00, -120.24)],
    [(33.03, -118.60), (32.82, -118.36), (32.84, -118.50), (32.97, -118.60)],
]

# --- the synthetic sample ---
# A coarser California: the longitude of its coast and of its eastern border are interpolated by
# latitude. They differ from the outline and the towns above, and stay: the same seed has to give
# the same rows, bit by bit, as a sample is identified by its seed and the hash of its rows.
SYNTHETIC_COASTLINE = np.array(
    [
        (42.0, -124.2), (40.4, -124.4), (39.3, -123.8), (38.3, -123.0), (37.8, -122.5),
        (37.1, -122.3), (36.6, -121.9), (35.6, -121.1), (34.6, -120.6), (34.4, -119.8),
        (34.0, -118.8), (33.7, -118.2), (33.2, -117.4), (32.5, -117.1),
    ]
)  # fmt: skip
SYNTHETIC_EASTERN_BORDER = np.array(
    [(42.0, -120.0), (39.0, -120.0), (35.0, -114.6), (34.0, -114.4), (32.5, -114.5)]
)
SYNTHETIC_SOUTH, SYNTHETIC_NORTH = 32.54, 41.95
SYNTHETIC_WEST, SYNTHETIC_EAST = -124.3, -114.4
# The middles of the metropolitan areas where the sample's people live, which are not those of the
# towns (San Diego's lies 9 km north of the town): latitude, longitude, share of the people,
# spread in degrees, and what being near adds to a house value in $100,000.
SYNTHETIC_CITIES = np.array(
    [
        (34.05, -118.25, 0.34, 0.22, 0.7),  # Los Angeles
        (37.75, -122.35, 0.14, 0.14, 1.2),  # San Francisco and Oakland
        (32.80, -117.10, 0.10, 0.14, 0.5),  # San Diego
        (37.33, -121.90, 0.09, 0.12, 0.9),  # San Jose
        (33.75, -117.80, 0.08, 0.14, 0.6),  # Orange County
        (38.57, -121.45, 0.07, 0.14, 0.1),  # Sacramento
        (36.75, -119.78, 0.05, 0.14, -0.1),  # Fresno
        (35.37, -119.02, 0.03, 0.12, -0.1),  # Bakersfield
        (37.96, -121.30, 0.03, 0.10, 0.0),  # Stockton
        (34.10, -117.30, 0.07, 0.16, 0.0),  # San Bernardino and Riverside
    ]
)


def describe_locations(frame: pd.DataFrame) -> pd.Series:
    """Describe where each block group is: "near Fresno", or from 20 km on "40 km from Fresno"."""
    import pandas as pd

    towns, distances_km = _nearest_towns(frame)
    rounded_km = (distances_km / 10).round().astype(int) * 10
    near = [f"near {town}" for town in towns]
    far = [f"{km} km from {town}" for km, town in zip(rounded_km, towns, strict=True)]
    return pd.Series(np.where(rounded_km >= 20, far, near), frame.index)


def assign_regions(frame: pd.DataFrame) -> pd.Series:
    """Return the region of each block group, a key of `REGIONS`: that of its nearest town."""
    import pandas as pd

    towns, _ = _nearest_towns(frame)
    regions = pd.Categorical([TOWN_REGIONS[town] for town in towns], list(REGIONS))
    return pd.Series(regions, frame.index, name="region")


def distance_to_nearest_km(frame: pd.DataFrame, reference: pd.DataFrame) -> np.ndarray:
    """Return the (n,) kilometres from each block group to the nearest one of the reference.

    frame, reference: with the columns Latitude and Longitude. Raises ValueError if the reference
    is empty.
    """
    if reference.empty:
        raise ValueError("there is no block group to measure the distance to")
    return find_nearest(_coordinates(frame), _coordinates(reference))[0]


def find_nearest(points: np.ndarray, reference_points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the (n,) kilometres to the nearest reference point, and its (n,) row number.

    points, reference_points: (n, 2) and (m, 2), degrees north and east. Great-circle distance, by
    the haversine formula (Sinnott, 1984).
    """
    from sklearn.neighbors import BallTree

    tree = BallTree(np.radians(reference_points), metric="haversine")
    distances, indices = tree.query(np.radians(points))
    return distances.ravel() * EARTH_RADIUS_KM, indices.ravel()


def _nearest_towns(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the (n,) name of the nearest town of each block group, and the (n,) km to it."""
    distances_km, indices = find_nearest(_coordinates(frame), np.array(list(TOWNS.values())))
    return np.array(list(TOWNS))[indices], distances_km


def _coordinates(frame: pd.DataFrame) -> np.ndarray:
    return frame[COORDINATE_NAMES].to_numpy()
