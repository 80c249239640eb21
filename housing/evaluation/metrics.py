"""How good are guesses, in the units a person thinks in."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import RegressorMixin
from sklearn.inspection import permutation_importance
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from threadpoolctl import threadpool_limits

from housing.evaluation.slices import (
    age_band,  # fmt: skip
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
]  # fmt: skip

RANDOM_FOLDS_LABEL, SPATIAL_FOLDS_LABEL = (
    "a place among known places",
    "a place without data nearby",
)
NEAR_CAP_THRESHOLD = (
    4.5  # $450,000: who guesses more than this of a capped row has recognised a dear place
)
RESAMPLES_PER_CHUNK = 50  # bootstrap draws at once: their numbers stay in the processor's cache


def regression_scores(y_true: pd.Series, y_pred: np.ndarray) -> dict[str, float]:
    """RMSE, MAE and median absolute error in $100,000, and R2, of (n,) guesses."""
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
    """A row a score: its value, and between which two numbers it lies with the given certainty.

    truth, guess: (n,) each, in $100,000; the scores are in dollars, in percent of the true value,
    and R2. Percentile bootstrap (Efron, 1979): the scores of `draws` samples of n block groups,
    drawn with replacement. It says what other block groups of the same kind would have given, not
    what another training would. Raises ValueError if level is not between 0 and 1.
    """
    if not 0 < confidence_level < 1:
        raise ValueError(f"level is {confidence_level!r}, expected a number between 0 and 1")
    value = np.asarray(y_true, float) * USD_PER_UNIT
    error = np.asarray(y_pred, float) * USD_PER_UNIT - value
    rng = np.random.default_rng(seed)
    parts = []
    for start in range(0, n_resamples, RESAMPLES_PER_CHUNK):
        rows = rng.integers(
            len(value), size=(min(RESAMPLES_PER_CHUNK, n_resamples - start), len(value))
        )
        parts.append(_scores_per_resample(value[rows], error[rows]))
    drawn = pd.concat(parts)
    found = _scores_per_resample(value[None], error[None]).T.set_axis(["value"], axis=1)
    edges = drawn.quantile([(1 - confidence_level) / 2, (1 + confidence_level) / 2])
    return found.assign(low=edges.iloc[0], high=edges.iloc[1]).rename_axis("score")


def compare_families(results: dict[str, SearchResult], test: pd.DataFrame) -> pd.DataFrame:
    """A row a family, the best in cross-validation first; errors in dollars, and R2 on test."""
    rows = {}
    for family, result in results.items():
        on_test = regression_scores(test[TARGET], result.model.predict(test[FEATURE_NAMES]))
        rows[family] = {
            "cross-validation RMSE, $": result.rmse * USD_PER_UNIT,
            "test RMSE, $": on_test["rmse"] * USD_PER_UNIT,
            "mean error, $": on_test["mae"] * USD_PER_UNIT,
            "typical error, $": on_test["median_error"] * USD_PER_UNIT,
            "R2": on_test["r2"],
        }
    return pd.DataFrame(rows).T.sort_values("cross-validation RMSE, $")


def feature_importance(
    model: RegressorMixin, test: pd.DataFrame, seed: int = 42, n_repeats: int = 5
) -> pd.DataFrame:
    """A row a feature, the weightiest first: the RMSE that is lost when its column is shuffled.

    In dollars, on the test rows: the mean over the repeats, and their standard deviation.
    """
    shuffled = permutation_importance(
        model, test[FEATURE_NAMES], test[TARGET], n_repeats=n_repeats, random_state=seed,
        scoring="neg_root_mean_squared_error", n_jobs=-1,
    )  # fmt: skip
    lost = {"RMSE lost, $": shuffled.importances_mean, "spread, $": shuffled.importances_std}
    return (
        pd.DataFrame(lost, FEATURE_NAMES)
        .mul(USD_PER_UNIT)
        .sort_values("RMSE lost, $", ascending=False)
    )


def scores_by_cap(y_true: pd.Series, y_pred: np.ndarray) -> pd.DataFrame:
    """What the cap at $500,001 does to the scores: all block groups, those below it, those at it.

    truth, guess: (n,) each, in $100,000. Shares in percent, errors in dollars; the last column is
    how many of the guesses are $450,000 or more. Nobody knows the true value of a capped block
    group, so its error is one against the cap.
    """
    value, y_pred = np.asarray(y_true, float), np.asarray(y_pred, float)
    capped = value >= HOUSE_VALUE_CAP
    rows = {"all": np.ones_like(capped), "below the cap": ~capped, "at the cap": capped}
    table = {
        name: {
            "block groups": chosen.sum(),
            "share, %": chosen.mean() * 100,
            "RMSE, $": _root_mean_square(y_pred[chosen] - value[chosen]) * USD_PER_UNIT,
            "bias, $": _mean_or_nan(y_pred[chosen] - value[chosen]) * USD_PER_UNIT,
            "guessed $450k or more, %": _mean_or_nan(y_pred[chosen] >= NEAR_CAP_THRESHOLD) * 100,
        }
        for name, chosen in rows.items()
    }
    return pd.DataFrame(table).T


def random_vs_spatial_scores(
    y_true: pd.Series, random_fold_pred: np.ndarray, spatial_fold_pred: np.ndarray
) -> pd.DataFrame:
    """How good guesses are where neighbours are known, and where none is.

    truth: (n,) in $100,000. near, far: (n,) out-of-fold guesses, of `folds.random` and of
    `folds.cells`. Errors in dollars, and R2.
    """
    rows = {}
    for name, guess in (
        (RANDOM_FOLDS_LABEL, random_fold_pred),
        (SPATIAL_FOLDS_LABEL, spatial_fold_pred),
    ):
        found = regression_scores(y_true, guess)
        rows[name] = {
            "RMSE, $": found["rmse"] * USD_PER_UNIT,
            "typical error, $": found["median_error"] * USD_PER_UNIT,
            "R2": found["r2"],
        }
    return pd.DataFrame(rows).T


def learning_curve(
    build_model: Callable[[], RegressorMixin],
    train: pd.DataFrame,
    held_out: pd.DataFrame | FoldIndices,
    train_sizes: Sequence[int],
    seed: int = 42,
) -> pd.DataFrame:
    """What more data brings: a row a number of training rows, with the RMSE on held-out rows.

    build: gives an unfitted model. held_out: other block groups, or folds of the training part, of
    which mean and standard deviation are given. Of each size the rows are the first ones of one
    random order, so that a larger set holds the smaller one. In dollars. Raises ValueError if a
    size is larger than there are rows to learn from.
    """
    if isinstance(held_out, pd.DataFrame):
        pairs = [(train, held_out)]
    else:
        pairs = [(train.iloc[fit], train.iloc[rest]) for fit, rest in held_out]
    most = min(len(fit) for fit, _ in pairs)
    if not 0 < min(train_sizes) <= max(train_sizes) <= most:
        raise ValueError(
            f"sizes are {list(train_sizes)}, expected numbers of rows from 1 to {most:,}"
        )
    mixed = [(fit.sample(frac=1, random_state=seed), rest) for fit, rest in pairs]
    largest_first = sorted(train_sizes, reverse=True)  # else the last one would run alone
    jobs = [(size, fit[:size], rest) for size in largest_first for fit, rest in mixed]
    rmse = Parallel(n_jobs=-1)(
        delayed(_fit_and_score)(build_model(), fit, rest) for _, fit, rest in jobs
    )
    by = pd.Series(rmse).mul(USD_PER_UNIT).groupby([size for size, _, _ in jobs])
    table = pd.DataFrame({"RMSE, $": by.mean(), "spread, $": by.std(ddof=0)})
    return table.rename_axis("training rows")


def search_learning_curve(
    result: SearchResult, train: pd.DataFrame, seed: int = 42
) -> pd.DataFrame:
    """The `learning_curve` of a search's best settings: a quarter of the training rows held out.

    From an eighth of the other rows on, each size twice the one before, up to all of them.
    """
    family = FAMILIES[result.family]
    fit, rest = folds.random_folds(len(train), 4, seed)[0]
    rows = [len(fit) >> step for step in (3, 2, 1, 0)]
    return learning_curve(
        lambda: family.build(result.params, seed), train.iloc[fit], train.iloc[rest], rows, seed
    )


def rmse_drop_per_doubling(curve: pd.DataFrame) -> float:
    """By how many dollars RMSE falls when the training rows double, at the end of the curve.

    table: as `learning_curve` gives it. The slope of a straight line through its last three sizes:
    earlier ones are steeper, and say nothing of the doubling to come.
    """
    end = curve["RMSE, $"].iloc[-3:]
    return float(-np.polyfit(np.log2(end.index.to_numpy(float)), end, 1)[0])


def extrapolated_rmse_ratio(curve: pd.DataFrame, row_factor: float) -> float:
    """What share of RMSE is left when there are `times` as many training rows.

    table: as `learning_curve` gives it; its slope goes on. At most 1: more rows do no harm, and a
    curve that says so is one of chance.
    """
    left = 1 - rmse_drop_per_doubling(curve) / curve["RMSE, $"].iloc[-1]
    return float(min(1.0, left ** np.log2(row_factor)))


def interval_coverage(
    y_true: pd.Series, low: np.ndarray, high: np.ndarray, groups: pd.Series
) -> pd.DataFrame:
    """Do intervals hold what they promise? The share of true values inside, of all and by group.

    truth, low, high: (n,) each, in $100,000. The share in percent, the mean width in dollars.
    """
    value = y_true.to_numpy()
    inside = pd.Series((low <= value) & (value <= high), y_true.index)
    width = pd.Series(high - low, y_true.index) * USD_PER_UNIT
    everything = pd.Series("all", y_true.index)
    tables = [
        pd.DataFrame(
            {
                "block groups": inside.groupby(by, observed=True).size(),
                "inside, %": inside.groupby(by, observed=True).mean() * 100,
                "mean width, $": width.groupby(by, observed=True).mean(),
            }
        )
        for by in (everything, groups)
    ]
    return pd.concat(tables).rename_axis(groups.name)


def summary_metrics(
    score_intervals: pd.DataFrame,
    fold_comparison: pd.DataFrame,
    coverage_table: pd.DataFrame,
    curve: pd.DataFrame,
) -> dict[str, float]:
    """What those four tables say in numbers that runs can be compared by: $100,000, and percent.

    limits: `with_intervals`. apart: `near_and_far`. covered: `coverage`. curve: `learning_curve`.
    """
    found = {
        "far_rmse": fold_comparison.loc[SPATIAL_FOLDS_LABEL, "RMSE, $"],
        "rmse_less_per_doubling": rmse_drop_per_doubling(curve),
    }
    found["interval_width"] = coverage_table.loc["all", "mean width, $"]
    found |= {f"test_rmse_{end}": score_intervals.loc["RMSE, $", end] for end in ("low", "high")}
    found = {name: dollars / USD_PER_UNIT for name, dollars in found.items()}
    found["test_typical_error_percent"] = score_intervals.loc["typical error, %", "value"]
    found["interval_coverage_percent"] = coverage_table.loc["all", "inside, %"]
    return {name: float(value) for name, value in found.items()}


def _scores_per_resample(true_values: np.ndarray, errors: np.ndarray) -> pd.DataFrame:
    """The scores of (draws, n) true values and errors in dollars, a row a draw."""
    size, square = np.abs(errors), (errors**2).mean(axis=1)
    return pd.DataFrame(
        {
            "RMSE, $": np.sqrt(square),
            "mean error, $": size.mean(axis=1),
            "typical error, $": np.median(size, axis=1),
            "typical error, %": np.median(size / true_values, axis=1) * 100,
            "R2": 1 - square / true_values.var(axis=1),
        }
    )


def _fit_and_score(model: RegressorMixin, train: pd.DataFrame, held_out: pd.DataFrame) -> float:
    with threadpool_limits(1, "openmp"):
        model.fit(train[FEATURE_NAMES], train[TARGET])
        return _root_mean_square(
            model.predict(held_out[FEATURE_NAMES]) - held_out[TARGET].to_numpy()
        )


def _root_mean_square(error: np.ndarray) -> float:
    return _mean_or_nan(error**2) ** 0.5


def _mean_or_nan(values: np.ndarray) -> float:
    """NaN of nothing, and without a warning: a sample may have no capped row."""
    return float(values.mean()) if len(values) else float("nan")
