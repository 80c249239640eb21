"""Errors by group of block groups: bands of price, income, age and distance, and regions."""

import numpy as np
import pandas as pd

from housing import geography
from housing.schema import HOUSE_VALUE_CAP, TARGET, USD_PER_UNIT

INCOME_EDGES = [0, 2, 3, 4, 6, 8, np.inf]  # $10,000 a year
INCOME_BANDS = [
    "below $20k",
    "$20k to 30k",
    "$30k to 40k",
    "$40k to 60k",
    "$60k to 80k",
    "above $80k",
]
PRICE_EDGES = [0, 1, 2, 3, 4, 5, np.inf]  # $100,000
CAPPED_BAND = "capped at $500k"
PRICE_BANDS = [
    "below $100k",
    "$100k to 200k",
    "$200k to 300k",
    "$300k to 400k",
    "$400k to 500k",
    CAPPED_BAND,
]
DISTANCE_EDGES_KM = [-1, 0.1, 1, 5, np.inf]  # the coordinates' last digit is about a kilometre
DISTANCE_BANDS = ["at the same spot", "below 1 km", "1 to 5 km", "above 5 km"]


def errors_by_group(y_true: pd.Series, y_pred: np.ndarray, groups: pd.Series) -> pd.DataFrame:
    """Return a row a group: block groups, and in dollars the typical (median) error, RMSE, bias.

    y_true, y_pred: (n,) in $100,000; groups: (n,) the name of each row's group. The bias is the
    mean of prediction minus true value; positive where the model predicts too much.
    """
    error = (pd.Series(y_pred, y_true.index) - y_true) * USD_PER_UNIT
    grouped = error.groupby(groups, observed=True)
    table = {
        "block groups": grouped.size(),
        "typical error, $": grouped.apply(lambda errors: errors.abs().median()),
        "RMSE, $": grouped.apply(lambda errors: np.sqrt((errors**2).mean())),
        "bias, $": grouped.mean(),
    }
    return pd.DataFrame(table).round(0).astype(float)


def assign_groups(frame: pd.DataFrame, train: pd.DataFrame | None = None) -> list[pd.Series]:
    """Return for each slice, which names the series, the (n,) group of each block group.

    train: as for `errors_by_slice`.
    """
    groups = [
        price_band(frame),
        income_band(frame),
        age_band(frame),
        geography.assign_regions(frame),
    ]
    return groups if train is None else [*groups, distance_band(frame, train)]


def errors_by_slice(
    frame: pd.DataFrame, y_pred: np.ndarray, train: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the errors by every slice in one table: `errors_by_group`, and the share of the error.

    frame: the predicted block groups, with their true values; y_pred: (n,) in $100,000. train: the
    rows the model was trained on; without it there is no slice by distance. The index is (slice,
    group); the last column is the percentage of all squared error that a group makes up.
    """
    squared_error = pd.Series((y_pred - frame[TARGET].to_numpy()) ** 2, frame.index)
    tables = {}
    for groups in assign_groups(frame, train):
        share = squared_error.groupby(groups, observed=True).sum() / squared_error.sum() * 100
        table = errors_by_group(frame[TARGET], y_pred, groups)
        tables[groups.name] = table.assign(**{"share of squared error, %": share.round(1)})
    return pd.concat(tables, names=["slice", "group"])


def worst_groups(table: pd.DataFrame, min_rows: int = 50) -> pd.DataFrame:
    """Return the group with the largest RMSE of each slice, the worst of them first.

    table: from `errors_by_slice`. Groups of fewer than `min_rows` block groups are left out: a few
    rows say more about themselves than about the model.
    """
    large = table[table["block groups"] >= min_rows].sort_values("RMSE, $", ascending=False)
    return large.groupby(level="slice", sort=False).head(1)


def price_band(frame: pd.DataFrame) -> pd.Series:
    """Return the price band of each block group; the capped ones have their own."""
    bands = pd.cut(frame[TARGET], PRICE_EDGES, labels=PRICE_BANDS, include_lowest=True)
    return bands.mask(frame[TARGET] >= HOUSE_VALUE_CAP, CAPPED_BAND).rename("price band")


def income_band(frame: pd.DataFrame) -> pd.Series:
    """Return the band of each block group's median household income a year, in dollars of 1990."""
    return pd.cut(frame.MedInc, INCOME_EDGES, right=False, labels=INCOME_BANDS).rename("income")


def age_band(frame: pd.DataFrame) -> pd.Series:
    """Return the decade of each block group's house age."""
    start = (frame.HouseAge // 10 * 10).astype(int)
    return (start.astype(str) + " to " + (start + 9).astype(str) + " years").rename("house age")


def distance_band(frame: pd.DataFrame, train: pd.DataFrame) -> pd.Series:
    """Return the band of each block group's distance to the nearest training row."""
    distance_km = geography.distance_to_nearest_km(frame, train)
    bands = pd.cut(distance_km, DISTANCE_EDGES_KM, labels=DISTANCE_BANDS)
    return pd.Series(bands, frame.index, name="nearest training row")
