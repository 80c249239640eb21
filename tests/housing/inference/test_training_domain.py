import numpy as np
import pytest

from housing.data.synthetic import generate_sample
from housing.inference import training_domain
from housing.schema import FEATURE_NAMES


@pytest.fixture(scope="module")
def train():
    return generate_sample(500)


@pytest.fixture(scope="module")
def domain(train):
    return training_domain.from_json(training_domain.fit(train))


def test_training_rows_get_no_warning(domain, train):
    warnings = training_domain.out_of_domain_warnings(domain, train[FEATURE_NAMES].to_numpy())
    assert warnings == [[]] * 500


def test_each_value_out_of_range_is_named_with_the_range(domain, train):
    row = train[FEATURE_NAMES].to_numpy()[:1].copy()
    row[0, FEATURE_NAMES.index("AveRooms")] = 199
    row[0, FEATURE_NAMES.index("HouseAge")] = 0.5
    [warnings] = training_domain.out_of_domain_warnings(domain, row)
    assert len(warnings) == 2
    assert warnings[1].startswith("AveRooms is 199, and the model has seen ")
    assert warnings[1].endswith(f" to {train.AveRooms.max():,.6g} (rooms)")
    assert warnings[0].startswith("HouseAge is 0.5, ")


def test_a_location_far_from_all_others_is_named_in_kilometers(domain, train):
    southernmost = train.loc[train.Latitude.idxmin()]
    row = southernmost[FEATURE_NAMES].to_numpy(float)[None].copy()
    row[0, FEATURE_NAMES.index("Latitude")] -= 25 / 111.2
    [warnings] = training_domain.out_of_domain_warnings(domain, row)
    assert "the nearest block group that the model learnt from is 25 km away" in warnings
    row[0, FEATURE_NAMES.index("Latitude")] += 10 / 111.2
    [warnings] = training_domain.out_of_domain_warnings(domain, row)
    assert not [warning for warning in warnings if "km away" in warning]


def test_the_reference_row_is_at_a_real_location(domain, train):
    locations = train[["Latitude", "Longitude"]].to_numpy()
    reference_location = domain.reference_row[training_domain.COORDINATE_INDICES]
    assert (locations == reference_location).all(axis=1).any()
    assert domain.reference_row[0] == np.median(train.MedInc)


def test_a_file_without_a_domain_is_refused():
    with pytest.raises((ValueError, KeyError)):
        training_domain.from_json(b"{}")
