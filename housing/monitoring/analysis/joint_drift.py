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
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from housing.monitoring.quantities import RANK_VALUES
from housing.monitoring.reference.rank_scale import RankScale, fit_rank_scale
from housing.monitoring.reference.row_counts import rank_weights
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
MAX_EXPLAINED_ROWS = 1_000  # the latest
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


class ReferenceHalf(NamedTuple):
    """Half of the reference rows, to train on, and the other half, that is unseen in training."""

    scales: list[RankScale]  # (8,) of the features, by the rows to train on
    terms: np.ndarray  # (m, n_terms) of these rows
    unseen_rows: np.ndarray  # (k, 8)
    unseen_terms: np.ndarray  # (k, n_terms)


@dataclass(frozen=True, eq=False)
class DomainClassifier:
    """Tells traffic from reference rows, and ranks scores among those of unseen reference rows."""

    half: ReferenceHalf
    coefficients: np.ndarray  # (n_terms,)

    def ranks(self, terms: np.ndarray) -> np.ndarray:
        """Return the (n,) ranks of the scores of (n, n_terms) rows, from 0 to 1."""
        return self._ranks(terms, self.half.unseen_terms)

    def _ranks(self, terms: np.ndarray, unseen_terms: np.ndarray) -> np.ndarray:
        unseen_scores = np.sort(unseen_terms @ self.coefficients)
        scores = terms @ self.coefficients
        smaller, not_larger = (
            np.searchsorted(unseen_scores, scores, side=side) for side in ("left", "right")
        )
        return (smaller + not_larger) / (2 * len(unseen_scores))

    def importances(self, rows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return the (8,) losses of the area under the ROC curve if a feature is shuffled."""
        all_rows = np.concatenate([rows, self.half.unseen_rows])
        areas = np.zeros((N_SHUFFLES, len(FEATURE_NAMES)))
        for repeat, index in np.ndindex(areas.shape):
            shuffled_rows = all_rows.copy()
            shuffled_rows[:, index] = generator.permutation(all_rows[:, index])
            terms = _terms(self.half.scales, shuffled_rows)
            areas[repeat, index] = self._ranks(terms[: len(rows)], terms[len(rows) :]).mean()
        return self.ranks(_terms(self.half.scales, rows)).mean() - areas.mean(axis=0)

    def contributions(self, rows: np.ndarray) -> np.ndarray:
        """Return what each term adds to the difference of the mean scores: (n_terms,) log odds."""
        difference = _terms(self.half.scales, rows).mean(axis=0) - self.half.unseen_terms.mean(
            axis=0
        )
        return self.coefficients * difference


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
    halves = _halves(reference_rows)
    traffic_terms = [_terms(half.scales, rows) for half in halves]
    for training, later in _blocks(np.bincount(day_numbers, minlength=len(days))):
        ranks = [
            _fit(half, terms[training]).ranks(terms[later])
            for half, terms in zip(halves, traffic_terms, strict=True)
        ]
        np.add.at(drift.histogram, day_numbers[later], rank_weights(np.mean(ranks, axis=0)))
    if len(rows) < 2 * MIN_ROWS:
        return drift
    return _explain(drift, rows[-MAX_EXPLAINED_ROWS:], halves, generator)


def _explain(
    drift: JointDrift,
    rows: np.ndarray,
    halves: Sequence[ReferenceHalf],
    generator: np.random.Generator,
) -> JointDrift:
    """Add what tells the rows from the reference, learnt from every other of them."""
    training_rows, other_rows = rows[::2], rows[1::2]
    classifiers = [_fit(half, _terms(half.scales, training_rows)) for half in halves]
    importances = [classifier.importances(other_rows, generator) for classifier in classifiers]
    contributions = [classifier.contributions(other_rows) for classifier in classifiers]
    pair_names = [f"{FEATURE_NAMES[first]} × {FEATURE_NAMES[second]}" for first, second in PAIRS]
    pairs = np.mean(contributions, axis=0)[-len(PAIRS) :]
    return replace(
        drift,
        importances=pd.Series(np.mean(importances, axis=0), FEATURE_NAMES).sort_values()[::-1],
        pairs=pd.Series(pairs, pair_names).sort_values()[::-1],
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


def _halves(reference_rows: np.ndarray) -> list[ReferenceHalf]:
    """Return both ways to use one half of the rows to train on, and the other one to compare."""
    first, second = np.array_split(reference_rows, 2)
    halves = []
    for rows, unseen_rows in ((first, second), (second, first)):
        scales = [fit_rank_scale(column) for column in rows.T]
        halves.append(
            ReferenceHalf(scales, _terms(scales, rows), unseen_rows, _terms(scales, unseen_rows))
        )
    return halves


def _fit(half: ReferenceHalf, terms: np.ndarray) -> DomainClassifier:
    """Fit a classifier to half of the reference rows and (n, n_terms) rows of the traffic."""
    all_terms = np.concatenate([half.terms, terms])
    spreads = np.maximum(all_terms.std(axis=0), MIN_SPREAD)
    is_traffic = np.arange(len(all_terms)) >= len(half.terms)
    regression = LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", max_iter=300)
    with threadpool_limits(1):  # the matrices are small; on a busy machine threads wait
        regression.fit((all_terms - all_terms.mean(axis=0)) / spreads, is_traffic)
    return DomainClassifier(half, regression.coef_[0] / spreads)


def _terms(scales: Sequence[RankScale], rows: np.ndarray) -> np.ndarray:
    """Return the (n, n_terms) normal scores of (n, 8) rows, their squares and their products."""
    ranks = np.stack([scale.ranks(rows[:, index]) for index, scale in enumerate(scales)], axis=1)
    scores = ndtri(np.clip(ranks, ndtr(-MAX_SCORE), ndtr(MAX_SCORE)))
    first, second = np.array(PAIRS).T
    return np.concatenate([scores, scores**2, scores[:, first] * scores[:, second]], axis=1)
