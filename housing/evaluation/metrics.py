"""Scores of predictions in the units a person thinks in: dollars, and percent of the true value."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import RegressorMixin
from sklearn.inspection import permutation_importance
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from threadpoolctl import threadpool_limits

from housing.evaluation.slices import (
    age_band,
    distance_band,
    errors_by_group,
    errors_by_slice,
    income_band,
    price_band,
    worst_groups,
)
from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES, HOUSE_VALUE_CAP, TARGET, USD_PER_UNIT
from housing.training import folds
from housing.training.folds import FoldIndices
from housing.training.search import SearchResult

__all__ = [
    "age_band",
    "compare_families",
    "distance_band",
    "errors_by_group",
    "errors_by_slice",
    "extrapolated_rmse_ratio",
    "feature_importance",
    "income_band",
    "interval_coverage",
    "learning_curve",
    "price_band",
    "random_vs_spatial_scores",
    "regression_scores",
    "rmse_drop_per_doubling",
    "scores_by_cap",
    "scores_with_intervals",
    "search_learning_curve",
    "summary_metrics",
    "worst_groups",
]

RANDOM_FOLDS_LABEL = "a place among known places"
SPATIAL_FOLDS_LABEL = "a place without data nearby"
# $450,000: a model that predicts more than this of a capped row has recognized an expensive place
NEAR_CAP_THRESHOLD = 4.5
RESAMPLES_PER_CHUNK = 50  # resamples at once: their numbers stay in the processor's cache


def regression_scores(y_true: pd.Series, y_pred: np.ndarray) -> dict[str, float]:
    """Return RMSE, MAE and median absolute error in $100,000, and R2, of (n,) predictions."""
    return {
        "rmse": float(root_mean_squared_error(y_true, y_pred)),
        "mae": float(mean_absolute_error(y_true, y_pred)),
        "median_error": float(np.median(np.abs(y_true - y_pred))),
        "r2": float(r2_score(y_true, y_pred)),
    }


def scores_with_intervals(
    y_true: pd.Series,
    y_pred: np.ndarray,
    seed: int = 0,
    n_resamples: int = 1_000,
    confidence_level: float = 0.9,
) -> pd.DataFrame:
    """Return a row a score: its value, and the low and high end of its confidence interval.

    y_true, y_pred: (n,) each, in $100,000; the scores are in dollars, in percent of the true value,
    and R2. Percentile bootstrap (Efron, 1979): the scores of `n_resamples` samples of n block
    groups, drawn with replacement. The interval says what other block groups of the same kind would
    have given, not what another training would. Raises ValueError if confidence_level is not
    between 0 and 1.
    """
    if not 0 < confidence_level < 1:
        raise ValueError(
            f"confidence_level is {confidence_level!r}, expected a number between 0 and 1"
        )
    true_usd = np.asarray(y_true, float) * USD_PER_UNIT
    error_usd = np.asarray(y_pred, float) * USD_PER_UNIT - true_usd
    rng = np.random.default_rng(seed)
    chunks = []
    for start in range(0, n_resamples, RESAMPLES_PER_CHUNK):
        chunk_size = min(RESAMPLES_PER_CHUNK, n_resamples - start)
        rows = rng.integers(len(true_usd), size=(chunk_size, len(true_usd)))
        chunks.append(_scores_per_resample(true_usd[rows], error_usd[rows]))
    tail = (1 - confidence_level) / 2
    limits = pd.concat(chunks).quantile([tail, (1 + confidence_level) / 2])
    scores = _scores_per_resample(true_usd[None], error_usd[None]).T.set_axis(["value"], axis=1)
    return scores.assign(low=limits.iloc[0], high=limits.iloc[1]).rename_axis("score")


def compare_families(results: dict[str, SearchResult], test: pd.DataFrame) -> pd.DataFrame:
    """Return a row a family, the best in cross-validation first; errors in dollars, R2 on test."""
    rows = {}
    for family, result in results.items():
        scores = regression_scores(test[TARGET], result.model.predict(test[FEATURE_NAMES]))
        rows[family] = {
            "cross-validation RMSE, $": result.rmse * USD_PER_UNIT,
            "test RMSE, $": scores["rmse"] * USD_PER_UNIT,
            "mean error, $": scores["mae"] * USD_PER_UNIT,
            "typical error, $": scores["median_error"] * USD_PER_UNIT,
            "R2": scores["r2"],
        }
    return pd.DataFrame(rows).T.sort_values("cross-validation RMSE, $")


def feature_importance(
    model: RegressorMixin, test: pd.DataFrame, seed: int = 42, n_repeats: int = 5
) -> pd.DataFrame:
    """Return a row a feature, the most important first: RMSE lost when its column is shuffled.

    In dollars, on the test rows: the mean over the repeats, and their standard deviation.
    Permutation importance (Breiman, 2001).
    """
    importance = permutation_importance(
        model,
        test[FEATURE_NAMES],
        test[TARGET],
        n_repeats=n_repeats,
        random_state=seed,
        scoring="neg_root_mean_squared_error",
        n_jobs=-1,
    )
    columns = {
        "RMSE lost, $": importance.importances_mean,
        "spread, $": importance.importances_std,
    }
    table = pd.DataFrame(columns, FEATURE_NAMES).mul(USD_PER_UNIT)
    return table.sort_values("RMSE lost, $", ascending=False)


def scores_by_cap(y_true: pd.Series, y_pred: np.ndarray) -> pd.DataFrame:
    """Return the scores of all block groups, of those below the cap of $500,001 and of those at it.

    y_true, y_pred: (n,) each, in $100,000. Shares in percent, errors in dollars; the last column is
    the share of predictions of $450,000 or more. The true value of a capped block group is unknown,
    so its error is the one against the cap.
    """
    true_values, y_pred = np.asarray(y_true, float), np.asarray(y_pred, float)
    is_capped = true_values >= HOUSE_VALUE_CAP
    groups = {
        "all": np.ones_like(is_capped),
        "below the cap": ~is_capped,
        "at the cap": is_capped,
    }
    rows = {}
    for name, in_group in groups.items():
        error = y_pred[in_group] - true_values[in_group]
        near_cap = y_pred[in_group] >= NEAR_CAP_THRESHOLD
        rows[name] = {
            "block groups": in_group.sum(),
            "share, %": in_group.mean() * 100,
            "RMSE, $": _root_mean_square(error) * USD_PER_UNIT,
            "bias, $": _mean_or_nan(error) * USD_PER_UNIT,
            "predicted $450k or more, %": _mean_or_nan(near_cap) * 100,
        }
    return pd.DataFrame(rows).T


def random_vs_spatial_scores(
    y_true: pd.Series, random_fold_pred: np.ndarray, spatial_fold_pred: np.ndarray
) -> pd.DataFrame:
    """Return the scores where neighbors were learnt from, and where none was.

    y_true: (n,) in $100,000. random_fold_pred, spatial_fold_pred: (n,) out-of-fold predictions, of
    `folds.random_folds` and of `folds.spatial_folds`. Errors in dollars, and R2.
    """
    rows = {}
    for label, y_pred in (
        (RANDOM_FOLDS_LABEL, random_fold_pred),
        (SPATIAL_FOLDS_LABEL, spatial_fold_pred),
    ):
        scores = regression_scores(y_true, y_pred)
        rows[label] = {
            "RMSE, $": scores["rmse"] * USD_PER_UNIT,
            "typical error, $": scores["median_error"] * USD_PER_UNIT,
            "R2": scores["r2"],
        }
    return pd.DataFrame(rows).T


def learning_curve(
    build_model: Callable[[], RegressorMixin],
    train: pd.DataFrame,
    held_out: pd.DataFrame | FoldIndices,
    train_sizes: Sequence[int],
    seed: int = 42,
) -> pd.DataFrame:
    """Return a row for each number of training rows, with the RMSE on held-out rows, in dollars.

    build_model: returns an unfitted model. held_out: other block groups, or folds of the training
    part, whose mean and standard deviation are returned. The rows of each size are the first ones
    of one random order, so that a larger set contains the smaller one. Raises ValueError if a size
    is larger than the number of rows to train on.
    """
    if isinstance(held_out, pd.DataFrame):
        pairs = [(train, held_out)]
    else:
        pairs = [
            (train.iloc[train_index], train.iloc[held_out_index])
            for train_index, held_out_index in held_out
        ]
    max_size = min(len(train_rows) for train_rows, _ in pairs)
    if not 0 < min(train_sizes) <= max(train_sizes) <= max_size:
        raise ValueError(
            f"train_sizes are {list(train_sizes)}, expected numbers of rows from 1 to {max_size:,}"
        )
    shuffled = [
        (train_rows.sample(frac=1, random_state=seed), test_rows) for train_rows, test_rows in pairs
    ]
    largest_first = sorted(train_sizes, reverse=True)  # else the longest task would run last, alone
    tasks = [
        (size, train_rows[:size], test_rows)
        for size in largest_first
        for train_rows, test_rows in shuffled
    ]
    rmse = Parallel(n_jobs=-1)(
        delayed(_fit_and_score)(build_model(), train_rows, test_rows)
        for _, train_rows, test_rows in tasks
    )
    by_size = pd.Series(rmse).mul(USD_PER_UNIT).groupby([size for size, _, _ in tasks])
    curve = pd.DataFrame({"RMSE, $": by_size.mean(), "spread, $": by_size.std(ddof=0)})
    return curve.rename_axis("training rows")


def search_learning_curve(
    result: SearchResult, train: pd.DataFrame, seed: int = 42
) -> pd.DataFrame:
    """Return the `learning_curve` of a search's best settings, with a quarter of the rows held out.

    The sizes double from an eighth of the other rows up to all of them.
    """
    family = FAMILIES[result.family]
    train_index, held_out_index = folds.random_folds(len(train), 4, seed)[0]
    sizes = [len(train_index) >> halvings for halvings in (3, 2, 1, 0)]
    return learning_curve(
        lambda: family.build(result.params, seed),
        train.iloc[train_index],
        train.iloc[held_out_index],
        sizes,
        seed,
    )


def rmse_drop_per_doubling(curve: pd.DataFrame) -> float:
    """Return by how many dollars RMSE falls when the training rows double, at the curve's end.

    curve: from `learning_curve`. The slope of a straight line through its last three sizes: earlier
    ones are steeper, and say nothing about the next doubling.
    """
    end = curve["RMSE, $"].iloc[-3:]
    return float(-np.polyfit(np.log2(end.index.to_numpy(float)), end, 1)[0])


def extrapolated_rmse_ratio(curve: pd.DataFrame, row_factor: float) -> float:
    """Return the RMSE with `row_factor` times the training rows, as a share of the curve's last.

    curve: from `learning_curve`, extrapolated with its slope. At most 1: more rows do no harm, and
    a curve that says so does by chance.
    """
    ratio_per_doubling = 1 - rmse_drop_per_doubling(curve) / curve["RMSE, $"].iloc[-1]
    return float(min(1.0, ratio_per_doubling ** np.log2(row_factor)))


def interval_coverage(
    y_true: pd.Series, low: np.ndarray, high: np.ndarray, groups: pd.Series
) -> pd.DataFrame:
    """Return the share of true values inside their intervals, of all rows and by group.

    y_true, low, high: (n,) each, in $100,000; groups: (n,) the name of each row's group. The share
    is in percent, the mean width in dollars.
    """
    true_values = y_true.to_numpy()
    is_inside = pd.Series((low <= true_values) & (true_values <= high), y_true.index)
    width = pd.Series(high - low, y_true.index) * USD_PER_UNIT
    all_rows = pd.Series("all", y_true.index)
    tables = [
        pd.DataFrame(
            {
                "block groups": is_inside.groupby(names, observed=True).size(),
                "inside, %": is_inside.groupby(names, observed=True).mean() * 100,
                "mean width, $": width.groupby(names, observed=True).mean(),
            }
        )
        for names in (all_rows, groups)
    ]
    return pd.concat(tables).rename_axis(groups.name)


def summary_metrics(
    score_intervals: pd.DataFrame,
    fold_comparison: pd.DataFrame,
    coverage_table: pd.DataFrame,
    curve: pd.DataFrame,
) -> dict[str, float]:
    """Return the numbers of four tables that runs are compared by: in $100,000, and percent.

    score_intervals: from `scores_with_intervals`. fold_comparison: from `random_vs_spatial_scores`.
    coverage_table: from `interval_coverage`. curve: from `learning_curve`.
    """
    in_usd = {
        "far_rmse": fold_comparison.loc[SPATIAL_FOLDS_LABEL, "RMSE, $"],
        "rmse_less_per_doubling": rmse_drop_per_doubling(curve),
        "interval_width": coverage_table.loc["all", "mean width, $"],
        "test_rmse_low": score_intervals.loc["RMSE, $", "low"],
        "test_rmse_high": score_intervals.loc["RMSE, $", "high"],
    }
    in_percent = {
        "test_typical_error_percent": score_intervals.loc["typical error, %", "value"],
        "interval_coverage_percent": coverage_table.loc["all", "inside, %"],
    }
    in_units = {name: usd / USD_PER_UNIT for name, usd in in_usd.items()}
    return {name: float(value) for name, value in (in_units | in_percent).items()}


def _scores_per_resample(true_values: np.ndarray, errors: np.ndarray) -> pd.DataFrame:
    """Score (resamples, n) true values and errors in dollars; return a row a resample."""
    absolute_error, mean_square = np.abs(errors), (errors**2).mean(axis=1)
    return pd.DataFrame(
        {
            "RMSE, $": np.sqrt(mean_square),
            "mean error, $": absolute_error.mean(axis=1),
            "typical error, $": np.median(absolute_error, axis=1),
            "typical error, %": np.median(absolute_error / true_values, axis=1) * 100,
            "R2": 1 - mean_square / true_values.var(axis=1),
        }
    )


def _fit_and_score(model: RegressorMixin, train: pd.DataFrame, held_out: pd.DataFrame) -> float:
    """Fit a model and return its RMSE on the held-out rows, in $100,000."""
    with threadpool_limits(1, "openmp"):
        model.fit(train[FEATURE_NAMES], train[TARGET])
        error = model.predict(held_out[FEATURE_NAMES]) - held_out[TARGET].to_numpy()
        return _root_mean_square(error)


def _root_mean_square(error: np.ndarray) -> float:
    return _mean_or_nan(error**2) ** 0.5


def _mean_or_nan(values: np.ndarray) -> float:
    """Return the mean, or NaN without a warning of no value: a sample may have no capped row."""
    return float(values.mean()) if len(values) else float("nan")
