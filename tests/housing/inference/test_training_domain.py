import json
import re

import numpy as np
import pytest

from housing.accepted_ranges import LOWER_LIMITS, UPPER_LIMITS
from housing.data.synthetic import generate_sample
from housing.inference import training_domain
from housing.schema import FEATURE_NAMES


@pytest.fixture(scope="module")
def train():
    return generate_sample(3_000)


@pytest.fixture(scope="module")
def domain(train):
    return training_domain.from_json(training_domain.fit(train))


def warnings_of(domain, row, **changes):
    """Return the warnings of a row with other values for some features."""
    changed = row.copy()
    for name, value in changes.items():
        changed[FEATURE_NAMES.index(name)] = value
    return training_domain.out_of_domain_warnings(domain, changed[None])[0]


def marked_share(domain, rows):
    return np.mean([bool(texts) for texts in training_domain.out_of_domain_warnings(domain, rows)])


def test_few_ordinary_rows_get_a_warning(domain, train):
    new_rows = generate_sample(3_000, seed=7)[FEATURE_NAMES].to_numpy()
    warnings = training_domain.out_of_domain_warnings(domain, new_rows)
    is_remote = np.array(["km away" in " ".join(texts) for texts in warnings])
    assert marked_share(domain, new_rows[~is_remote]) < 0.02
    assert marked_share(domain, train[FEATURE_NAMES].to_numpy()) < 0.03
    assert warnings_of(domain, domain.reference_row) == []


def test_most_rows_with_swapped_columns_or_another_unit_get_a_warning(domain):
    rows = generate_sample(1_000, seed=7)[FEATURE_NAMES].to_numpy()
    income_in_another_unit = rows.copy()
    income_in_another_unit[:, FEATURE_NAMES.index("MedInc")] /= 10
    assert marked_share(domain, income_in_another_unit) > 0.95
    for first, second in (("AveRooms", "AveBedrms"), ("HouseAge", "AveOccup")):
        columns = [FEATURE_NAMES.index(first), FEATURE_NAMES.index(second)]
        swapped = rows.copy()
        swapped[:, columns] = swapped[:, columns[::-1]]
        assert marked_share(domain, swapped) > 0.8, (first, second)


def test_ordinary_numbers_that_do_not_go_together_are_named(domain, train):
    """Each is within what the model has seen of its feature."""
    [warning] = warnings_of(domain, domain.reference_row, HouseAge=train.HouseAge.min())
    assert warning.startswith("HouseAge is 1, and block groups that are otherwise like this one ")
    low, high = re.search(r"about ([\d.]+) to ([\d.]+) \(years\)$", warning).groups()
    assert 1 < float(low) < domain.reference_row[FEATURE_NAMES.index("HouseAge")] < float(high)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"AveRooms": 1, "AveBedrms": 40}, "AveBedrms is 40 and AveRooms is 1: 40 bedrooms per "),
        ({"AveRooms": 3, "AveBedrms": 2.2}, "AveBedrms is 2.2 and AveRooms is 3: 0.733 bedrooms "),
        ({"Population": 3, "AveOccup": 1_200}, "Population is 3 and AveOccup is 1,200: 0.0025 ho"),
        ({"AveRooms": 3, "AveOccup": 9}, "AveRooms is 3 and AveOccup is 9: 0.333 rooms per person"),
    ],
)
def test_a_contradiction_is_named_with_both_numbers_and_what_the_model_has_seen(
    domain, changes, expected
):
    [warning] = [
        text for text in warnings_of(domain, domain.reference_row, **changes) if expected in text
    ]
    assert re.search(r", and the model has seen [\d.,]+ to [\d.,]+$", warning)


def test_a_row_of_the_smallest_accepted_numbers_gets_warnings_without_a_failure(domain):
    with np.errstate(all="raise"):
        [lowest, highest] = training_domain.out_of_domain_warnings(
            domain, np.stack([LOWER_LIMITS, UPPER_LIMITS])
        )
    assert lowest
    assert highest
    assert not any("inf" in text or "nan" in text for text in lowest + highest)


def test_many_rows_get_the_same_warnings_as_each_alone(domain):
    rows = np.random.default_rng(0).uniform(LOWER_LIMITS, UPPER_LIMITS, (3_000, 8))
    rows[::2] = generate_sample(1_500, seed=5)[FEATURE_NAMES].to_numpy()
    warnings = training_domain.out_of_domain_warnings(domain, rows)
    for number in (0, 1, 2_047, 2_048, 2_999):
        [alone] = training_domain.out_of_domain_warnings(domain, rows[[number]])
        assert warnings[number] == alone
    assert training_domain.out_of_domain_warnings(domain, rows[:0]) == []


def test_a_domain_of_an_older_version_is_read_and_warns_of_ranges_and_distances(domain, train):
    fields = json.loads(training_domain.fit(train))
    del fields["conditional_ranges"], fields["ratio_ranges"]
    former = training_domain.from_json(json.dumps(fields).encode())
    assert warnings_of(former, domain.reference_row, AveRooms=5, AveBedrms=2.2) == []
    assert len(warnings_of(former, domain.reference_row, AveRooms=199)) == 1
    del fields["deciles"]
    assert training_domain.from_json(json.dumps(fields).encode()).deciles is None


@pytest.mark.parametrize("n_rows", [1, 12, 200])
def test_a_domain_of_few_rows_can_be_fitted(train, n_rows):
    few = train.head(n_rows)
    domain = training_domain.from_json(training_domain.fit(few))
    warnings = training_domain.out_of_domain_warnings(domain, few[FEATURE_NAMES].to_numpy())
    assert len(warnings) == n_rows


def test_a_domain_of_equal_rows_can_be_fitted(train):
    equal = train.head(1).loc[[0] * 500]
    domain = training_domain.from_json(training_domain.fit(equal))
    assert warnings_of(domain, domain.reference_row) == []
    assert warnings_of(domain, domain.reference_row, MedInc=2 * equal.MedInc[0].max())


def test_each_value_out_of_range_is_named_with_the_range(domain, train):
    row = train[FEATURE_NAMES].to_numpy()[:1].copy()
    row[0, FEATURE_NAMES.index("AveRooms")] = 199
    row[0, FEATURE_NAMES.index("HouseAge")] = 0.5
    [warnings] = training_domain.out_of_domain_warnings(domain, row)
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
