"""The estimated absolute error of a prediction whose true value is not known yet.

A model of the absolute error, fitted to held-out rows on what is known when a row is predicted:
the width of its interval, the distance to the nearest training row, and the prediction itself
(direct loss estimation, as in NannyML). It sees that the traffic has moved to rows that are hard to
predict. It cannot see that prices have changed: the same rows have the same estimate, whatever
their true values are by now. Only true values show that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

N_BINS = 10
N_FOLDS = 5


class ErrorRows(NamedTuple):
    """What is known of some rows before their true values are; (n,) each."""

    widths: np.ndarray  # of their intervals, in $100,000; NaN without one
    distances_km: np.ndarray  # to the nearest training row
    predictions: np.ndarray  # in $100,000


@dataclass(frozen=True, eq=False)
class ErrorTable:
    """The mean absolute error of held-out rows, by what is known of a row without its truth."""

    edges: np.ndarray  # between the bins of the width
    errors_usd: np.ndarray  # (bins,)

    def estimate(self, rows: ErrorRows) -> np.ndarray:
        """Return the (n,) estimated absolute errors in dollars."""
        return self.errors_usd[np.searchsorted(self.edges, np.nan_to_num(rows.widths))]


def fit_error_table(rows: ErrorRows, errors_usd: np.ndarray) -> ErrorTable:
    """Fit the table to held-out rows and their absolute errors, (n,)."""
    widths = np.nan_to_num(rows.widths)
    edges = np.unique(np.quantile(widths, np.arange(1, N_BINS) / N_BINS))
    bins = np.searchsorted(edges, widths)
    counts = np.bincount(bins, minlength=len(edges) + 1)
    sums = np.bincount(bins, errors_usd, minlength=len(edges) + 1)
    return ErrorTable(edges, np.where(counts > 0, sums / np.maximum(counts, 1), errors_usd.mean()))


def cross_fitted_estimates(rows: ErrorRows, errors_usd: np.ndarray) -> np.ndarray:
    """Return the (n,) estimates of held-out rows, each by a table that was fitted without it."""
    folds = np.random.default_rng(0).permutation(np.arange(len(errors_usd)) % N_FOLDS)
    estimates = np.empty(len(errors_usd))
    for fold in range(N_FOLDS):
        is_left_out = folds == fold
        training_rows = ErrorRows(*(column[~is_left_out] for column in rows))
        table = fit_error_table(training_rows, errors_usd[~is_left_out])
        estimates[is_left_out] = table.estimate(
            ErrorRows(*(column[is_left_out] for column in rows))
        )
    return estimates
