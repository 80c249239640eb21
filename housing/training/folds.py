"""Cross-validation two ways: guessing among known places, and guessing where nothing is known."""

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold

from housing import geography
from housing.schema import FEATURE_NAMES

FoldIndices = list[tuple[np.ndarray, np.ndarray]]  # a (fit, rest) pair of row numbers for each fold
COORDINATE_NAMES = ["Latitude", "Longitude"]


def random_folds(n_rows: int, n_folds: int = 5, seed: int = 42) -> FoldIndices:
    """Each row held out once, drawn at random: most neighbours of a held-out row stay known."""
    return list(KFold(n_folds, shuffle=True, random_state=seed).split(np.empty(n_rows)))


def spatial_folds(
    locations: pd.DataFrame | np.ndarray, n_folds: int = 5, cell_degrees: float = 0.5
) -> FoldIndices:
    """Each row held out once, with its whole map cell: a held-out row has no neighbour known.

    where: a frame with latitude and longitude, or (n, 8) features in `schema.NAMES`' order. A cell
    is `degrees` wide and high, 56 km by 45 km by default. Roberts et al. (2017), "Cross-validation
    strategies for data with temporal, spatial, hierarchical, or phylogenetic structure". Raises
    ValueError if there are fewer cells than folds.
    """
    columns = [FEATURE_NAMES.index(one) for one in COORDINATE_NAMES]
    points = (
        locations[COORDINATE_NAMES].to_numpy()
        if isinstance(locations, pd.DataFrame)
        else locations[:, columns]
    )
    names, cell = np.unique(np.floor(points / cell_degrees), axis=0, return_inverse=True)
    if len(names) < n_folds:
        raise ValueError(
            f"{len(points):,} rows lie in {len(names)} cells of {cell_degrees:g} degrees, "
            f"expected at least one for each of {n_folds} folds"
        )
    return list(GroupKFold(n_folds).split(points, groups=cell))


def distance_to_training_km(frame: pd.DataFrame, fold_indices: FoldIndices) -> np.ndarray:
    """(n,) kilometres from each row to the nearest one that its fold's model has learnt from."""
    distance = np.full(len(frame), np.nan)
    for fit, rest in fold_indices:
        distance[rest] = geography.distance_to_nearest_km(frame.iloc[rest], frame.iloc[fit])
    return distance
