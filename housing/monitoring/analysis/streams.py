"""The streams that are watched: each histogram's normal range, and its part of the alarm budget.

The budget is divided beforehand, whether a stream has rows or not: by signal, then by quantity;
half of a quantity's part goes to all rows together, the other half to its groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from housing import geography
from housing.evaluation import slices
from housing.monitoring.counts import DailyCounts, RowCounts
from housing.monitoring.quantities import (
    QUANTITIES,
    SIGNAL_SHARES,
    Aspect,
    Dimension,
    HistogramKey,
    Quantity,
    RowKind,
    Signal,
    values_of,
)
from housing.monitoring.statistics.alarm_budget import log_threshold, open_ended_share
from housing.monitoring.statistics.change_detection import NormalRange, Stream

# A mean may differ from that of the held-out rows by as much, in ranks or shares. It is small where
# each unit is worth many dollars: a change that does no harm is none that an alarm is raised for,
# see `effects`.
TOLERANCES = dict.fromkeys(Signal, 0.03) | {Signal.ERROR: 0.01, Signal.COVERAGE: 0.01}
# and by what chance has done to the held-out rows: so many of their standard errors
TOLERANCE_STANDARD_ERRORS = 2.5
MAX_REFUSED_SHARE = 0.05  # that counts as normal: nothing is refused among the held-out rows
# quantities of which less is no reason for an alarm
ONE_SIDED_QUANTITIES = {
    "refused", "absolute_error", "missed", "interval_rank", "estimated_error", "joint", "distance",
    "warned",
}  # fmt: skip
DIMENSION_GROUPS = {
    Dimension.REGION: list(geography.REGIONS),
    Dimension.PRICE: slices.PRICE_BANDS,
    Dimension.INCOME: slices.INCOME_BANDS,
    Dimension.DISTANCE: slices.DISTANCE_BANDS,
}
# quantities that have no meaning for all rows together
GROUPED_ONLY_QUANTITIES = {"in_region"}


class StreamKey(NamedTuple):
    """The name of a stream: a histogram, and what of it is watched."""

    histogram: HistogramKey
    aspect: Aspect = Aspect.LOCATION


class BudgetPart(NamedTuple):
    """A histogram's part of the budget, for each of its aspects."""

    key: HistogramKey
    share: float


class ReferenceMoments(NamedTuple):
    """What the held-out rows say of a stream."""

    mean: float
    standard_error: float  # of the mean


def divide_budget(callers: list[str]) -> list[BudgetPart]:
    """Return the part of each histogram that may be watched; together at most 1 over all aspects.

    callers: in the order in which they first appeared.
    """
    quantity_counts = {
        signal: sum(quantity.signal == signal for quantity in QUANTITIES)
        for signal in SIGNAL_SHARES
    }
    parts: list[BudgetPart] = []
    for quantity in QUANTITIES:
        share = SIGNAL_SHARES[quantity.signal] / quantity_counts[quantity.signal]
        share /= len(quantity.aspects)
        parts += _divide_among_groups(quantity, share, callers)
    return parts


def _divide_among_groups(
    quantity: Quantity, share: float, callers: list[str]
) -> Iterator[BudgetPart]:
    if quantity.name in GROUPED_ONLY_QUANTITIES:
        group_share = share
    else:
        group_share = share / 2 if quantity.dimensions else 0.0
        yield BudgetPart(HistogramKey(quantity.name), share - group_share)
    for dimension in quantity.dimensions:
        dimension_share = group_share / len(quantity.dimensions)
        if dimension == Dimension.CALLER:
            for position, caller in enumerate(callers):
                key = HistogramKey(quantity.name, dimension, caller)
                yield BudgetPart(key, dimension_share * open_ended_share(position))
        else:
            groups = DIMENSION_GROUPS[dimension]
            for group in groups:
                key = HistogramKey(quantity.name, dimension, group)
                yield BudgetPart(key, dimension_share / len(groups))


def aspect_values(quantity: Quantity, aspect: Aspect) -> np.ndarray:
    """Return the values of a quantity's histogram as an aspect sees them: (n_values,)."""
    values = values_of(quantity)
    return values if aspect == Aspect.LOCATION else np.abs(2 * values - 1)


def reference_moments(
    quantity: Quantity, stream_key: StreamKey, reference: RowCounts
) -> ReferenceMoments | None:
    """Return the mean of the held-out rows in a group, and its standard error.

    Callers have no held-out rows: theirs are compared with all. None if there are no rows.
    """
    key = stream_key.histogram
    if key.dimension == Dimension.CALLER:
        key = HistogramKey(key.quantity)
    histogram = reference.histograms.get(key)
    if histogram is None or not histogram.sum() > 1:
        return None
    values = aspect_values(quantity, stream_key.aspect)
    shares = histogram / histogram.sum()
    mean = float(shares @ values)
    variance = float(shares @ (values - mean) ** 2)
    if quantity.is_share:  # without a single case the variance would be 0
        variance = max(variance, 1 / histogram.sum())
    return ReferenceMoments(mean, float(np.sqrt(variance / histogram.sum())))


def normal_range(quantity: Quantity, moments: ReferenceMoments) -> NormalRange:
    """Return the means that count as normal."""
    tolerance = TOLERANCES[quantity.signal] + TOLERANCE_STANDARD_ERRORS * moments.standard_error
    low, high = moments.mean - tolerance, moments.mean + tolerance
    if quantity.name in ONE_SIDED_QUANTITIES:
        low = 0.0
    return NormalRange(max(low, 0.0), min(high, 1.0))


def build_streams(
    counts: DailyCounts, reference: RowCounts, alarms_per_year: float
) -> dict[StreamKey, Stream]:
    """Return the streams of all histograms that have rows."""
    by_name = {quantity.name: quantity for quantity in QUANTITIES}
    streams = {}
    for key, share in divide_budget(find_callers(counts)):
        histogram = counts.histograms.get(key)
        if histogram is None or not histogram.any():
            continue
        quantity = by_name[key.quantity]
        for aspect in quantity.aspects:
            stream_key = StreamKey(key, aspect)
            normal = _stream_range(quantity, stream_key, reference)
            if normal is not None:
                streams[stream_key] = Stream(
                    histogram,
                    aspect_values(quantity, aspect),
                    normal,
                    log_threshold(alarms_per_year, share),
                )
    return streams


def _stream_range(
    quantity: Quantity, stream_key: StreamKey, reference: RowCounts
) -> NormalRange | None:
    if quantity.rows == RowKind.REQUESTS:
        return NormalRange(0.0, MAX_REFUSED_SHARE)
    moments = reference_moments(quantity, stream_key, reference)
    return normal_range(quantity, moments) if moments else None


def find_callers(counts: DailyCounts) -> list[str]:
    """Return the names of the API keys in the order in which they first sent a request."""
    requests = counts.requests[counts.requests.caller != ""]
    return list(dict.fromkeys(requests.sort_values(["day", "caller"]).caller))
