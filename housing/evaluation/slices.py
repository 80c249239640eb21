"""Which block groups are guessed worst: bands of price, income, age, region and distance."""

import numpy as np
import pandas as pd

from housing import geography
from housing.schema import HOUSE_VALUE_CAP, TARGET, USD_PER_UNIT

INCOME_BANDS = [
    "below $20k",
    "$20k to 30k",
    "$30k to 40k",
    "$40k to 60k",
    "$60k to 80k",
    "above $80k",
]


def errors_by_group(y_true: pd.Series, y_pred: np.ndarray, groups: pd.Series) -> pd.DataFrame:
    """A row a group: block groups, and in dollars the typical (median) error, RMSE and bias.

    bias: mean of guess minus truth; positive where the model guesses too high.
    """
    error = (pd.Series(y_pred, y_true.index) - y_true) * USD_PER_UNIT
    by = error.groupby(groups, observed=True)
    return pd.DataFrame(
        {
            "block groups": by.size(),
            "typical error, $": by.apply(lambda one: one.abs().median()),
            "RMSE, $": by.apply(lambda one: np.sqrt((one**2).mean())),
            "bias, $": by.mean(),
        }
    ).round(0).astype(float)  # fmt: skip


def errors_by_slice(
    frame: pd.DataFrame, y_pred: np.ndarray, train: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Every way to slice, in one table: a row a group, as `by_group`, and its share of the error.

    frame: the block groups that were guessed, with their true values; guess: (n,) in $100,000.
    train: what the model learnt from; without it there is no slice by distance. The index is
    (slice, group); the last column the percentage of all squared error that a group makes up.
    """
    kinds = [price_band(frame), income_band(frame), age_band(frame), geography.region(frame)]
    if train is not None:
        kinds.append(distance_band(frame, train))
    square = pd.Series((y_pred - frame[TARGET].to_numpy()) ** 2, frame.index)
    tables = {}
    for kind in kinds:
        share = square.groupby(kind, observed=True).sum() / square.sum() * 100
        table = errors_by_group(frame[TARGET], y_pred, kind)
        tables[kind.name] = table.assign(**{"share of squared error, %": share.round(1)})
    return pd.concat(tables, names=["slice", "group"])


def worst_groups(
    table: pd.DataFrame, error_column: str = "RMSE, $", min_rows: int = 50
) -> pd.DataFrame:
    """The group with the largest error of each slice, the worst of them first.

    table: as `slices` gives it. Groups of less than `least` block groups are not asked: a few
    rows say more of themselves than of the model.
    """
    large = table[table["block groups"] >= min_rows].sort_values(error_column, ascending=False)
    return large.groupby(level="slice", sort=False).head(1)


def price_band(frame: pd.DataFrame) -> pd.Series:
    """Which price band each block group is in; the capped ones have their own."""
    edges = [0, 1, 2, 3, 4, 5, np.inf]
    names = ["below $100k", "$100k to 200k", "$200k to 300k", "$300k to 400k", "$400k to 500k"]
    bands = pd.cut(frame[TARGET], edges, labels=[*names, "capped at $500k"], include_lowest=True)
    return bands.mask(frame[TARGET] >= HOUSE_VALUE_CAP, "capped at $500k").rename("price band")


def income_band(frame: pd.DataFrame) -> pd.Series:
    """Which band of median household income a year, in dollars of 1990, each block group is in."""
    edges = [0, 2, 3, 4, 6, 8, np.inf]
    return pd.cut(frame.MedInc, edges, right=False, labels=INCOME_BANDS).rename("income")


def age_band(frame: pd.DataFrame) -> pd.Series:
    """Which decade of house age each block group is in."""
    start = (frame.HouseAge // 10 * 10).astype(int)
    return (start.astype(str) + " to " + (start + 9).astype(str) + " years").rename("house age")


def distance_band(frame: pd.DataFrame, train: pd.DataFrame) -> pd.Series:
    """How far the nearest training row is from each block group."""
    names = ["at the same spot", "below 1 km", "1 to 5 km", "above 5 km"]
    edges = [-1, 0.1, 1, 5, np.inf]  # the coordinates' last digit is a kilometre
    bands = pd.cut(geography.distance_to_nearest_km(frame, train), edges, labels=names)
    return pd.Series(bands, frame.index, name="nearest training row")
