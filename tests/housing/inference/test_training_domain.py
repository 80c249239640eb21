import numpy as np
import pytest

from housing.data.synthetic import generate_sample
from housing.inference import training_domain
from housing.schema import FEATURE_NAMES


@pytest.fixture(scope="module")
def train():
    return generate_sample(500)


@pytest.fixture(scope="module")
def known(train):
    return training_domain.from_json(training_domain.fit(train))


def test_training_rows_are_like_themselves(known, train):
    assert (
        training_domain.out_of_domain_warnings(known, train[FEATURE_NAMES].to_numpy()) == [[]] * 500
    )


def test_each_value_outside_is_named_with_what_was_seen(known, train):
    row = train[FEATURE_NAMES].to_numpy()[:1].copy()
    row[0, FEATURE_NAMES.index("AveRooms")] = 199
    row[0, FEATURE_NAMES.index("HouseAge")] = 0.5
    [said] = training_domain.out_of_domain_warnings(known, row)
    high = train.AveRooms.max()
    assert len(said) == 2
    assert said[1].startswith("AveRooms is 199, and the model has seen ")
    assert said[1].endswith(f" to {high:,.6g} (rooms)")
    assert said[0].startswith("HouseAge is 0.5, ")


def test_a_place_far_from_all_others_is_noticed_in_kilometres(known, train):
    south = train.loc[train.Latitude.idxmin()]
    row = south[FEATURE_NAMES].to_numpy(float)[None].copy()
    row[0, FEATURE_NAMES.index("Latitude")] -= 25 / 111.2
    [said] = training_domain.out_of_domain_warnings(known, row)
    assert "the nearest block group that the model learnt from is 25 km away" in said
    row[0, FEATURE_NAMES.index("Latitude")] += 10 / 111.2
    assert not [
        one for one in training_domain.out_of_domain_warnings(known, row)[0] if "km away" in one
    ]


def test_an_ordinary_block_group_is_a_real_place(known, train):
    places = train[["Latitude", "Longitude"]].to_numpy()
    assert (places == known.reference_row[training_domain.COORDINATE_INDICES]).all(axis=1).any()
    assert known.reference_row[0] == np.median(train.MedInc)


def test_what_is_no_domain_is_refused():
    with pytest.raises((ValueError, KeyError)):
        training_domain.from_json(b"{}")
