"""Where a model knows its way: what it has seen in training, and which rows lie outside.

Needs numpy and pykdtree only, as the service asks it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from housing.geography import KM_PER_DEGREE, LONGITUDE_SCALE
from housing.inference.neighbors import NeighborIndex
from housing.schema import FEATURE_NAMES, FEATURES

if TYPE_CHECKING:
    import pandas as pd

COORDINATE_INDICES = [FEATURE_NAMES.index("Latitude"), FEATURE_NAMES.index("Longitude")]
MAX_DISTANCE_KM = (
    20.0  # km: of the real block groups held back, 1 in 200 is as far from those it learnt from
)


class TrainingDomain(NamedTuple):
    """What the training rows were like."""

    feature_min: np.ndarray  # (8,) the least value of each feature
    feature_max: np.ndarray  # (8,) the largest
    reference_row: np.ndarray  # (8,) an ordinary block group, to compare with: `explain.typical`
    location_index: NeighborIndex  # where they are
    deciles: np.ndarray | None = None  # (9, 8), the borders between tenths of the training values


def fit(train: pd.DataFrame) -> bytes:
    """The domain of some training rows, as JSON."""
    from housing.inference.shapley import reference_row

    rows = train[FEATURE_NAMES].to_numpy(float)
    told = {"low": rows.min(0), "high": rows.max(0), "typical": reference_row(train)[0]}
    told["deciles"] = np.quantile(rows, np.arange(1, 10) / 10, axis=0)
    told["places"] = np.unique(rows[:, COORDINATE_INDICES], axis=0)
    return json.dumps({name: it.tolist() for name, it in told.items()}).encode()


def from_json(content: bytes) -> TrainingDomain:
    """What `learn` has written. Raises ValueError or KeyError for anything else."""
    told = json.loads(content)
    low, high, typical = (np.array(told[one]) for one in ("low", "high", "typical"))
    deciles = np.array(told["deciles"]) if "deciles" in told else None  # older versions have none
    return TrainingDomain(
        low, high, typical, NeighborIndex(_scale_longitude(np.array(told["places"]))), deciles
    )


def out_of_domain_warnings(domain: TrainingDomain, rows: np.ndarray) -> list[list[str]]:
    """For each of (n, 8) rows a sentence for each way in which it is unlike the training rows."""
    said: list[list[str]] = [[] for _ in rows]
    for row, column in zip(
        *np.nonzero((rows < domain.feature_min) | (rows > domain.feature_max)), strict=True
    ):
        said[row].append(_range_warning(domain, column, rows[row, column]))
    away, _ = domain.location_index.query(_scale_longitude(rows[:, COORDINATE_INDICES]), 1)
    for row in np.flatnonzero(away[:, 0] * KM_PER_DEGREE > MAX_DISTANCE_KM):
        said[row].append(
            f"the nearest block group that the model learnt from is {away[row, 0] * KM_PER_DEGREE:.0f} km away"
        )
    return said


def _range_warning(domain: TrainingDomain, column: int, value: float) -> str:
    name = FEATURE_NAMES[column]
    seen = f"{domain.feature_min[column]:,.6g} to {domain.feature_max[column]:,.6g}"
    return f"{name} is {value:,.6g}, and the model has seen {seen} ({FEATURES[name].unit})"


def _scale_longitude(coordinates: np.ndarray) -> np.ndarray:
    """(n, 2) latitude and longitude in degrees of the same length."""
    return np.ascontiguousarray(coordinates * [1.0, LONGITUDE_SCALE])
