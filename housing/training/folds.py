"""Cross-validation two ways: guessing among known places, and guessing where nothing is known."""

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold

from housing import geography
from housing.schema import NAMES

Cuts = list[tuple[np.ndarray, np.ndarray]]  # a (fit, rest) pair of row numbers for each fold
PLACE = ["Latitude", "Longitude"]


def random(rows: int, folds: int = 5, seed: int = 42) -> Cuts:
    """Each row held out once, drawn at random: most neighbours of a held-out row stay known."""
    return list(KFold(folds, shuffle=True, random_state=seed).split(np.empty(rows)))


def cells(where: pd.DataFrame | np.ndarray, folds: int = 5, degrees: float = 0.5) -> Cuts:
    """Each row held out once, with its whole map cell: a held-out row has no neighbour known.

    where: a frame with latitude and longitude, or (n, 8) features in `schema.NAMES`' order. A cell
    is `degrees` wide and high, 56 km by 45 km by default. Roberts et al. (2017), "Cross-validation
    strategies for data with temporal, spatial, hierarchical, or phylogenetic structure". Raises
    ValueError if there are fewer cells than folds.
    """
    columns = [NAMES.index(one) for one in PLACE]
    points = where[PLACE].to_numpy() if isinstance(where, pd.DataFrame) else where[:, columns]
    names, cell = np.unique(np.floor(points / degrees), axis=0, return_inverse=True)
    if len(names) < folds:
        raise ValueError(
            f"{len(points):,} rows lie in {len(names)} cells of {degrees:g} degrees, "
            f"expected at least one for each of {folds} folds"
        )
    return list(GroupKFold(folds).split(points, groups=cell))


def distance_km(frame: pd.DataFrame, cuts: Cuts) -> np.ndarray:
    """(n,) kilometres from each row to the nearest one that its fold's model has learnt from."""
    distance = np.full(len(frame), np.nan)
    for fit, rest in cuts:
        distance[rest] = geography.distance_km(frame.iloc[rest], frame.iloc[fit])
    return distance
