"""Which classifier tells rows with a broken dependence from held-out ones, and at what cost.

.venv/bin/python -m benchmarks.monitoring.domain_classifiers [--repetitions 4]

Incomes are exchanged among the rows, so that each feature looks as always. A classifier is trained
on some of these rows and on half of 2,000 held-out rows; the area under the ROC curve is that of
3,000 others and the other half.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri
from sklearn.base import BaseEstimator
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.monitoring.deployment import deploy
from housing.monitoring.reference.rank_scale import fit_rank_scale
from housing.schema import FEATURE_NAMES

ROW_COUNTS = [200, 500, 2_000]  # that the classifier is trained on
N_LATER_ROWS = 3_000
N_REFERENCE_ROWS = 2_000


def main() -> None:
    """Print a Markdown table with a row per classifier."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=4)
    n_repetitions = parser.parse_args().repetitions
    table = []
    for name, build in classifiers().items():
        row: dict[str, str] = {"classifier": name}
        for n_rows in ROW_COUNTS:
            results = [measure(build, n_rows, seed) for seed in range(n_repetitions)]
            area, seconds = np.mean(results, axis=0)
            row[f"{n_rows:,} rows"] = f"{area:.3f} ({seconds * 1e3:.0f} ms)"
        table.append(row)
    print("Area under the ROC curve (processor time of a fit and the scores)\n")
    print(pd.DataFrame(table).to_markdown(index=False))


def classifiers() -> dict[str, Callable[[], BaseEstimator]]:
    """Return the classifiers; the first one is like that of `joint_drift`."""
    reference_rows = deploy(0).held_out[FEATURE_NAMES].to_numpy()
    scales = [fit_rank_scale(column) for column in reference_rows.T]

    def normal_scores(rows: np.ndarray) -> np.ndarray:
        columns = zip(scales, rows.T, strict=True)
        ranks = np.stack([scale.ranks(column) for scale, column in columns], axis=1)
        return ndtri(np.clip(ranks, ndtr(-3), ndtr(3)))

    return {
        "logistic regression on normal scores, squares and products": lambda: make_pipeline(
            FunctionTransformer(normal_scores),
            PolynomialFeatures(2, include_bias=False),
            StandardScaler(),
            LogisticRegression(C=0.3, class_weight="balanced", max_iter=300),
        ),
        "boosted trees, 60 of 8 leaves": lambda: HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=8, class_weight="balanced", random_state=0
        ),
        "boosted trees, 100 of 16 leaves": lambda: HistGradientBoostingClassifier(
            max_leaf_nodes=16, learning_rate=0.07, l2_regularization=5,
            class_weight="balanced", random_state=0,
        ),
        "200 extremely randomized trees": lambda: ExtraTreesClassifier(
            200, min_samples_leaf=5, max_features=4, class_weight="balanced", random_state=0
        ),
    }  # fmt: skip


def measure(build: Callable[[], BaseEstimator], n_rows: int, seed: int) -> tuple[float, float]:
    """Return the area under the ROC curve of later rows, and the seconds of processor time."""
    deployment = deploy(0)
    held_out = deployment.held_out.sample(N_REFERENCE_ROWS, random_state=seed)
    first, second = np.array_split(held_out[FEATURE_NAMES].to_numpy(), 2)
    shuffled = deployment.population.sample(n_rows + N_LATER_ROWS, random_state=seed)
    incomes = np.random.default_rng(seed).permutation(shuffled.MedInc.to_numpy())
    rows = shuffled.assign(MedInc=incomes)[FEATURE_NAMES].to_numpy()
    with threadpool_limits(1):
        started_at = time.process_time()
        classifier = build().fit(
            np.concatenate([first, rows[:n_rows]]), np.repeat([0, 1], [len(first), n_rows])
        )
        scores = classifier.predict_proba(np.concatenate([second, rows[n_rows:]]))[:, 1]
        seconds = time.process_time() - started_at
    return roc_auc_score(np.repeat([0, 1], [len(second), N_LATER_ROWS]), scores), seconds


if __name__ == "__main__":
    main()
