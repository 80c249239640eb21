"""What is watched: the signals in the order of the report, and the quantities of each.

A quantity is a number of each row, brought to the range from 0 to 1 and kept as a histogram: either
a share (the rows of which something is true), or a rank, the share of held-out rows whose value is
smaller. As long as nothing has changed, ranks are uniform.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np

from housing.schema import FEATURE_NAMES

# The values of a histogram. A rank between two of them counts for both, in parts, so that the mean
# stays exact; a bet on such a histogram never wins more than one on the ranks themselves would,
# as the logarithm is concave.
RANK_VALUES = np.linspace(0, 1, 21)
SHARE_VALUES = np.array([0.0, 1.0])


class Signal(StrEnum):
    """The parts of the report, from the one that says most about the model to the least."""

    CONTRACT = "data contract"
    ERROR = "error"
    COVERAGE = "coverage"
    ESTIMATED_ERROR = "estimated error"
    PREDICTION = "predictions"
    FEATURES = "features"
    JOINT = "joint distribution"
    LOCATION = "location"
    TRAFFIC = "traffic"


# of the budget of false alarms
SIGNAL_SHARES = {
    Signal.CONTRACT: 0.10,
    Signal.ERROR: 0.35,
    Signal.COVERAGE: 0.10,
    Signal.ESTIMATED_ERROR: 0.10,
    Signal.PREDICTION: 0.10,
    Signal.FEATURES: 0.10,
    Signal.JOINT: 0.05,
    Signal.LOCATION: 0.05,
    Signal.TRAFFIC: 0.05,
}


class Dimension(StrEnum):
    """The ways to slice the rows. The groups of CALLER are not known beforehand."""

    ALL = ""
    REGION = "region"
    PRICE = "predicted price"  # not the true one: it would not be known of all rows
    INCOME = "income"
    DISTANCE = "nearest training row"
    CALLER = "API key"


MODEL_DIMENSIONS = (Dimension.REGION, Dimension.PRICE, Dimension.INCOME, Dimension.DISTANCE)


class RowKind(StrEnum):
    """Which rows a quantity has, and on which day a row counts."""

    REQUESTS = "requests"  # all rows of the log, refused ones too, on the day of the request
    PREDICTIONS = "predictions"  # a sample of the answered rows, on the day of the request
    LABELLED = "labelled"  # a sample of those with a true value, on the day when it arrived


class Aspect(StrEnum):
    """What of a distribution is watched."""

    LOCATION = "location"  # the mean of the values
    SPREAD = "spread"  # the mean of |2 value - 1|


class Quantity(NamedTuple):
    """A quantity that is watched, and how it is sliced beside all rows together."""

    name: str
    signal: Signal
    rows: RowKind
    title: str
    dimensions: tuple[Dimension, ...] = ()
    aspects: tuple[Aspect, ...] = (Aspect.LOCATION,)
    is_share: bool = False
    unit: str = ""  # of the moments: "$", or the feature's


class HistogramKey(NamedTuple):
    """The name of a histogram: a quantity, for the rows of one group."""

    quantity: str
    dimension: Dimension = Dimension.ALL
    group: str = ""


BOTH_ASPECTS = (Aspect.LOCATION, Aspect.SPREAD)
BY_CALLER = (Dimension.CALLER,)
QUANTITIES = [
    Quantity(
        "refused", Signal.CONTRACT, RowKind.REQUESTS, "refused rows", BY_CALLER, is_share=True,
    ),
    # prediction minus true value
    Quantity("error", Signal.ERROR, RowKind.LABELLED, "error", MODEL_DIMENSIONS, unit="$"),
    Quantity(
        "absolute_error", Signal.ERROR, RowKind.LABELLED, "absolute error", MODEL_DIMENSIONS,
        unit="$",
    ),
    # outside of the interval
    Quantity(
        "missed", Signal.COVERAGE, RowKind.LABELLED, "values outside of their interval",
        MODEL_DIMENSIONS, is_share=True,
    ),
    # absolute error divided by half of the interval's width: 1 minus the conformal p-value
    Quantity("interval_rank", Signal.COVERAGE, RowKind.LABELLED, "error by interval width"),
    Quantity(
        "estimated_error", Signal.ESTIMATED_ERROR, RowKind.PREDICTIONS, "estimated absolute error",
        MODEL_DIMENSIONS, unit="$",
    ),
    Quantity(
        "prediction", Signal.PREDICTION, RowKind.PREDICTIONS, "prediction",
        (Dimension.REGION, Dimension.CALLER), BOTH_ASPECTS, unit="$",
    ),
    *(
        Quantity(name, Signal.FEATURES, RowKind.PREDICTIONS, name, aspects=BOTH_ASPECTS)
        for name in FEATURE_NAMES
    ),
    # score of a classifier that tells these rows from held-out ones; not kept by day
    Quantity("joint", Signal.JOINT, RowKind.PREDICTIONS, "score of the domain classifier"),
    Quantity(
        "distance", Signal.LOCATION, RowKind.PREDICTIONS, "distance to the nearest training row",
        unit="km",
    ),
    # of each region: the share of all rows that are in it
    Quantity(
        "in_region", Signal.LOCATION, RowKind.PREDICTIONS, "rows in the region",
        (Dimension.REGION,),
        is_share=True,
    ),
    Quantity(
        "warned", Signal.TRAFFIC, RowKind.PREDICTIONS, "rows with a warning", BY_CALLER,
        is_share=True,
    ),
]  # fmt: skip
QUANTITIES_BY_NAME = {quantity.name: quantity for quantity in QUANTITIES}
# kept beside those, for the track record: the estimates of the rows of which the error is known
LABELLED_ESTIMATE = "labelled_estimate"


def values_of(quantity: Quantity) -> np.ndarray:
    """Return the values of a quantity's histograms."""
    return SHARE_VALUES if quantity.is_share else RANK_VALUES
