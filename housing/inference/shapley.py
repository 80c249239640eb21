"""What each feature adds to a guess, in dollars: exact Shapley values.

"Baseline" or "interventional" Shapley values (Shapley, A Value for n-person Games, 1953; Strumbelj
& Kononenko, Explaining prediction models and individual predictions with feature contributions,
2014; Lundberg & Lee, A Unified Approach to Interpreting Model Predictions, 2017): what a feature
adds when the row's values replace those of a background row one by one, averaged over all orders.
Nothing is sampled, as seven players have but 128 coalitions. Latitude and longitude are one
player: one row's latitude with another's longitude may lie at sea or in Nevada.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from housing.schema import FEATURE_NAMES, USD_PER_UNIT

if TYPE_CHECKING:  # a service that explains has no need of pandas
    import pandas as pd

COORDINATE_COLUMNS = ["Latitude", "Longitude"]
# each player, and the columns of a row it brings
FEATURE_GROUPS = {
    name: [FEATURE_NAMES.index(name)] for name in FEATURE_NAMES if name not in COORDINATE_COLUMNS
} | {"location": [FEATURE_NAMES.index(name) for name in COORDINATE_COLUMNS]}
MAX_PREDICT_ROWS = 65_536  # rows the model is given at once: 4 MB


class Explanation(NamedTuple):
    """base + the sum of a row's contributions is what the model answers for it."""

    contributions: pd.DataFrame  # (n, 7), in dollars, a column a player
    base_value: float  # the model's mean answer on the background, in dollars


def contributions(
    predict: Callable[[np.ndarray], np.ndarray],
    rows: pd.DataFrame | np.ndarray,
    background: pd.DataFrame | np.ndarray,
) -> Explanation:
    """What each feature adds to the guess for each row, compared with the background.

    Arguments and errors as for `shapley`; frames may have other columns too, in any order.
    """
    import pandas as pd

    if isinstance(background, pd.DataFrame):
        background = background[FEATURE_NAMES].to_numpy(float)
    index = None
    if isinstance(rows, pd.DataFrame):
        index, rows = rows.index, rows[FEATURE_NAMES].to_numpy(float)
    values, base = shapley_values(predict, rows, background)
    return Explanation(
        pd.DataFrame(values * USD_PER_UNIT, index, list(FEATURE_GROUPS)), base * USD_PER_UNIT
    )


def shapley_values(
    predict: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, background: np.ndarray
) -> tuple[np.ndarray, float]:
    """(n, 7) contributions, and the mean answer on the background, in $100,000.

    predict: takes (k, 8) float64, columns as in `schema.NAMES`, gives (k,) in $100,000; it is asked
    about 128 n b rows, at most 65,536 at once. rows: (n, 8). background: (b, 8), the rows to
    compare with, each of the same weight; `typical` gives one. Raises ValueError for a wrong shape,
    a number that is not finite, or a background without rows.
    """
    rows, background = _validate_rows("rows", rows), _validate_rows("background", background)
    if not len(background):
        raise ValueError("background has no rows, expected at least one to compare with")
    brought = _coalition_masks()
    values = np.zeros((len(rows), len(FEATURE_GROUPS)))
    pairs, step = len(rows) * len(background), MAX_PREDICT_ROWS // len(brought)
    for start in range(0, pairs, step):
        row, other = divmod(np.arange(start, min(start + step, pairs)), len(background))
        mixed = np.where(brought, rows[row, None], background[other, None])
        worth = _call_predict(predict, mixed.reshape(-1, len(FEATURE_NAMES))).reshape(len(row), -1)
        np.add.at(values, row, _shapley_from_coalitions(worth))
    return values / len(background), float(_call_predict(predict, background).mean())


def reference_row(train: pd.DataFrame) -> np.ndarray:
    """(1, 8): a block group to compare with, the medians of the features at a real place.

    The place is that of the block group nearest to the median latitude and longitude, as nobody may
    live at the medians themselves. Not a mean: a few block groups have 30,000 people or 1,000 a
    household. One row answers "compared with what?" in a sentence, and costs the least to ask.
    """
    row = train[FEATURE_NAMES].median()
    away = ((train[COORDINATE_COLUMNS] - row[COORDINATE_COLUMNS]) ** 2).sum(axis=1).to_numpy()
    row[COORDINATE_COLUMNS] = train[COORDINATE_COLUMNS].iloc[away.argmin()]
    return row.to_numpy(float)[None]


def _coalition_masks() -> np.ndarray:
    """(128, 8) booleans: which columns are the row's, the others being the background's.

    Bit p of a coalition's number tells whether player p takes part.
    """
    numbers = np.arange(2 ** len(FEATURE_GROUPS))
    brought = np.zeros((len(numbers), len(FEATURE_NAMES)), bool)
    for player, columns in enumerate(FEATURE_GROUPS.values()):
        brought[:, columns] = (numbers[:, None] >> player) & 1
    return brought


def _shapley_from_coalitions(coalition_values: np.ndarray) -> np.ndarray:
    """(k, 7): how the worth of the coalitions, (k, 128), is shared among the players.

    A player meets a coalition of s others in s! (6 - s)! of the 7! orders. Its gain is a difference
    of two answers, so that a feature the model ignores gets 0 to the last bit.
    """
    players = len(FEATURE_GROUPS)
    orders = np.array([factorial(size) * factorial(players - 1 - size) for size in range(players)])
    numbers = np.arange(2**players)
    sizes = np.array([number.bit_count() for number in range(2**players)])
    shares = np.empty((len(coalition_values), players))
    for player in range(players):
        without = numbers[(numbers >> player) & 1 == 0]
        gain = coalition_values[:, without + 2**player] - coalition_values[:, without]
        shares[:, player] = gain @ (orders[sizes[without]] / factorial(players))
    return shares


def _call_predict(predict: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
    answers = np.asarray(predict(rows), float)
    if answers.shape != (len(rows),):
        raise ValueError(f"predict gave the shape {answers.shape}, expected ({len(rows)},)")
    return answers


def _validate_rows(name: str, rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, float)
    if rows.ndim != 2 or rows.shape[1] != len(FEATURE_NAMES):
        raise ValueError(
            f"{name} has the shape {rows.shape}, expected (rows, {len(FEATURE_NAMES)})"
        )
    if not np.isfinite(rows).all():
        raise ValueError(f"{name} holds {(~np.isfinite(rows)).sum()} numbers that are not finite")
    return rows
