"""How large a change is, in a unit that people know: dollars, percent, or points of a share.

An alarm needs evidence and size: with a million rows, the evidence for a change that harms nobody
is overwhelming, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from housing.monitoring.analysis.streams import StreamKey, aspect_values
from housing.monitoring.counts import RowCounts
from housing.monitoring.quantities import Aspect, Dimension, HistogramKey, Quantity, Signal

MIN_BIAS_USD = 5_000  # of the mean error, or of the mean prediction
MIN_ERROR_GROWTH_PERCENT = 10  # of the mean absolute error
MIN_SHARE_POINTS = 5  # percentage points of a share
MIN_MISSED_POINTS = 3  # of the values outside of their interval, 10 % of which are promised
MIN_FEATURE_EFFECT_USD = 2_000  # of a feature's new distribution on the mean prediction
# of a mean rank: so large a shift is worth a look, whether or not the model leans on the feature
MIN_RANK_SHIFT = 0.1
MIN_SPREAD_SHIFT = 0.05  # of the spread of ranks: a fifth of the rows with one and the same value
MIN_JOINT_RANK_SHIFT = 0.05  # the mean rank is the area under the ROC curve


class Effect(NamedTuple):
    """The size of a change."""

    is_large: bool
    text: str  # what has changed, as a clause
    usd: float | None = None  # on the error, or on the prediction


class Comparison(NamedTuple):
    """Rows beside the held-out ones, as one stream sees both."""

    quantity: Quantity
    aspect: Aspect
    shares: np.ndarray  # (n_values,) of the rows
    reference_shares: np.ndarray  # (n_values,)
    mean: float  # in the unit of the quantity; NaN where it has none
    reference_mean: float

    @property
    def shift(self) -> float:
        """The difference of the means of the stream, from 0 to 1."""
        values = aspect_values(self.quantity, self.aspect)
        return float((self.shares - self.reference_shares) @ values)


def compare(
    quantity: Quantity, stream_key: StreamKey, rows: RowCounts, reference: RowCounts
) -> Comparison:
    """Return some rows of a stream beside the held-out ones; callers are compared with all."""
    key = stream_key.histogram
    reference_key = HistogramKey(key.quantity) if key.dimension == Dimension.CALLER else key
    shares = _normalize(rows.histograms[key])
    reference_histogram = reference.histograms.get(reference_key)
    if reference_histogram is None:  # nothing is refused among the held-out rows
        reference_shares = np.eye(len(shares))[0]
    else:
        reference_shares = _normalize(reference_histogram)
    means = _mean(rows, key), _mean(reference, reference_key)
    return Comparison(quantity, stream_key.aspect, shares, reference_shares, *means)


def measure_effect(comparison: Comparison, prediction_by_value: Mapping[str, np.ndarray]) -> Effect:
    """Return how large a change is.

    prediction_by_value: by feature, (n_values,) the mean prediction in dollars.
    """
    quantity = comparison.quantity
    if quantity.is_share:
        return _share_effect(comparison)
    if quantity.signal == Signal.FEATURES:
        return _feature_effect(comparison, prediction_by_value[quantity.name])
    if quantity.signal == Signal.JOINT:
        text = "a classifier tells these rows from the held-out ones, "
        text += f"with an area under the ROC curve of {0.5 + comparison.shift:.2f}"
        return Effect(comparison.shift >= MIN_JOINT_RANK_SHIFT, text)
    if quantity.unit == "$" and comparison.aspect == Aspect.LOCATION:
        return _dollar_effect(comparison)
    return Effect(_is_large_shift(comparison), describe_shift(comparison))


def _share_effect(comparison: Comparison) -> Effect:
    share, normal_share = comparison.shares[1], comparison.reference_shares[1]
    is_coverage = comparison.quantity.signal == Signal.COVERAGE
    min_points = MIN_MISSED_POINTS if is_coverage else MIN_SHARE_POINTS
    text = f"{share:.1%} {comparison.quantity.title}, {normal_share:.1%} of the held-out rows"
    return Effect(bool(abs(share - normal_share) * 100 >= min_points), text)


def _dollar_effect(comparison: Comparison) -> Effect:
    title, mean, normal_mean = comparison.quantity.title, comparison.mean, comparison.reference_mean
    difference = mean - normal_mean
    if comparison.quantity.name == "error":
        direction = "high" if mean > 0 else "low"
        text = f"predictions are ${abs(mean):,.0f} too {direction} on average"
        return Effect(abs(difference) >= MIN_BIAS_USD, text, difference)
    if comparison.quantity.name == "prediction":
        text = f"mean prediction ${mean:,.0f}, ${normal_mean:,.0f} for the held-out rows"
        return Effect(abs(difference) >= MIN_BIAS_USD, text, difference)
    percent = difference / normal_mean * 100
    change = f"{abs(percent):.0f} % {'more' if percent > 0 else 'less'}"
    text = f"mean {title} ${mean:,.0f}, {change} than the ${normal_mean:,.0f} of the held-out rows"
    return Effect(percent >= MIN_ERROR_GROWTH_PERCENT, text, difference)


def _feature_effect(comparison: Comparison, prediction_by_value: np.ndarray) -> Effect:
    usd = float((comparison.shares - comparison.reference_shares) @ prediction_by_value)
    is_large = abs(usd) >= MIN_FEATURE_EFFECT_USD or _is_large_shift(comparison)
    text = f"{describe_shift(comparison)}; this {'raises' if usd > 0 else 'lowers'} "
    return Effect(is_large, f"{text}the mean prediction by about ${abs(usd):,.0f}", usd)


def _is_large_shift(comparison: Comparison) -> bool:
    limits = {Aspect.LOCATION: MIN_RANK_SHIFT, Aspect.SPREAD: MIN_SPREAD_SHIFT}
    return abs(comparison.shift) >= limits[comparison.aspect]


def describe_shift(comparison: Comparison) -> str:
    """Return where a distribution has gone, in the unit of the quantity if it has one."""
    title, shift = comparison.quantity.title, comparison.shift
    if comparison.aspect == Aspect.SPREAD:
        return f"{title} is spread more {'widely' if shift > 0 else 'narrowly'}"
    if np.isfinite(comparison.mean) and np.isfinite(comparison.reference_mean):
        means = f"{comparison.mean:,.4g} in place of {comparison.reference_mean:,.4g}"
        return f"mean {title} {means} {comparison.quantity.unit}".rstrip()
    return f"{title} is {'higher' if shift > 0 else 'lower'}"


def _normalize(histogram: np.ndarray) -> np.ndarray:
    return histogram / histogram.sum()


def _mean(counts: RowCounts, key: HistogramKey) -> float:
    rows, total, _ = counts.moments.get(key, np.zeros(3))
    return float(total / rows) if rows else float("nan")
