"""Two ways to cut cross-validation folds: at random, and by cells of the map."""

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold

from housing import geography
from housing.schema import COORDINATE_NAMES

FoldIndices = list[tuple[np.ndarray, np.ndarray]]  # (train, held-out) row numbers of each fold


def random_folds(n_rows: int, n_folds: int = 5, seed: int = 42) -> FoldIndices:
    """Hold out each row once, drawn at random: most held-out rows have neighbors to learn from."""
    return list(KFold(n_folds, shuffle=True, random_state=seed).split(np.empty(n_rows)))


def spatial_folds(frame: pd.DataFrame, n_folds: int = 5, cell_degrees: float = 0.5) -> FoldIndices:
    """Hold out each row once, with its whole map cell: no neighbor of it is learnt from.

    frame: with latitude and longitude. A cell is `cell_degrees` wide and high, 56 km by 45 km by
    default. Roberts et al. (2017), "Cross-validation strategies for data with temporal, spatial,
    hierarchical, or phylogenetic structure". Raises ValueError if there are fewer cells than folds.
    """
    points = frame[COORDINATE_NAMES].to_numpy()
    cells, cell_ids = np.unique(np.floor(points / cell_degrees), axis=0, return_inverse=True)
    if len(cells) < n_folds:
        raise ValueError(
            f"{len(points):,} rows lie in {len(cells)} cells of {cell_degrees:g} degrees, "
            f"expected at least one for each of {n_folds} folds"
        )
    return list(GroupKFold(n_folds).split(points, groups=cell_ids))


def distance_to_training_km(frame: pd.DataFrame, fold_indices: FoldIndices) -> np.ndarray:
    """Return the (n,) kilometres from each row to the nearest training row of its fold.

    frame: (n, 9). fold_indices: each row is held out in one fold.
    """
    distances_km = np.full(len(frame), np.nan)
    for train_index, held_out_index in fold_indices:
        distances_km[held_out_index] = geography.distance_to_nearest_km(
            frame.iloc[held_out_index], frame.iloc[train_index]
        )
    return distances_km
