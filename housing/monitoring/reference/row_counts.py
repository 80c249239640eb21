"""Counting rows: every quantity of some rows as a histogram, for all of them and by group.

Held-out rows and traffic are counted by the same function, so that they can be compared. True
values at the census's cap of $500,001 count like any others: the held-out rows contain them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from housing import geography
from housing.evaluation import slices
from housing.inference.neighbors import NeighborIndex
from housing.monitoring.counts import RowCounts
from housing.monitoring.quantities import (
    LABELLED_ESTIMATE,
    QUANTITIES_BY_NAME,
    RANK_VALUES,
    Dimension,
    HistogramKey,
    Quantity,
)
from housing.monitoring.reference.estimated_error import ErrorRows, ErrorTable
from housing.monitoring.reference.rank_scale import RankScale
from housing.schema import COORDINATE_NAMES, FEATURE_NAMES, TARGET, USD_PER_UNIT

MIN_WIDTH = 1e-5  # $1, in $100,000: of an interval that an error is divided by


@dataclass(frozen=True, eq=False, kw_only=True)
class RowScales:
    """What rows are counted by."""

    rank_scales: Mapping[str, RankScale]  # of each quantity that is a rank, by name
    error_table: ErrorTable
    training_places: np.ndarray  # (n, 2) unique: degrees north and east

    @cached_property
    def _place_index(self) -> NeighborIndex:
        return index_places(self.training_places)

    def distances_km(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the (n,) kilometres to the nearest training row."""
        return distances_km(self._place_index, rows)


class RowGroups(NamedTuple):
    """Which rows belong to which group of a dimension."""

    names: list[str]
    members: csr_array  # (n_groups, n) of 0 and 1; a row may belong to no group


def count_rows(
    rows: pd.DataFrame, scales: RowScales, estimated_errors_usd: np.ndarray | None = None
) -> RowCounts:
    """Count the quantities of predicted rows; or, with a column truth, those of labelled rows.

    rows: the eight features, prediction, low and high ($100,000; NaN without an interval), warned,
    caller ("" without an API key), and the truth ($100,000) of labelled rows. A NaN counts nowhere.
    estimated_errors_usd: (n,), if they are not to come from the error table. Groups without a row
    are absent, but each region has its share of all rows, `in_region`. Moments are in the unit of
    the quantity, or the feature's.
    """
    if rows.empty:
        return RowCounts({}, {})
    distances_km = scales.distances_km(rows)
    groups = group_rows(rows, distances_km)
    histograms: dict[HistogramKey, np.ndarray] = {}
    moments: dict[HistogramKey, np.ndarray] = {}
    for name, column in counted_values(rows, scales, distances_km, estimated_errors_usd).items():
        weights = value_weights(name, column, scales.rank_scales)
        for dimension in (Dimension.ALL, *quantity_of(name).dimensions):
            histograms |= _sums(name, dimension, groups[dimension], weights)
            moments |= _sums(name, dimension, groups[dimension], moment_powers(column))
    if "truth" not in rows:
        histograms |= _region_shares(groups[Dimension.REGION])
    return RowCounts(histograms, moments)


def counted_values(
    rows: pd.DataFrame,
    scales: RowScales,
    distances_km: np.ndarray,
    estimated_errors_usd: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return the (n,) values of each quantity that `count_rows` counts; see there."""
    if estimated_errors_usd is None:
        estimated_errors_usd = scales.error_table.estimate(error_rows(rows, distances_km))
    if "truth" in rows:
        values = labelled_values(rows) | {LABELLED_ESTIMATE: estimated_errors_usd}
    else:
        values = prediction_values(rows, distances_km, estimated_errors_usd)
    # no held-out row may have a value, as of a model without intervals
    return {
        name: column
        for name, column in values.items()
        if quantity_of(name).is_share or quantity_of(name).name in scales.rank_scales
    }


def prediction_values(
    rows: pd.DataFrame, distances_km: np.ndarray, estimated_errors_usd: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the (n,) values of each quantity of predicted rows, in its unit; shares are 0 or 1."""
    return {
        "estimated_error": estimated_errors_usd,
        "prediction": rows.prediction.to_numpy(float) * USD_PER_UNIT,
        **{name: rows[name].to_numpy(float) for name in FEATURE_NAMES},
        "distance": distances_km,
        "warned": rows.warned.to_numpy(float),
    }


def labelled_values(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the (n,) values of each quantity of labelled rows, in its unit; shares are 0 or 1.

    The interval rank is not a rank yet, but the absolute error divided by half of the width.
    """
    error = (rows.prediction - rows.truth).to_numpy(float)
    is_missed = ((rows.truth < rows.low) | (rows.truth > rows.high)).to_numpy(float)
    widths = (rows.high - rows.low).to_numpy(float)
    return {
        "error": error * USD_PER_UNIT,
        "absolute_error": np.abs(error) * USD_PER_UNIT,
        "missed": np.where(np.isnan(widths + error), np.nan, is_missed),
        "interval_rank": np.abs(error) / np.maximum(widths / 2, MIN_WIDTH),
    }


def error_rows(rows: pd.DataFrame, distances_km: np.ndarray) -> ErrorRows:
    """Return what the absolute error of some rows is estimated from."""
    widths = (rows.high - rows.low).to_numpy(float)
    predictions, incomes = rows.prediction.to_numpy(float), rows.MedInc.to_numpy(float)
    return ErrorRows(widths, distances_km, predictions, incomes)


def group_rows(rows: pd.DataFrame, distances_km: np.ndarray) -> dict[Dimension, RowGroups]:
    """Return the groups of each dimension. The price is the predicted one."""
    prices = pd.DataFrame({TARGET: rows.prediction.clip(lower=0)})
    distance_bands = pd.cut(distances_km, slices.DISTANCE_EDGES_KM, labels=slices.DISTANCE_BANDS)
    bands = {
        Dimension.ALL: pd.Categorical([""] * len(rows), [""]),
        Dimension.REGION: geography.assign_regions(rows).array,
        Dimension.PRICE: slices.price_band(prices).array,
        Dimension.INCOME: slices.income_band(rows).array,
        Dimension.DISTANCE: distance_bands,
        Dimension.CALLER: pd.Categorical(rows.caller),
    }
    return {dimension: _row_groups(groups) for dimension, groups in bands.items()}


def _row_groups(groups: pd.Categorical) -> RowGroups:
    row_numbers = np.flatnonzero(groups.codes >= 0)
    entries = (np.ones(len(row_numbers)), (groups.codes[row_numbers], row_numbers))
    names = [str(name) for name in groups.categories]
    return RowGroups(names, csr_array(entries, shape=(len(names), len(groups))))


def quantity_of(name: str) -> Quantity:
    """Return the quantity that says how values are counted."""
    return QUANTITIES_BY_NAME["estimated_error" if name == LABELLED_ESTIMATE else name]


def value_weights(
    name: str, values: np.ndarray, rank_scales: Mapping[str, RankScale]
) -> np.ndarray:
    """Return how much each row counts for each value of a histogram: (n, n_values).

    name, values: as in `prediction_values` and `labelled_values`.
    """
    quantity = quantity_of(name)
    if quantity.is_share:
        return np.nan_to_num(np.stack([1 - values, values], axis=1))
    return rank_weights(rank_scales[quantity.name].ranks(values))


def rank_weights(ranks: np.ndarray) -> np.ndarray:
    """Return how much each of (n,) ranks counts for each of RANK_VALUES: (n, 21).

    A rank between two values counts for both, so that the mean stays the same. NaN counts for none.
    """
    positions = np.nan_to_num(ranks) * (len(RANK_VALUES) - 1)
    distances = np.abs(positions[:, None] - np.arange(len(RANK_VALUES)))
    return np.maximum(1 - distances, 0) * ~np.isnan(ranks)[:, None]


def moment_powers(values: np.ndarray) -> np.ndarray:
    """Return what the moments are the sums of: (n, 3)."""
    powers = np.stack([np.ones(len(values)), values, values**2], axis=1)
    return np.where(np.isnan(values)[:, None], 0, powers)


def _sums(
    name: str, dimension: Dimension, groups: RowGroups, weights: np.ndarray
) -> dict[HistogramKey, np.ndarray]:
    """Return the sums over the rows of each group that has any. weights: (n, m)."""
    sums = groups.members @ weights
    return {
        HistogramKey(name, dimension, group): total
        for group, total in zip(groups.names, sums, strict=True)
        if total.any()
    }


def _region_shares(regions: RowGroups) -> dict[HistogramKey, np.ndarray]:
    """Return for each region how many rows are elsewhere, and how many in it."""
    n_rows = regions.members.shape[1]
    inside = regions.members.sum(axis=1)
    return {
        HistogramKey("in_region", Dimension.REGION, region): np.array([n_rows - count, count])
        for region, count in zip(regions.names, inside, strict=True)
    }


def index_places(places: np.ndarray) -> NeighborIndex:
    """Return an index of (n, 2) places, degrees north and east, for `distances_km`."""
    return NeighborIndex(_unit_vectors(places))


def distances_km(index: NeighborIndex, rows: pd.DataFrame) -> np.ndarray:
    """Return the (n,) kilometres from each row to the nearest place: great-circle distances."""
    points = _unit_vectors(rows[COORDINATE_NAMES].to_numpy(float))
    chords = index.query(points, 1).distances[:, 0]
    return 2 * geography.EARTH_RADIUS_KM * np.arcsin(np.clip(chords / 2, 0, 1))


def _unit_vectors(places: np.ndarray) -> np.ndarray:
    """Return the (n, 3) points of (n, 2) degrees on a sphere of radius 1."""
    north, east = np.radians(places).T
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], 1)
