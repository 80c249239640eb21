"""The range of each feature that goes with the others: finds combinations unlike the training data.

Eight ordinary numbers may contradict each other: an income in another unit, two columns swapped.
From the other features and from the block groups around it, a linear regression expects a value of
each feature, and how far off it may be (a location-scale model; Harvey, Estimating Regression
Models with Multiplicative Heteroscedasticity, 1976). The limits are those of held-out rows.

Needs numpy and pykdtree only, as the service uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from housing.inference.neighbors import NeighborIndex
from housing.schema import COORDINATE_NAMES, FEATURE_NAMES

MARKED_SHARE = 0.01  # of held-out training rows
MIN_ROWS = 200  # fewer say nothing about combinations
N_SURROUNDING_ROWS = 10  # nearest training rows, which describe a place
N_FOLDS = 10  # in which each training row is held out once
N_FEATURES = len(FEATURE_NAMES) - len(COORDINATE_NAMES)  # the coordinates are the last columns
N_SURROUNDING_TERMS = 2 * N_FEATURES + 2  # columns of `_describe_places`
LINEAR_INDEX = FEATURE_NAMES.index("HouseAge")  # the others are compared by their logarithms
SMALLEST_VALUE = 1e-3  # as 0 has no logarithm
MAX_SQUARE = 9.0  # three standard deviations; a larger square would outweigh all other terms
MAX_LOG_SPREAD = 3.0
RESIDUAL_FLOOR = 0.02  # standard deviations, added so that the logarithm is finite
LIMIT_FLOOR = 1e-9  # the limit of a feature that is the same in all rows
MAX_DEGREES = 0.2  # 22 km: the distance of few held-out rows is larger
DEGREES_FLOOR = 0.01  # the coordinates' last digit


class ConditionalRanges(NamedTuple):
    """What the other features and the surroundings let expect of six features, all but the place.

    Features are standardized: logarithms, or the house age as it is, in robust standard deviations.
    """

    center: np.ndarray  # (6,) medians
    scale: np.ndarray  # (6,) standard deviations
    place_terms: np.ndarray  # (places, 12) expected values and log spreads, by the surroundings
    weights: np.ndarray  # (13, 12) of `_row_terms`; a feature has none for itself
    limits: np.ndarray  # (2, 6) lowest and highest ordinary residual, in units of the spread


def fit(rows: np.ndarray, points: np.ndarray, places: np.ndarray) -> dict[str, Any]:
    """Fit the ranges to (n, 8) training rows; return them for JSON, as `from_fields` reads them.

    points: (n, 2) the rows' locations in a space of degrees. places: (p, 2) the different ones. n
    is at least `MIN_ROWS`.
    """
    logs = _comparable_values(rows)
    lower, center, upper = np.quantile(logs, [0.25, 0.5, 0.75], axis=0)
    scale = np.where(upper > lower, (upper - lower) / 1.349, 1.0)
    standardized = (logs - center) / scale
    surroundings, degrees = _held_out_surroundings(standardized, points)
    terms = np.hstack([_row_terms(standardized, degrees), surroundings])
    coefficients = _fit_regressions(terms, standardized)
    n_row_terms = terms.shape[1] - N_SURROUNDING_TERMS
    place_terms = _describe_places(standardized, points, places) @ coefficients[n_row_terms:]
    return {
        "center": center.tolist(),
        "scale": scale.tolist(),
        "place_terms": place_terms.round(3).tolist(),
        "weights": coefficients[:n_row_terms].tolist(),
        "limits": _calibrate_limits(_residuals(standardized, terms @ coefficients)).tolist(),
    }


def from_fields(fields: Mapping[str, Any]) -> ConditionalRanges:
    """Read what `fit` has returned. Raises KeyError if a field is missing."""
    return ConditionalRanges(*[np.array(fields[name]) for name in ConditionalRanges._fields])


def relative_residuals(
    ranges: ConditionalRanges, rows: np.ndarray, place_numbers: np.ndarray, degrees: np.ndarray
) -> np.ndarray:
    """Return (n, 6): how far each feature is from what is expected; above 1 outside its range.

    place_numbers, degrees: (n,) the nearest place of each of (n, 8) rows, and how far it is.
    """
    standardized = (_comparable_values(rows) - ranges.center) / ranges.scale
    residuals = _residuals(standardized, _fitted(ranges, standardized, place_numbers, degrees))
    return _relative_to(ranges.limits, residuals)


def bounds(
    ranges: ConditionalRanges, rows: np.ndarray, place_numbers: np.ndarray, degrees: np.ndarray
) -> np.ndarray:
    """Return (2, n, 6): both ends of each feature's range, in its own unit.

    Arguments as for `relative_residuals`.
    """
    standardized = (_comparable_values(rows) - ranges.center) / ranges.scale
    fitted = _fitted(ranges, standardized, place_numbers, degrees)
    ends = fitted[:, :N_FEATURES] + ranges.limits[:, None] * _spreads(fitted)
    ends = ends * ranges.scale + ranges.center
    is_linear = np.arange(N_FEATURES) == LINEAR_INDEX
    return np.where(is_linear, ends, np.exp(np.where(is_linear, 0, ends)))


def _comparable_values(rows: np.ndarray) -> np.ndarray:
    """Return (n, 6): the logarithms of the features, and the house age as it is."""
    values = rows[:, :N_FEATURES]
    logs = np.log(np.maximum(values, SMALLEST_VALUE))
    logs[:, LINEAR_INDEX] = values[:, LINEAR_INDEX]
    return logs


def _row_terms(standardized: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Return (n, 13): the features, their squares, and how far the nearest place is."""
    squares = np.minimum(standardized * standardized, MAX_SQUARE)
    log_distance = np.log(np.minimum(degrees, MAX_DEGREES) + DEGREES_FLOOR)
    return np.concatenate([standardized, squares, log_distance[:, None]], 1)


def _fitted(
    ranges: ConditionalRanges,
    standardized: np.ndarray,
    place_numbers: np.ndarray,
    degrees: np.ndarray,
) -> np.ndarray:
    """Return (n, 12) expected values and log spreads."""
    row_terms = _row_terms(standardized, degrees)
    return ranges.place_terms.take(place_numbers, 0) + row_terms @ ranges.weights


def _spreads(fitted: np.ndarray) -> np.ndarray:
    log_spreads = np.minimum(fitted[:, N_FEATURES:], MAX_LOG_SPREAD)  # faster than clip
    return np.exp(np.maximum(log_spreads, -MAX_LOG_SPREAD))


def _residuals(standardized: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Return (n, 6) residuals in units of their spreads."""
    return (standardized - fitted[:, :N_FEATURES]) / _spreads(fitted)


def _held_out_surroundings(
    standardized: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the rows' nearest places look like without the rows themselves, and how far."""
    fold_numbers = np.random.default_rng(0).permutation(len(points)) % N_FOLDS
    surroundings = np.empty((len(points), N_SURROUNDING_TERMS))
    degrees = np.empty(len(points))
    for number in range(N_FOLDS):
        kept, held_out = fold_numbers != number, fold_numbers == number
        nearest = NeighborIndex(points[kept]).query(points[held_out], 1)
        degrees[held_out] = nearest.distances[:, 0]
        places = points[kept][nearest.indices[:, 0]]
        surroundings[held_out] = _describe_places(standardized[kept], points[kept], places)
    return surroundings, degrees


def _describe_places(
    standardized: np.ndarray, points: np.ndarray, places: np.ndarray
) -> np.ndarray:
    """Return (p, 14): a constant, means and log deviations of the nearest rows, and their reach."""
    nearest = NeighborIndex(points).query(places, N_SURROUNDING_ROWS)
    neighbors = standardized[nearest.indices]
    return np.column_stack(
        [
            np.ones(len(places)),
            neighbors.mean(1),
            np.log(neighbors.std(1) + 0.1),
            np.log(nearest.distances[:, -1] + DEGREES_FLOOR),
        ]
    )


def _fit_regressions(terms: np.ndarray, standardized: np.ndarray) -> np.ndarray:
    """Return (terms, 12) coefficients of expected values and of log spreads.

    Those of a feature's own terms are 0.
    """
    coefficients = np.zeros((terms.shape[1], 2 * N_FEATURES))
    for feature in range(N_FEATURES):
        own_terms = [feature, N_FEATURES + feature]
        other_terms = np.delete(np.arange(terms.shape[1]), own_terms)
        expected = _least_squares(terms[:, other_terms], standardized[:, feature])
        errors = np.abs(standardized[:, feature] - terms[:, other_terms] @ expected)
        coefficients[other_terms, feature] = expected
        coefficients[other_terms, N_FEATURES + feature] = _least_squares(
            terms[:, other_terms], np.log(errors + RESIDUAL_FLOOR)
        )
    return coefficients


def _least_squares(terms: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(terms, values, rcond=None)[0]


def _calibrate_limits(residuals: np.ndarray) -> np.ndarray:
    """Return (2, 6) limits that all residuals keep but those of `MARKED_SHARE` of the rows.

    Each limit is left by about as many rows, so that no feature takes up the share of the others.
    """
    share = MARKED_SHARE / (2 * N_FEATURES)
    low, high = np.quantile(residuals, [share, 1 - share], axis=0)
    limits = np.stack([np.minimum(low, -LIMIT_FLOOR), np.maximum(high, LIMIT_FLOOR)])
    largest = _relative_to(limits, residuals).max(1)
    factor = np.quantile(largest, 1 - MARKED_SHARE, method="higher")
    return limits * (factor or 1.0)


def _relative_to(limits: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """Return (n, 6) shares of the limit on the residual's side: above 1 outside."""
    return np.maximum(residuals / limits[0], residuals / limits[1])
