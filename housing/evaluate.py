"""How good are guesses, in the units a person thinks in."""

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin
from sklearn.inspection import permutation_importance
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.neighbors import NearestNeighbors

from housing.schema import CAP, NAMES, TARGET, USD
from housing.search import Search


def scores(truth: pd.Series, guess: np.ndarray) -> dict[str, float]:
    """RMSE, MAE and median absolute error in $100,000, and R2, of (n,) guesses."""
    return {
        "rmse": float(root_mean_squared_error(truth, guess)),
        "mae": float(mean_absolute_error(truth, guess)),
        "median_error": float(np.median(np.abs(truth - guess))),
        "r2": float(r2_score(truth, guess)),
    }


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


def by_group(truth: pd.Series, guess: np.ndarray, groups: pd.Series) -> pd.DataFrame:
    """A row a group: block groups, and in dollars the typical (median) error, RMSE and bias.

    bias: mean of guess minus truth; positive where the model guesses too high.
    """
    error = (pd.Series(guess, truth.index) - truth) * USD
    by = error.groupby(groups, observed=True)
    return pd.DataFrame(
        {
            "block groups": by.size(),
            "typical error, $": by.apply(lambda one: one.abs().median()),
            "RMSE, $": by.apply(lambda one: np.sqrt((one**2).mean())),
            "bias, $": by.mean(),
        }
    ).round(0).astype(float)  # fmt: skip


def importance(
    model: RegressorMixin, test: pd.DataFrame, seed: int = 42, repeats: int = 5
) -> pd.DataFrame:
    """A row a feature, the weightiest first: the RMSE that is lost when its column is shuffled.

    In dollars, on the test rows: the mean over the repeats, and their standard deviation.
    """
    shuffled = permutation_importance(
        model, test[NAMES], test[TARGET], n_repeats=repeats, random_state=seed,
        scoring="neg_root_mean_squared_error",
    )  # fmt: skip
    lost = {"RMSE lost, $": shuffled.importances_mean, "spread, $": shuffled.importances_std}
    return pd.DataFrame(lost, NAMES).mul(USD).sort_values("RMSE lost, $", ascending=False)


def price_band(frame: pd.DataFrame) -> pd.Series:
    """Which price band each block group is in; the capped ones have their own."""
    edges = [0, 1, 2, 3, 4, 5, np.inf]
    names = ["below $100k", "$100k to 200k", "$200k to 300k", "$300k to 400k", "$400k to 500k"]
    bands = pd.cut(frame[TARGET], edges, labels=[*names, "capped at $500k"], include_lowest=True)
    return bands.mask(frame[TARGET] >= CAP, "capped at $500k").rename("price band")


def age_band(frame: pd.DataFrame) -> pd.Series:
    """Which decade of house age each block group is in."""
    start = (frame.HouseAge // 10 * 10).astype(int)
    return (start.astype(str) + " to " + (start + 9).astype(str) + " years").rename("house age")


def distance_band(frame: pd.DataFrame, train: pd.DataFrame) -> pd.Series:
    """How far the nearest training row is from each block group; 0.01 degrees are about 1 km."""
    place = ["Latitude", "Longitude"]
    nearest = NearestNeighbors(n_neighbors=1).fit(train[place].to_numpy())
    distance = nearest.kneighbors(frame[place].to_numpy())[0].ravel()
    names = ["at the same spot", "below 1 km", "1 to 5 km", "above 5 km"]
    bands = pd.cut(distance, [-1, 0.001, 0.01, 0.05, np.inf], labels=names)
    return pd.Series(bands, frame.index, name="nearest training row")
