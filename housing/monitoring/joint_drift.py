"""The joint distribution of the features, judged by a classifier that tells traffic from reference.

Each feature may look as always, and yet their combinations may not: high incomes, say, among few
rooms. A classifier is trained on the rows of earlier days and on half of the reference rows, and
scores later rows and the other half. If nothing has changed, both halves and the traffic are alike,
so the rank of a row's score among those of the other half is one half on average, whatever the
classifier has learnt; and it learns from earlier days only, so betting on later ranks is fair. The
roles of the halves are exchanged, and the two ranks averaged. The mean rank is the area under the
ROC curve. Lopez-Paz and Oquab, Revisiting classifier two-sample tests (2017, arXiv 1610.06545).

The classifier is a logistic regression on the features' normal scores, their squares and their
products: on this data it finds a broken dependence with fewer rows than boosted trees or forests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri
from sklearn.linear_model import LogisticRegression

from housing.monitoring.quantities import RANK_VALUES
from housing.monitoring.rank_scale import RankScale, fit_rank_scale
from housing.monitoring.row_counts import rank_weights
from housing.schema import FEATURE_NAMES

MIN_ROWS = 200  # of earlier days that the first classifier is trained on, and of reference rows
MIN_NEW_ROWS = 100  # by which the next is trained at the earliest
MAX_TRAINING_ROWS = 2_000  # the latest rows: those before may be from before a change
# A classifier is trained again after a tenth of the days so far: of a year, some 40 times.
REFIT_SHARE = 0.1
INVERSE_PENALTY = 0.3
MAX_SCORE = 3.0  # normal scores beyond it are clipped
MIN_SPREAD = 1e-9  # of a feature that is the same everywhere
PAIRS = list(combinations(range(len(FEATURE_NAMES)), 2))
N_SHUFFLES = 3


@dataclass(frozen=True)
class JointDrift:
    """What the classifiers say of the traffic."""

    # (n_days, 21): the ranks of each day's rows; zero before there were enough rows to learn from
    histogram: np.ndarray
    reference_histogram: np.ndarray  # (21,) the ranks of reference rows among each other
    # by feature: how much of the area under the ROC curve of the latest rows is lost if the feature
    # is shuffled; the largest first. Empty if there are too few rows
    importances: pd.Series
    # by pair of features, "MedInc × AveRooms": how much the product of their normal scores adds to
    # the difference between the mean scores (log odds) of traffic and reference; the largest first
    pairs: pd.Series


@dataclass(frozen=True, eq=False)
class DomainClassifier:
    """Tells traffic from reference rows, and ranks scores among those of unseen reference rows."""

    scales: tuple[RankScale, ...]  # of the features
    centers: np.ndarray  # (n_terms,)
    spreads: np.ndarray  # (n_terms,)
    coefficients: np.ndarray  # (n_terms,)
    unseen_rows: np.ndarray  # (m, 8) reference rows that it was not trained on

    def terms(self, rows: np.ndarray) -> np.ndarray:
        """Return the (n, n_terms) standardized columns that the regression sees of (n, 8) rows."""
        return (_terms(self.scales, rows) - self.centers) / self.spreads

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """Return the (n,) log odds, up to a constant, that rows are traffic."""
        return self.terms(rows) @ self.coefficients

    def ranks(self, rows: np.ndarray) -> np.ndarray:
        """Return the (n,) ranks of the scores among those of the unseen reference rows."""
        return fit_rank_scale(self.scores(self.unseen_rows)).ranks(self.scores(rows))


def score_days(
    sample: pd.DataFrame, reference_sample: pd.DataFrame, days: Sequence[date], seed: int = 0
) -> JointDrift:
    """Rank the rows of each day by how unlike the reference rows they are.

    sample: day, and the features, of some rows of each day. reference_sample: held-out rows. days:
    those of the histogram, in order; rows of other days are left out. Without enough rows, or
    reference rows, nothing is ranked.
    """
    day_numbers, rows = _rows_in_order(sample, days)
    generator = np.random.default_rng(seed)
    reference_rows = generator.permutation(reference_sample[FEATURE_NAMES].to_numpy(float))
    drift = _no_drift(len(days), len(reference_rows))
    if len(reference_rows) < MIN_ROWS:
        return drift
    for training, later in _blocks(np.bincount(day_numbers, minlength=len(days))):
        classifiers = _fit_both(rows[training], reference_rows)
        ranks = np.mean([classifier.ranks(rows[later]) for classifier in classifiers], axis=0)
        np.add.at(drift.histogram, day_numbers[later], rank_weights(ranks))
    if len(rows) < 2 * MIN_ROWS:
        return drift
    earlier_rows, later_rows = np.array_split(rows[-MAX_TRAINING_ROWS:], 2)
    classifiers = _fit_both(earlier_rows, reference_rows)
    return replace(
        drift,
        importances=_importances(classifiers, later_rows, generator),
        pairs=_pair_contributions(classifiers, later_rows),
    )


def _rows_in_order(sample: pd.DataFrame, days: Sequence[date]) -> tuple[np.ndarray, np.ndarray]:
    """Return the (n,) number of each row's day, ascending, and the (n, 8) features."""
    day_numbers = pd.Index(days).get_indexer(pd.Index(pd.to_datetime(sample["day"]).dt.date))
    features = sample[FEATURE_NAMES].to_numpy(float)
    order = np.argsort(day_numbers, kind="stable")
    order = order[(day_numbers >= 0)[order] & np.isfinite(features).all(axis=1)[order]]
    return day_numbers[order], features[order]


def _no_drift(n_days: int, n_reference_rows: int) -> JointDrift:
    """Return the drift of days of which nothing is known.

    The ranks of unseen reference rows among each other are uniform by their definition.
    """
    ranks = (np.arange(n_reference_rows) + 0.5) / max(n_reference_rows, 1)
    empty = pd.Series(dtype=float)
    return JointDrift(
        np.zeros((n_days, len(RANK_VALUES))), rank_weights(ranks).sum(axis=0), empty, empty
    )


def _blocks(row_counts: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Yield for each classifier the rows that it is trained on, and the later rows that it scores.

    row_counts: (n_days,). When a classifier is trained depends on earlier days alone.
    """
    starts = np.concatenate([[0], np.cumsum(row_counts)]).tolist()  # of each day's rows
    fit_days: list[int] = []
    for day in range(len(row_counts)):
        if _is_due(day, starts, fit_days):
            fit_days.append(day)
    for day, end_day in pairwise([*fit_days, len(row_counts)]):
        start, end = starts[day], starts[end_day]
        if end > start:
            yield slice(max(0, start - MAX_TRAINING_ROWS), start), slice(start, end)


def _is_due(day: int, starts: Sequence[int], fit_days: Sequence[int]) -> bool:
    """Return whether a classifier is to be trained on the rows before a day."""
    if not fit_days:
        return starts[day] >= MIN_ROWS
    n_rows = starts[fit_days[-1]]
    min_new_rows = max(MIN_NEW_ROWS, min(n_rows, MAX_TRAINING_ROWS) / 2)
    return starts[day] - n_rows >= min_new_rows and day - fit_days[-1] >= REFIT_SHARE * day


def _fit_both(rows: np.ndarray, reference_rows: np.ndarray) -> list[DomainClassifier]:
    """Fit a classifier with each half of the reference rows; the other half is unseen by it."""
    first, second = np.array_split(reference_rows, 2)
    return [_fit(rows, first, second), _fit(rows, second, first)]


def _fit(rows: np.ndarray, reference_rows: np.ndarray, unseen_rows: np.ndarray) -> DomainClassifier:
    scales = tuple(fit_rank_scale(column) for column in reference_rows.T)
    terms = _terms(scales, np.concatenate([reference_rows, rows]))
    centers, spreads = terms.mean(axis=0), np.maximum(terms.std(axis=0), MIN_SPREAD)
    is_traffic = np.arange(len(terms)) >= len(reference_rows)
    regression = LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", max_iter=300)
    regression.fit((terms - centers) / spreads, is_traffic)
    return DomainClassifier(scales, centers, spreads, regression.coef_[0], unseen_rows)


def _terms(scales: Sequence[RankScale], rows: np.ndarray) -> np.ndarray:
    """Return the (n, n_terms) normal scores of (n, 8) rows, their squares and their products."""
    ranks = np.stack([scale.ranks(rows[:, index]) for index, scale in enumerate(scales)], axis=1)
    scores = ndtri(np.clip(ranks, ndtr(-MAX_SCORE), ndtr(MAX_SCORE)))
    first, second = np.array(PAIRS).T
    return np.concatenate([scores, scores**2, scores[:, first] * scores[:, second]], axis=1)


def _importances(
    classifiers: Sequence[DomainClassifier], rows: np.ndarray, generator: np.random.Generator
) -> pd.Series:
    """Return how much of the area under the ROC curve is lost if a feature is shuffled."""
    losses = np.zeros(len(FEATURE_NAMES))
    for classifier in classifiers:
        all_rows = np.concatenate([rows, classifier.unseen_rows])
        area = _area(classifier.scores(all_rows), len(rows))
        for index in np.tile(np.arange(len(FEATURE_NAMES)), N_SHUFFLES).tolist():
            shuffled_rows = all_rows.copy()
            shuffled_rows[:, index] = generator.permutation(all_rows[:, index])
            losses[index] += area - _area(classifier.scores(shuffled_rows), len(rows))
    means = losses / N_SHUFFLES / len(classifiers)
    return pd.Series(means, FEATURE_NAMES).sort_values(ascending=False)


def _area(scores: np.ndarray, n_rows: int) -> float:
    """Return the area under the ROC curve. scores: of n_rows of the traffic, then of others."""
    return float(fit_rank_scale(scores[n_rows:]).ranks(scores[:n_rows]).mean())


def _pair_contributions(classifiers: Sequence[DomainClassifier], rows: np.ndarray) -> pd.Series:
    """Return how much each product adds to the difference between the mean scores."""
    contributions = [
        classifier.coefficients
        * (
            classifier.terms(rows).mean(axis=0)
            - classifier.terms(classifier.unseen_rows).mean(axis=0)
        )
        for classifier in classifiers
    ]
    names = [f"{FEATURE_NAMES[first]} × {FEATURE_NAMES[second]}" for first, second in PAIRS]
    means = np.mean(contributions, axis=0)[-len(PAIRS) :]
    return pd.Series(means, names).sort_values(ascending=False)
