import numpy as np
import pytest
from sklearn.model_selection import GroupKFold

from housing.data.synthetic import generate_sample
from housing.schema import FEATURE_NAMES
from housing.training import folds


@pytest.fixture(scope="module")
def frame():
    return generate_sample(2_000)


def held_out(cuts):
    return np.sort(np.concatenate([rest for _, rest in cuts]))


def test_every_row_is_held_out_once_and_never_learnt_from_meanwhile(frame):
    for cuts in (folds.random_folds(len(frame), 5), folds.spatial_folds(frame, 5)):
        assert len(cuts) == 5
        assert (held_out(cuts) == np.arange(len(frame))).all()
        for fit, rest in cuts:
            assert len(np.union1d(fit, rest)) == len(fit) + len(rest) == len(frame)


def test_a_seed_gives_the_same_random_folds_and_another_gives_others():
    [one, again, other] = [folds.random_folds(100, 4, seed)[0][1] for seed in (1, 1, 2)]
    assert (one == again).all()
    assert set(one) != set(other)


@pytest.mark.parametrize("degrees", [0.5, 0.25, 1])
def test_no_map_cell_is_on_both_sides(frame, degrees):
    where = frame[["Latitude", "Longitude"]].to_numpy()
    cell = [tuple(one) for one in np.floor(where / degrees)]
    for fit, rest in folds.spatial_folds(frame, 4, degrees):
        assert not {cell[one] for one in fit} & {cell[one] for one in rest}


def test_the_default_cells_are_halves_of_a_degree_in_group_k_fold(frame):
    south, west = np.floor(2 * frame.Latitude), np.floor(2 * frame.Longitude)
    expected = GroupKFold(5).split(frame, groups=south * 1_000 + west)
    for ours, theirs in zip(folds.spatial_folds(frame), expected, strict=True):
        assert all((one == other).all() for one, other in zip(ours, theirs, strict=True))


def test_rows_of_features_serve_as_well_as_a_frame(frame):
    from_rows = folds.spatial_folds(frame[FEATURE_NAMES].to_numpy())
    for ours, theirs in zip(folds.spatial_folds(frame), from_rows, strict=True):
        assert (ours[1] == theirs[1]).all()


def test_fewer_cells_than_folds_are_named(frame):
    town = frame[:20].assign(Latitude=34.1, Longitude=-118.2)
    with pytest.raises(ValueError, match=r"20 rows lie in 1 cells of 0\.5 degrees.* 3 folds"):
        folds.spatial_folds(town, 3)


def test_held_out_cells_leave_the_nearest_known_row_further_away(frame):
    among = folds.distance_to_training_km(frame, folds.random_folds(len(frame)))
    apart = folds.distance_to_training_km(frame, folds.spatial_folds(frame))
    assert np.isfinite(among).all()
    assert np.median(apart) > 5 * np.median(among)
