import numpy as np
import pytest
from sklearn.model_selection import GroupKFold

from housing.data.synthetic import generate_sample
from housing.training import folds


@pytest.fixture(scope="module")
def frame():
    return generate_sample(2_000)


def held_out_rows(fold_indices):
    return np.sort(np.concatenate([held_out for _, held_out in fold_indices]))


def test_every_row_is_held_out_once_and_not_trained_on_in_that_fold(frame):
    for fold_indices in (folds.random_folds(len(frame), 5), folds.spatial_folds(frame, 5)):
        assert len(fold_indices) == 5
        assert (held_out_rows(fold_indices) == np.arange(len(frame))).all()
        for train, held_out in fold_indices:
            assert len(np.union1d(train, held_out)) == len(train) + len(held_out) == len(frame)


def test_a_seed_repeats_the_random_folds_and_another_seed_changes_them():
    [first, repeated, different] = [folds.random_folds(100, 4, seed)[0][1] for seed in (1, 1, 2)]
    assert (first == repeated).all()
    assert set(first) != set(different)


@pytest.mark.parametrize("degrees", [0.5, 0.25, 1])
def test_no_map_cell_is_in_both_parts_of_a_fold(frame, degrees):
    coordinates = frame[["Latitude", "Longitude"]].to_numpy()
    cells = [tuple(cell) for cell in np.floor(coordinates / degrees)]
    for train, held_out in folds.spatial_folds(frame, 4, degrees):
        assert not {cells[row] for row in train} & {cells[row] for row in held_out}


def test_the_default_folds_are_group_k_fold_of_half_degree_cells(frame):
    south, west = np.floor(2 * frame.Latitude), np.floor(2 * frame.Longitude)
    expected = GroupKFold(5).split(frame, groups=south * 1_000 + west)
    for fold, expected_fold in zip(folds.spatial_folds(frame), expected, strict=True):
        for rows, expected_rows in zip(fold, expected_fold, strict=True):
            assert (rows == expected_rows).all()


def test_fewer_cells_than_folds_are_an_error(frame):
    town = frame[:20].assign(Latitude=34.1, Longitude=-118.2)
    with pytest.raises(ValueError, match=r"20 rows lie in 1 cells of 0\.5 degrees.* 3 folds"):
        folds.spatial_folds(town, 3)


def test_the_nearest_training_row_is_further_away_with_spatial_folds(frame):
    random_km = folds.distance_to_training_km(frame, folds.random_folds(len(frame)))
    spatial_km = folds.distance_to_training_km(frame, folds.spatial_folds(frame))
    assert np.isfinite(random_km).all()
    assert np.median(spatial_km) > 5 * np.median(random_km)
