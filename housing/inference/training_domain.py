"""The domain a model was trained on, and warnings for rows outside it.

Needs numpy and pykdtree only, as the service uses it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from housing.geography import KM_PER_DEGREE, LONGITUDE_SCALE
from housing.inference.neighbors import DistanceSpace, NeighborIndex, project
from housing.inference.shapley import reference_row
from housing.schema import COORDINATE_INDICES, FEATURE_NAMES, FEATURES

if TYPE_CHECKING:
    import pandas as pd

# of the real block groups held back, 1 in 200 is as far from those the model was trained on
MAX_DISTANCE_KM = 20.0
LOCATION_SPACE = DistanceSpace(COORDINATE_INDICES, np.array([1.0, LONGITUDE_SCALE]))


class TrainingDomain(NamedTuple):
    """The ranges and locations of the training rows."""

    feature_min: np.ndarray  # (8,)
    feature_max: np.ndarray  # (8,)
    reference_row: np.ndarray  # (8,) an ordinary block group: `shapley.reference_row`
    location_index: NeighborIndex  # their locations, longitude scaled
    deciles: np.ndarray | None = None  # (9, 8) edges between tenths of the training values


def fit(train: pd.DataFrame) -> bytes:
    """Return the domain of some training rows, as JSON that `from_json` reads."""
    rows = train[FEATURE_NAMES].to_numpy(float)
    arrays = {
        "low": rows.min(0),
        "high": rows.max(0),
        "typical": reference_row(train)[0],
        "deciles": np.quantile(rows, np.arange(1, 10) / 10, axis=0),
        "places": np.unique(rows[:, COORDINATE_INDICES], axis=0),
    }
    return json.dumps({name: array.tolist() for name, array in arrays.items()}).encode()


def from_json(content: bytes) -> TrainingDomain:
    """Read what `fit` has written. Raises ValueError or KeyError for anything else."""
    fields = json.loads(content)
    return TrainingDomain(
        np.array(fields["low"]),
        np.array(fields["high"]),
        np.array(fields["typical"]),
        NeighborIndex(np.array(fields["places"]) * LOCATION_SPACE.scales),
        np.array(fields["deciles"]) if "deciles" in fields else None,  # older versions have none
    )


def out_of_domain_warnings(domain: TrainingDomain, rows: np.ndarray) -> list[list[str]]:
    """Return for each of (n, 8) rows a sentence for each way in which it differs from training."""
    warnings: list[list[str]] = [[] for _ in rows]
    is_outside = (rows < domain.feature_min) | (rows > domain.feature_max)
    for row, column in np.argwhere(is_outside).tolist():
        warnings[row].append(_range_warning(domain, column, rows[row, column]))
    nearest = domain.location_index.query(project(rows, LOCATION_SPACE), 1)
    distances_km = nearest.distances[:, 0] * KM_PER_DEGREE
    for row in np.flatnonzero(distances_km > MAX_DISTANCE_KM).tolist():
        warnings[row].append(
            f"the nearest block group that the model learnt from is {distances_km[row]:.0f} km away"
        )
    return warnings


def _range_warning(domain: TrainingDomain, column: int, value: float) -> str:
    feature = FEATURE_NAMES[column]
    trained_range = f"{domain.feature_min[column]:,.6g} to {domain.feature_max[column]:,.6g}"
    unit = FEATURES[feature].unit
    return f"{feature} is {value:,.6g}, and the model has seen {trained_range} ({unit})"
