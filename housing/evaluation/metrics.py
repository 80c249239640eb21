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
    by_group,
    distance_band,
    income_band,
    price_band,
    slices,
    worst,
)
from housing.models.families import FAMILIES
from housing.schema import CAP, NAMES, TARGET, USD
from housing.training import folds
from housing.training.folds import Cuts
from housing.training.search import Search

__all__ = [
    "age_band", "by_group", "cap", "compare", "coverage", "distance_band", "importance",
    "income_band", "learning_curve", "metrics", "more_data", "near_and_far", "per_doubling",
    "price_band", "scores", "shrinkage", "slices", "with_intervals", "worst",
]  # fmt: skip

NEAR, FAR = "a place among known places", "a place without data nearby"
HIGH = 4.5  # $450,000: who guesses more than this of a capped row has recognised a dear place
CHUNK = 50  # bootstrap draws at once: their numbers stay in the processor's cache


def scores(truth: pd.Series, guess: np.ndarray) -> dict[str, float]:
    """RMSE, MAE and median absolute error in $100,000, and R2, of (n,) guesses."""
    return {
        "rmse": float(root_mean_squared_error(truth, guess)),
        "mae": float(mean_absolute_error(truth, guess)),
        "median_error": float(np.median(np.abs(truth - guess))),
        "r2": float(r2_score(truth, guess)),
    }


def with_intervals(
    truth: pd.Series, guess: np.ndarray, seed: int = 0, draws: int = 1_000, level: float = 0.9
) -> pd.DataFrame:
    """A row a score: its value, and between which two numbers it lies with the given certainty.

    truth, guess: (n,) each, in $100,000; the scores are in dollars, in percent of the true value,
    and R2. Percentile bootstrap (Efron, 1979): the scores of `draws` samples of n block groups,
    drawn with replacement. It says what other block groups of the same kind would have given, not
    what another training would. Raises ValueError if level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level!r}, expected a number between 0 and 1")
    value = np.asarray(truth, float) * USD
    error = np.asarray(guess, float) * USD - value
    rng = np.random.default_rng(seed)
    parts = []
    for start in range(0, draws, CHUNK):
        rows = rng.integers(len(value), size=(min(CHUNK, draws - start), len(value)))
        parts.append(_bootstrapped(value[rows], error[rows]))
    drawn = pd.concat(parts)
    found = _bootstrapped(value[None], error[None]).T.set_axis(["value"], axis=1)
    edges = drawn.quantile([(1 - level) / 2, (1 + level) / 2])
    return found.assign(low=edges.iloc[0], high=edges.iloc[1]).rename_axis("score")


def compare(found: dict[str, Search], test: pd.DataFrame) -> pd.DataFrame:
    """A row a family, the best in cross-validation first; errors in dollars, and R2 on test."""
    rows = {}
    for family, result in found.items():
        on_test = scores(test[TARGET], result.model.predict(test[NAMES]))
        rows[family] = {
            "cross-validation RMSE, $": result.rmse * USD,
            "test RMSE, $": on_test["rmse"] * USD,
            "mean error, $": on_test["mae"] * USD,
            "typical error, $": on_test["median_error"] * USD,
            "R2": on_test["r2"],
        }
    return pd.DataFrame(rows).T.sort_values("cross-validation RMSE, $")


def importance(
    model: RegressorMixin, test: pd.DataFrame, seed: int = 42, repeats: int = 5
) -> pd.DataFrame:
    """A row a feature, the weightiest first: the RMSE that is lost when its column is shuffled.

    In dollars, on the test rows: the mean over the repeats, and their standard deviation.
    """
    shuffled = permutation_importance(
        model, test[NAMES], test[TARGET], n_repeats=repeats, random_state=seed,
        scoring="neg_root_mean_squared_error", n_jobs=-1,
    )  # fmt: skip
    lost = {"RMSE lost, $": shuffled.importances_mean, "spread, $": shuffled.importances_std}
    return pd.DataFrame(lost, NAMES).mul(USD).sort_values("RMSE lost, $", ascending=False)


def cap(truth: pd.Series, guess: np.ndarray) -> pd.DataFrame:
    """What the cap at $500,001 does to the scores: all block groups, those below it, those at it.

    truth, guess: (n,) each, in $100,000. Shares in percent, errors in dollars; the last column is
    how many of the guesses are $450,000 or more. Nobody knows the true value of a capped block
    group, so its error is one against the cap.
    """
    value, guess = np.asarray(truth, float), np.asarray(guess, float)
    capped = value >= CAP
    rows = {"all": np.ones_like(capped), "below the cap": ~capped, "at the cap": capped}
    table = {
        name: {
            "block groups": chosen.sum(),
            "share, %": chosen.mean() * 100,
            "RMSE, $": _root_mean_square(guess[chosen] - value[chosen]) * USD,
            "bias, $": _mean(guess[chosen] - value[chosen]) * USD,
            "guessed $450k or more, %": _mean(guess[chosen] >= HIGH) * 100,
        }
        for name, chosen in rows.items()
    }
    return pd.DataFrame(table).T


def near_and_far(truth: pd.Series, near: np.ndarray, far: np.ndarray) -> pd.DataFrame:
    """How good guesses are where neighbours are known, and where none is.

    truth: (n,) in $100,000. near, far: (n,) out-of-fold guesses, of `folds.random` and of
    `folds.cells`. Errors in dollars, and R2.
    """
    rows = {}
    for name, guess in ((NEAR, near), (FAR, far)):
        found = scores(truth, guess)
        rows[name] = {
            "RMSE, $": found["rmse"] * USD,
            "typical error, $": found["median_error"] * USD,
            "R2": found["r2"],
        }
    return pd.DataFrame(rows).T


def learning_curve(
    build: Callable[[], RegressorMixin],
    train: pd.DataFrame,
    held_out: pd.DataFrame | Cuts,
    sizes: Sequence[int],
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
    if not 0 < min(sizes) <= max(sizes) <= most:
        raise ValueError(f"sizes are {list(sizes)}, expected numbers of rows from 1 to {most:,}")
    mixed = [(fit.sample(frac=1, random_state=seed), rest) for fit, rest in pairs]
    largest_first = sorted(sizes, reverse=True)  # else the last one would run alone
    jobs = [(size, fit[:size], rest) for size in largest_first for fit, rest in mixed]
    rmse = Parallel(n_jobs=-1)(delayed(_rmse)(build(), fit, rest) for _, fit, rest in jobs)
    by = pd.Series(rmse).mul(USD).groupby([size for size, _, _ in jobs])
    table = pd.DataFrame({"RMSE, $": by.mean(), "spread, $": by.std(ddof=0)})
    return table.rename_axis("training rows")


def more_data(found: Search, train: pd.DataFrame, seed: int = 42) -> pd.DataFrame:
    """The `learning_curve` of a search's best settings: a quarter of the training rows held out.

    From an eighth of the other rows on, each size twice the one before, up to all of them.
    """
    family = FAMILIES[found.family]
    fit, rest = folds.random(len(train), 4, seed)[0]
    rows = [len(fit) >> step for step in (3, 2, 1, 0)]
    return learning_curve(
        lambda: family.build(found.params, seed), train.iloc[fit], train.iloc[rest], rows, seed
    )


def per_doubling(table: pd.DataFrame) -> float:
    """By how many dollars RMSE falls when the training rows double, at the end of the curve.

    table: as `learning_curve` gives it. The slope of a straight line through its last three sizes:
    earlier ones are steeper, and say nothing of the doubling to come.
    """
    end = table["RMSE, $"].iloc[-3:]
    return float(-np.polyfit(np.log2(end.index.to_numpy(float)), end, 1)[0])


def shrinkage(table: pd.DataFrame, times: float) -> float:
    """What share of RMSE is left when there are `times` as many training rows.

    table: as `learning_curve` gives it; its slope goes on. At most 1: more rows do no harm, and a
    curve that says so is one of chance.
    """
    left = 1 - per_doubling(table) / table["RMSE, $"].iloc[-1]
    return float(min(1.0, left ** np.log2(times)))


def coverage(
    truth: pd.Series, low: np.ndarray, high: np.ndarray, groups: pd.Series
) -> pd.DataFrame:
    """Do intervals hold what they promise? The share of true values inside, of all and by group.

    truth, low, high: (n,) each, in $100,000. The share in percent, the mean width in dollars.
    """
    value = truth.to_numpy()
    inside = pd.Series((low <= value) & (value <= high), truth.index)
    width = pd.Series(high - low, truth.index) * USD
    everything = pd.Series("all", truth.index)
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


def metrics(
    limits: pd.DataFrame, apart: pd.DataFrame, covered: pd.DataFrame, curve: pd.DataFrame
) -> dict[str, float]:
    """What those four tables say in numbers that runs can be compared by: $100,000, and percent.

    limits: `with_intervals`. apart: `near_and_far`. covered: `coverage`. curve: `learning_curve`.
    """
    found = {"far_rmse": apart.loc[FAR, "RMSE, $"], "rmse_less_per_doubling": per_doubling(curve)}
    found["interval_width"] = covered.loc["all", "mean width, $"]
    found |= {f"test_rmse_{end}": limits.loc["RMSE, $", end] for end in ("low", "high")}
    found = {name: dollars / USD for name, dollars in found.items()}
    found["test_typical_error_percent"] = limits.loc["typical error, %", "value"]
    found["interval_coverage_percent"] = covered.loc["all", "inside, %"]
    return {name: float(value) for name, value in found.items()}


def _bootstrapped(value: np.ndarray, error: np.ndarray) -> pd.DataFrame:
    """The scores of (draws, n) true values and errors in dollars, a row a draw."""
    size, square = np.abs(error), (error**2).mean(axis=1)
    return pd.DataFrame(
        {
            "RMSE, $": np.sqrt(square),
            "mean error, $": size.mean(axis=1),
            "typical error, $": np.median(size, axis=1),
            "typical error, %": np.median(size / value, axis=1) * 100,
            "R2": 1 - square / value.var(axis=1),
        }
    )


def _rmse(model: RegressorMixin, fit: pd.DataFrame, rest: pd.DataFrame) -> float:
    with threadpool_limits(1, "openmp"):
        model.fit(fit[NAMES], fit[TARGET])
        return _root_mean_square(model.predict(rest[NAMES]) - rest[TARGET].to_numpy())


def _root_mean_square(error: np.ndarray) -> float:
    return _mean(error**2) ** 0.5


def _mean(values: np.ndarray) -> float:
    """NaN of nothing, and without a warning: a sample may have no capped row."""
    return float(values.mean()) if len(values) else float("nan")
