"""Scores of predictions in the units a person thinks in: dollars, and percent of the true value."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin
from sklearn.inspection import permutation_importance
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from housing.evaluation.bootstrap import percentile_interval
from housing.evaluation.learning_curves import rmse_drop_per_doubling
from housing.schema import FEATURE_NAMES, HOUSE_VALUE_CAP, TARGET, USD_PER_UNIT
from housing.training.search import SearchResult

RANDOM_FOLDS_LABEL = "a place among known places"
SPATIAL_FOLDS_LABEL = "a place without data nearby"
# $450,000: a model that predicts more than this of a capped row has recognized an expensive place
NEAR_CAP_THRESHOLD = 4.5
SCORE_NAMES = ["RMSE, $", "mean error, $", "typical error, $", "typical error, %", "R2"]


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
    and R2. The scores of `n_resamples` samples of n block groups, drawn with replacement: the
    interval says what other block groups of the same kind would have given, not what another
    training would. Raises ValueError if confidence_level is not between 0 and 1.
    """
    true_usd = np.asarray(y_true, float) * USD_PER_UNIT
    error_usd = np.asarray(y_pred, float) * USD_PER_UNIT - true_usd

    columns = (true_usd, error_usd)
    low, high = percentile_interval(columns, _score_columns, n_resamples, confidence_level, seed)
    table = {"value": _score_columns(*columns), "low": low, "high": high}
    return pd.DataFrame(table, SCORE_NAMES).rename_axis("score")


def compare_families(results: dict[str, SearchResult], test: pd.DataFrame) -> pd.DataFrame:
    """Return a row a family, the best in cross-validation first; errors in dollars, R2 on test."""
    predictions = {
        family: result.model.predict(test[FEATURE_NAMES]) for family, result in results.items()
    }
    table = _scores_table(test[TARGET], predictions).rename(columns={"RMSE, $": "test RMSE, $"})
    cross_validation_rmse = [result.rmse * USD_PER_UNIT for result in results.values()]
    table.insert(0, "cross-validation RMSE, $", cross_validation_rmse)
    return table.sort_values("cross-validation RMSE, $")


def _scores_table(y_true: pd.Series, predictions: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return a row for each of the predictions, with errors in dollars, and R2."""
    rows = {name: regression_scores(y_true, y_pred) for name, y_pred in predictions.items()}
    table = pd.DataFrame(rows).T * [USD_PER_UNIT, USD_PER_UNIT, USD_PER_UNIT, 1]
    return table.set_axis(["RMSE, $", "mean error, $", "typical error, $", "R2"], axis=1)


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
    is_capped = y_true >= HOUSE_VALUE_CAP
    table = pd.DataFrame({"error": y_pred - y_true, "is near cap": y_pred >= NEAR_CAP_THRESHOLD})
    groups = {
        "all": table,
        "below the cap": table[~is_capped],
        "at the cap": table[is_capped],
    }
    rows = {}
    for name, group in groups.items():
        rows[name] = {
            "block groups": len(group),
            "share, %": len(group) / len(table) * 100,
            "RMSE, $": (group["error"] ** 2).mean() ** 0.5 * USD_PER_UNIT,
            "bias, $": group["error"].mean() * USD_PER_UNIT,
            "predicted $450k or more, %": group["is near cap"].mean() * 100,
        }
    return pd.DataFrame(rows).T


def random_vs_spatial_scores(
    y_true: pd.Series, random_fold_pred: np.ndarray, spatial_fold_pred: np.ndarray
) -> pd.DataFrame:
    """Return the scores where neighbors were learnt from, and where none was.

    y_true: (n,) in $100,000. random_fold_pred, spatial_fold_pred: (n,) out-of-fold predictions, of
    `folds.random_folds` and of `folds.spatial_folds`. Errors in dollars, and R2.
    """
    predictions = {RANDOM_FOLDS_LABEL: random_fold_pred, SPATIAL_FOLDS_LABEL: spatial_fold_pred}
    return _scores_table(y_true, predictions)[["RMSE, $", "typical error, $", "R2"]]


def interval_coverage(
    y_true: pd.Series, low: np.ndarray, high: np.ndarray, groups: pd.Series
) -> pd.DataFrame:
    """Return the share of true values inside their intervals, of all rows and by group.

    y_true, low, high: (n,) each, in $100,000; groups: (n,) the name of each row's group. The share
    is in percent, the mean width in dollars.
    """
    true_values = y_true.to_numpy()
    is_inside = (low <= true_values) & (true_values <= high)
    table = pd.DataFrame(
        {"inside, %": is_inside * 100.0, "mean width, $": (high - low) * USD_PER_UNIT}, y_true.index
    )
    parts = []
    for names in (pd.Series("all", y_true.index), groups):
        by_group = table.groupby(names, observed=True)
        parts.append(by_group.mean().assign(**{"block groups": by_group.size()}))
    columns = ["block groups", "inside, %", "mean width, $"]
    return pd.concat(parts)[columns].rename_axis(groups.name)


def summary_metrics(
    score_intervals: pd.DataFrame,
    fold_comparison: pd.DataFrame,
    coverage_table: pd.DataFrame,
    curve: pd.DataFrame,
) -> dict[str, float]:
    """Return the numbers of four tables that runs are compared by: in $100,000, and percent.

    score_intervals: from `scores_with_intervals`. fold_comparison: from `random_vs_spatial_scores`.
    coverage_table: from `interval_coverage`. curve: from
    `learning_curves.learning_curve`.
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


def _score_columns(true_values: np.ndarray, errors: np.ndarray, axis: int = -1) -> np.ndarray:
    """Score (..., n) true values and errors in dollars: (5, ...), in the order of `SCORE_NAMES`."""
    absolute_error, mean_square = np.abs(errors), (errors**2).mean(axis)
    scores = (
        np.sqrt(mean_square),
        absolute_error.mean(axis),
        np.median(absolute_error, axis),
        np.median(absolute_error / true_values, axis) * 100,
        1 - mean_square / true_values.var(axis),
    )
    return np.stack(scores)
