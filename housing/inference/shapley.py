"""Compute what each feature adds to a prediction, in dollars: exact Shapley values.

"Baseline" or "interventional" Shapley values (Shapley, A Value for n-person Games, 1953; Strumbelj
& Kononenko, Explaining prediction models and individual predictions with feature contributions,
2014; Lundberg & Lee, A Unified Approach to Interpreting Model Predictions, 2017): what a feature
adds when the row's values replace those of a background row one by one, averaged over all orders.
Nothing is sampled, as seven players have only 128 coalitions. Latitude and longitude are one
player: one row's latitude with another's longitude may lie at sea or in Nevada.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from housing.schema import COORDINATE_INDICES, COORDINATE_NAMES, FEATURE_NAMES, USD_PER_UNIT

if TYPE_CHECKING:  # a service that explains has no need of pandas
    import pandas as pd

# each player, and the columns of a row that it stands for
FEATURE_GROUPS = {
    name: [FEATURE_NAMES.index(name)] for name in FEATURE_NAMES if name not in COORDINATE_NAMES
} | {"location": COORDINATE_INDICES}
MAX_PREDICT_ROWS = 65_536  # rows per call of the model: 4 MB


class Explanation(NamedTuple):
    """The contributions to some predictions; base_value plus a row's sum is its prediction."""

    contributions: pd.DataFrame  # (n, 7) in dollars, one column per player
    base_value: float  # the model's mean prediction on the background, in dollars


def contributions(
    predict: Callable[[np.ndarray], np.ndarray],
    rows: pd.DataFrame | np.ndarray,
    background: pd.DataFrame | np.ndarray,
) -> Explanation:
    """Explain the prediction for each row, compared with the background.

    Arguments and errors as for `shapley_values`; frames may have other columns too, in any order.
    """
    import pandas as pd

    if isinstance(background, pd.DataFrame):
        background = background[FEATURE_NAMES].to_numpy(float)
    index = None
    if isinstance(rows, pd.DataFrame):
        index, rows = rows.index, rows[FEATURE_NAMES].to_numpy(float)
    values, base_value = shapley_values(predict, rows, background)
    return Explanation(
        pd.DataFrame(values * USD_PER_UNIT, index, list(FEATURE_GROUPS)), base_value * USD_PER_UNIT
    )


def shapley_values(
    predict: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, background: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return (n, 7) contributions and the mean prediction on the background, in $100,000.

    predict: takes (k, 8) float64, columns as in `schema.FEATURE_NAMES`, and returns (k,) in
    $100,000; it is called on 128 n b rows, at most `MAX_PREDICT_ROWS` at once. rows: (n, 8).
    background: (b, 8), the rows to compare with, each of the same weight; `reference_row` gives
    one. Raises ValueError for a wrong shape, a number that is not finite, or a background without
    rows.
    """
    rows, background = _validate_rows("rows", rows), _validate_rows("background", background)
    if not len(background):
        raise ValueError("background has no rows, expected at least one to compare with")
    masks = _coalition_masks()
    values = np.zeros((len(rows), len(FEATURE_GROUPS)))
    n_pairs, pairs_per_call = len(rows) * len(background), MAX_PREDICT_ROWS // len(masks)
    for start in range(0, n_pairs, pairs_per_call):
        pairs = np.arange(start, min(start + pairs_per_call, n_pairs))
        row_indices, background_indices = divmod(pairs, len(background))
        mixed = np.where(masks, rows[row_indices, None], background[background_indices, None])
        predictions = _call_predict(predict, mixed.reshape(-1, len(FEATURE_NAMES)))
        coalition_values = predictions.reshape(len(pairs), -1)
        np.add.at(values, row_indices, _shapley_from_coalitions(coalition_values))
    return values / len(background), float(_call_predict(predict, background).mean())


def reference_row(train: pd.DataFrame) -> np.ndarray:
    """Return a (1, 8) block group to compare with: the medians of the features, at a real location.

    The location is that of the block group nearest to the median latitude and longitude, as the
    medians themselves may be uninhabited. Not a mean: a few block groups have 30,000 people or
    1,000 per household. One row answers "compared with what?" in a sentence, and is the cheapest
    background.
    """
    row = train[FEATURE_NAMES].median()
    squared_offsets = (train[COORDINATE_NAMES] - row[COORDINATE_NAMES]) ** 2
    nearest = squared_offsets.sum(axis=1).to_numpy().argmin()
    row[COORDINATE_NAMES] = train[COORDINATE_NAMES].iloc[nearest]
    return row.to_numpy(float)[None]


def _coalition_masks() -> np.ndarray:
    """Return (128, 8) booleans: which columns are the row's, the others being the background's.

    Bit p of a coalition's number says whether player p takes part.
    """
    numbers = np.arange(2 ** len(FEATURE_GROUPS))
    masks = np.zeros((len(numbers), len(FEATURE_NAMES)), bool)
    for player, columns in enumerate(FEATURE_GROUPS.values()):
        masks[:, columns] = (numbers[:, None] >> player) & 1
    return masks


def _shapley_from_coalitions(coalition_values: np.ndarray) -> np.ndarray:
    """Return (k, 7) Shapley values for (k, 128) values of the coalitions.

    A player meets a coalition of s others in s! (6 - s)! of the 7! orders. Its gain is a difference
    of two predictions, so a feature that the model ignores gets 0 to the last bit.
    """
    n_players = len(FEATURE_GROUPS)
    order_counts = np.array(
        [factorial(size) * factorial(n_players - 1 - size) for size in range(n_players)]
    )
    numbers = np.arange(2**n_players)
    sizes = np.array([number.bit_count() for number in range(2**n_players)])
    values = np.empty((len(coalition_values), n_players))
    for player in range(n_players):
        without = numbers[(numbers >> player) & 1 == 0]
        gains = coalition_values[:, without + 2**player] - coalition_values[:, without]
        values[:, player] = gains @ (order_counts[sizes[without]] / factorial(n_players))
    return values


def _call_predict(predict: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Return the (k,) predictions for (k, 8) rows. Raises ValueError for another shape."""
    predictions = np.asarray(predict(rows), float)
    if predictions.shape != (len(rows),):
        raise ValueError(f"predict returned the shape {predictions.shape}, expected ({len(rows)},)")
    return predictions


def _validate_rows(name: str, rows: np.ndarray) -> np.ndarray:
    """Return rows as (n, 8) finite float64, or raise ValueError with the name of the argument."""
    rows = np.asarray(rows, float)
    if rows.ndim != 2 or rows.shape[1] != len(FEATURE_NAMES):
        raise ValueError(
            f"{name} has the shape {rows.shape}, expected (rows, {len(FEATURE_NAMES)})"
        )
    if not np.isfinite(rows).all():
        raise ValueError(f"{name} holds {(~np.isfinite(rows)).sum()} numbers that are not finite")
    return rows
