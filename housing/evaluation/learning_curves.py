"""Learning curves: what more training rows bring, measured and extrapolated."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import RegressorMixin
from threadpoolctl import threadpool_limits

from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES, TARGET, USD_PER_UNIT
from housing.training import folds
from housing.training.folds import FoldIndices
from housing.training.search import SearchResult


def learning_curve(
    build_model: Callable[[], RegressorMixin],
    frame: pd.DataFrame,
    fold_indices: FoldIndices,
    train_sizes: Sequence[int],
    seed: int = 42,
) -> pd.DataFrame:
    """Return a row for each number of training rows, with the RMSE on held-out rows, in dollars.

    build_model: returns an unfitted model. fold_indices: (train, held-out) row numbers of the
    frame; the mean and the standard deviation over the folds are returned. The rows of each size
    are the first ones of one random order, so that a larger set contains the smaller one. Raises
    ValueError if a size is larger than the number of rows to train on.
    """
    max_size = min(len(train_index) for train_index, _ in fold_indices)
    if not 0 < min(train_sizes) <= max(train_sizes) <= max_size:
        raise ValueError(
            f"train_sizes are {list(train_sizes)}, expected numbers of rows from 1 to {max_size:,}"
        )
    shuffled = [
        (frame.iloc[train_index].sample(frac=1, random_state=seed), frame.iloc[held_out_index])
        for train_index, held_out_index in fold_indices
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
    first_fold = folds.random_folds(len(train), 4, seed)[:1]
    sizes = [len(first_fold[0][0]) >> halvings for halvings in (3, 2, 1, 0)]
    return learning_curve(lambda: family.build(result.params, seed), train, first_fold, sizes, seed)


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


def _fit_and_score(model: RegressorMixin, train: pd.DataFrame, held_out: pd.DataFrame) -> float:
    """Fit a model and return its RMSE on the held-out rows, in $100,000."""
    with threadpool_limits(1, "openmp"):
        model.fit(train[FEATURE_NAMES], train[TARGET])
        error = model.predict(held_out[FEATURE_NAMES]) - held_out[TARGET].to_numpy()
        return float(np.sqrt(np.mean(error**2)))
