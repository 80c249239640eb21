"""The map of California that others draw on, made from the block groups alone."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from sklearn.neighbors import KDTree

from housing.geography import CITY_LABEL_SIDES, MAP_LONGITUDE_SCALE, TOWNS

# what the axes show, in degrees
MIN_LONGITUDE, MAX_LONGITUDE = -125.0, -113.7
MIN_LATITUDE, MAX_LATITUDE = 32.2, 42.3
GRID_STEP_DEGREES = 0.05  # between the grid points that are classified as land or sea
COAST_DISC_DEGREES = 0.25  # a radius that follows the bays of the coast
EAST_DISC_DEGREES = 0.7  # a radius that closes the gaps of the thinly settled east
LAND_MARGIN_DEGREES = 0.06  # how far land reaches beyond the outermost block groups
# colors of their own, no neutral greys: a report that inverts greys for a dark page keeps the map
SEA_COLOR, OUTSIDE_COLOR, LAND_COLOR, TEXT_COLOR = "#c8dff0", "#eadfc4", "#fdf6e3", "#17324f"


def draw_base_map(frame: pd.DataFrame) -> Axes:
    """Draw a map without dots: the sea, the land that the block groups span, and some cities."""
    axes = plt.figure(figsize=(5.8, 6.2)).gca()
    axes.set_aspect(1 / MAP_LONGITUDE_SCALE)
    axes.set(
        xlim=(MIN_LONGITUDE, MAX_LONGITUDE),
        ylim=(MIN_LATITUDE, MAX_LATITUDE),
        facecolor=OUTSIDE_COLOR,
    )
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    longitudes, latitudes = range(-124, -113, 2), range(34, 43, 2)
    axes.set_xticks(longitudes, [f"{-degrees}° W" for degrees in longitudes])
    axes.set_yticks(latitudes, [f"{degrees}° N" for degrees in latitudes])
    axes.tick_params(length=0, labelsize=9)
    _draw_land(axes, frame)
    axes.text(-123.5, 35.2, "Pacific\nOcean", color="#3f6e93", style="italic", ha="center")
    for city, side in CITY_LABEL_SIDES.items():
        _draw_city(axes, city, side)
    return axes


def _draw_city(axes: Axes, city: str, label_side: str) -> None:
    latitude, longitude = TOWNS[city]
    axes.plot(longitude, latitude, "o", ms=4.5, color=LAND_COLOR, mec=TEXT_COLOR, mew=1.2, zorder=4)
    axes.annotate(
        city,
        (longitude, latitude),
        (7 if label_side == "right" else -7, 0),
        textcoords="offset points",
        ha="left" if label_side == "right" else "right",
        va="center",
        color=TEXT_COLOR,
        fontsize=9.5,
        bbox={"boxstyle": "round,pad=0.15", "fc": LAND_COLOR, "ec": "none", "alpha": 0.75},
        zorder=4,
    )


def _draw_land(axes: Axes, frame: pd.DataFrame) -> None:
    """Draw land and sea: a coarse outline for the thinly settled east, a fine one for the coast."""
    mainland = frame[(frame.Latitude > 33.5) | (frame.Longitude > -118)]  # without Santa Catalina
    longitudes = np.arange(MIN_LONGITUDE - 1, MAX_LONGITUDE + 1, GRID_STEP_DEGREES)
    latitudes = np.arange(MIN_LATITUDE - 1, MAX_LATITUDE + 1, GRID_STEP_DEGREES)
    coarse = longitudes[::2], latitudes[::2]
    distance = _signed_land_distance(mainland, *coarse, EAST_DISC_DEGREES)
    axes.contourf(*coarse, distance, [0, np.inf], colors=[LAND_COLOR], zorder=0.5)
    distance = _signed_land_distance(mainland, longitudes, latitudes, COAST_DISC_DEGREES)
    rows = np.flatnonzero((distance > 0).any(axis=1))
    first_land = (distance[rows] > 0).argmax(axis=1)
    on_land, at_sea = distance[rows, first_land], distance[rows, first_land - 1]
    shore = longitudes[first_land] - GRID_STEP_DEGREES * on_land / (on_land - at_sea)
    corners = [
        (MIN_LONGITUDE - 1, MAX_LATITUDE + 1),
        (MIN_LONGITUDE - 1, MIN_LATITUDE - 1),
        (shore[0], MIN_LATITUDE - 1),
    ]
    coast = np.column_stack([shore, latitudes[rows]])
    sea = np.vstack([corners, coast, [(shore[-1], MAX_LATITUDE + 1)]])
    axes.fill(*sea.T, color=SEA_COLOR, linewidth=0, zorder=0.6)


def _signed_land_distance(
    frame: pd.DataFrame, longitudes: np.ndarray, latitudes: np.ndarray, disc_radius_degrees: float
) -> np.ndarray:
    """Return a (latitudes, longitudes) grid of degrees inside the land; negative outside of it.

    The land is all that a disc of radius `disc_radius_degrees` cannot touch without covering a
    block group: gaps narrower than the disc are closed, bays wider than it stay open (the
    alpha-hull of Edelsbrunner et al., 1983).
    """
    points = np.stack(np.meshgrid(longitudes * MAP_LONGITUDE_SCALE, latitudes), axis=-1)
    points = points.reshape(-1, 2)
    block_groups = np.column_stack([frame.Longitude * MAP_LONGITUDE_SCALE, frame.Latitude])
    distance_to_block_group = KDTree(block_groups).query(points)[0].ravel()
    free_centers = points[distance_to_block_group > disc_radius_degrees]
    distance_to_center = KDTree(free_centers).query(points)[0]
    grid = distance_to_center.reshape(len(latitudes), len(longitudes))
    return grid - (disc_radius_degrees - LAND_MARGIN_DEGREES)
