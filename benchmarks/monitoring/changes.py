"""The changes that are planted into simulated traffic, each as a function of rows.

A function takes rows with the features and the truth, and returns them as they are after the
change; some return fewer or more rows than they took.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from housing import geography
from housing.schema import FEATURE_NAMES, USD_PER_UNIT

RowChange = Callable[[pd.DataFrame], pd.DataFrame]
LAS_VEGAS = (36.17, -115.14)


class PlantedChange(NamedTuple):
    """A change, and whose rows it affects."""

    title: str
    apply: RowChange
    callers: tuple[str, ...] = ()  # empty: all
    row_share: float = 1.0  # of their rows, picked at random


def _scale(column: str, factor: float) -> RowChange:
    return lambda rows: rows.assign(**{column: rows[column] * factor})


def _permute_income(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(MedInc=np.random.default_rng(0).permutation(rows.MedInc.to_numpy()))


def _fix_age(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(HouseAge=float(rows.HouseAge.median()))


def _keep_san_diego(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(geography.assign_regions(rows) == "San Diego").to_numpy()]


def _move_to_las_vegas(rows: pd.DataFrame) -> pd.DataFrame:
    """Move the rows to another state, as they lie around their middle, a hundredth as far."""
    generator = np.random.default_rng(0)
    latitude, longitude = (
        degrees + generator.normal(0, 0.1, len(rows)).round(2) for degrees in LAS_VEGAS
    )
    return rows.assign(Latitude=latitude, Longitude=longitude)


NO_CHANGE = PlantedChange("no change", lambda rows: rows)
CHANGES = {
    "labels-5": PlantedChange("prices +5 %, labels only", _scale("truth", 1.05)),
    "labels-10": PlantedChange("prices +10 %, labels only", _scale("truth", 1.10)),
    "labels-20": PlantedChange("prices +20 %, labels only", _scale("truth", 1.20)),
    "rooms": PlantedChange("AveRooms x 1.3", _scale("AveRooms", 1.3)),
    "income": PlantedChange("MedInc x 1.15", _scale("MedInc", 1.15)),
    "dollars": PlantedChange("MedInc in dollars (x 10,000)", _scale("MedInc", USD_PER_UNIT / 10)),
    "joint": PlantedChange("MedInc permuted among the rows", _permute_income),
    "sensor": PlantedChange("HouseAge stuck, all rows", _fix_age),
    "caller-sensor": PlantedChange("HouseAge stuck, one caller of five", _fix_age, ("caller-2",)),
    "san-diego": PlantedChange("all rows from San Diego", _keep_san_diego),
    "las-vegas": PlantedChange("half of the rows from Las Vegas", _move_to_las_vegas, (), 0.5),
    "caller": PlantedChange(
        "MedInc x 1.3, one caller of five", _scale("MedInc", 1.3), ("caller-2",)
    ),
}
ALL_CHANGES = {"clean": NO_CHANGE} | CHANGES
CHANGED_COLUMNS = [*FEATURE_NAMES, "truth"]
