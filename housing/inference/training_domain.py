"""Where a model knows its way: what it has seen in training, and which rows lie outside.

Needs numpy and pykdtree only, as the service asks it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from housing.inference.neighbors import Index
from housing.schema import FEATURES, NAMES

if TYPE_CHECKING:
    import pandas as pd

PLACE = [NAMES.index("Latitude"), NAMES.index("Longitude")]
KM = 111.2  # a degree of latitude
NARROW = 0.8  # a degree of longitude in degrees of latitude, in the middle of California
FAR = 20.0  # km: of the real block groups held back, 1 in 200 is as far from those it learnt from


class Domain(NamedTuple):
    """What the training rows were like."""

    low: np.ndarray  # (8,) the least value of each feature
    high: np.ndarray  # (8,) the largest
    typical: np.ndarray  # (8,) an ordinary block group, to compare with: `explain.typical`
    places: Index  # where they are
    deciles: np.ndarray | None = None  # (9, 8), the borders between tenths of the training values


def learn(train: pd.DataFrame) -> bytes:
    """The domain of some training rows, as JSON."""
    from housing.inference.shapley import typical

    rows = train[NAMES].to_numpy(float)
    told = {"low": rows.min(0), "high": rows.max(0), "typical": typical(train)[0]}
    told["deciles"] = np.quantile(rows, np.arange(1, 10) / 10, axis=0)
    told["places"] = np.unique(rows[:, PLACE], axis=0)
    return json.dumps({name: it.tolist() for name, it in told.items()}).encode()


def read(content: bytes) -> Domain:
    """What `learn` has written. Raises ValueError or KeyError for anything else."""
    told = json.loads(content)
    low, high, typical = (np.array(told[one]) for one in ("low", "high", "typical"))
    deciles = np.array(told["deciles"]) if "deciles" in told else None  # older versions have none
    return Domain(low, high, typical, Index(_flat(np.array(told["places"]))), deciles)


def warnings(domain: Domain, rows: np.ndarray) -> list[list[str]]:
    """For each of (n, 8) rows a sentence for each way in which it is unlike the training rows."""
    said: list[list[str]] = [[] for _ in rows]
    for row, column in zip(*np.nonzero((rows < domain.low) | (rows > domain.high)), strict=True):
        said[row].append(_outside(domain, column, rows[row, column]))
    away, _ = domain.places.nearest(_flat(rows[:, PLACE]), 1)
    for row in np.flatnonzero(away[:, 0] * KM > FAR):
        said[row].append(
            f"the nearest block group that the model learnt from is {away[row, 0] * KM:.0f} km away"
        )
    return said


def _outside(domain: Domain, column: int, value: float) -> str:
    name = NAMES[column]
    seen = f"{domain.low[column]:,.6g} to {domain.high[column]:,.6g}"
    return f"{name} is {value:,.6g}, and the model has seen {seen} ({FEATURES[name].unit})"


def _flat(places: np.ndarray) -> np.ndarray:
    """(n, 2) latitude and longitude in degrees of the same length."""
    return np.ascontiguousarray(places * [1.0, NARROW])
