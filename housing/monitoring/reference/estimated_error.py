"""The estimated absolute error of a prediction whose true value is not known yet.

A model of the absolute error, fitted to held-out rows, of what is known when a row is predicted
(direct loss estimation, as in NannyML): a curve of the interval's width, multiplied by a factor for
the distance to the nearest training row, one for the price and one for the income. The factors are
such that in each band the estimates add up to the errors (the method of marginal totals, Bailey,
1963); the curve never falls (isotonic regression).

It sees that the traffic has moved to rows that are hard to predict. It cannot see that prices have
changed: a row has the same estimate, whatever its true value is by now. Only true values show that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from sklearn.isotonic import IsotonicRegression

from housing.evaluation.slices import DISTANCE_EDGES_KM, INCOME_EDGES, PRICE_EDGES

N_ROUNDS = 5  # in which curve and factors are fitted in turn; they have settled by then
# Rows with an ordinary error that each band has in addition: a factor of few rows is near 1.
PRIOR_ROWS = 20
MIN_ERROR_USD = 1.0  # that the curve is never below, as errors are divided by it
N_FOLDS = 5
BAND_EDGES = (DISTANCE_EDGES_KM[1:-1], PRICE_EDGES[1:-1], INCOME_EDGES[1:-1])


class ErrorRows(NamedTuple):
    """What is known of some rows before their true values are; (n,) each."""

    widths: np.ndarray  # of their intervals, in $100,000; NaN without one
    distances_km: np.ndarray  # to the nearest training row
    predictions: np.ndarray  # in $100,000
    incomes: np.ndarray  # $10,000 a year

    def select(self, is_selected: np.ndarray) -> ErrorRows:
        """Return some of the rows. is_selected: (n,) of bool."""
        return ErrorRows(*(column[is_selected] for column in self))

    def bands(self) -> list[np.ndarray]:
        """Return the (n,) numbers of the bands of distance, price and income."""
        columns = zip(BAND_EDGES, self[1:], strict=True)
        return [np.searchsorted(edges, column) for edges, column in columns]


@dataclass(frozen=True, eq=False)
class ErrorTable:
    """The mean absolute error of held-out rows, by what is known of a row without its truth."""

    widths: np.ndarray  # (m,) ascending, in $100,000; a single NaN for a model without intervals
    errors_usd: np.ndarray  # (m,) at these widths; between them the curve is linear
    factors: tuple[np.ndarray, ...]  # of each band of distance, price and income: `ErrorRows.bands`

    def estimate(self, rows: ErrorRows) -> np.ndarray:
        """Return the (n,) estimated absolute errors in dollars.

        NaN for a row without an interval if the held-out rows have intervals.
        """
        return self._curve(rows.widths) * self._row_factors(rows)

    def fit_factor(self, number: int, rows: ErrorRows, errors_usd: np.ndarray) -> ErrorTable:
        """Return a table whose estimates add up to the errors in each band of one dimension."""
        bands, factors = rows.bands()[number], list(self.factors)
        estimates = self.estimate(rows) / factors[number][bands]
        prior_usd = PRIOR_ROWS * errors_usd.mean()
        sums, expected_sums = (
            np.bincount(bands, column, len(factors[number])) + prior_usd
            for column in (errors_usd, estimates)
        )
        factors[number] = sums / expected_sums
        return replace(self, factors=tuple(factors))

    def fit_curve(self, rows: ErrorRows, errors_usd: np.ndarray) -> ErrorTable:
        """Return a table with the curve that fits its factors best."""
        row_factors, has_width = self._row_factors(rows), ~np.isnan(rows.widths)
        if not has_width.any():
            mean_error = errors_usd.sum() / row_factors.sum()
            return replace(self, widths=np.array([np.nan]), errors_usd=np.array([mean_error]))
        curve = IsotonicRegression(y_min=MIN_ERROR_USD).fit(
            rows.widths[has_width],
            (errors_usd / row_factors)[has_width],
            sample_weight=row_factors[has_width],
        )
        return replace(self, widths=curve.X_thresholds_, errors_usd=curve.y_thresholds_)

    def _curve(self, widths: np.ndarray) -> np.ndarray:
        if np.isnan(self.widths).all():
            return np.full(len(widths), self.errors_usd[0])
        return np.interp(widths, self.widths, self.errors_usd)

    def _row_factors(self, rows: ErrorRows) -> np.ndarray:
        factors = zip(self.factors, rows.bands(), strict=True)
        return np.prod([by_band[bands] for by_band, bands in factors], axis=0)


def fit_error_table(rows: ErrorRows, errors_usd: np.ndarray) -> ErrorTable:
    """Fit the table to held-out rows and their absolute errors, (n,)."""
    no_factors = tuple(np.ones(len(edges) + 1) for edges in BAND_EDGES)
    table = ErrorTable(np.array([np.nan]), np.array([np.nan]), no_factors)
    for _ in range(N_ROUNDS):
        table = table.fit_curve(rows, errors_usd)
        for number in range(len(BAND_EDGES)):
            table = table.fit_factor(number, rows, errors_usd)
    return table


def cross_fitted_estimates(rows: ErrorRows, errors_usd: np.ndarray) -> np.ndarray:
    """Return the (n,) estimates of held-out rows, each by a table that was fitted without it."""
    folds = np.random.default_rng(0).permutation(np.arange(len(errors_usd)) % N_FOLDS)
    estimates = np.empty(len(errors_usd))
    for fold in range(N_FOLDS):
        is_left_out = folds == fold
        table = fit_error_table(rows.select(~is_left_out), errors_usd[~is_left_out])
        estimates[is_left_out] = table.estimate(rows.select(is_left_out))
    return estimates
