import numpy as np
import pytest

from housing import geography
from housing.data.synthetic import generate_sample
from housing.retraining import value_index
from housing.schema import TARGET


@pytest.fixture(scope="module")
def older_rows():
    return generate_sample(1_500, seed=0)


def scale_values(frame, factors):
    return frame.assign(**{TARGET: np.minimum(frame[TARGET] * factors, 5.00001)})


def test_values_stay_as_they_are_where_prices_have_not_changed(older_rows, new_block_groups):
    index = value_index.estimate(older_rows, new_block_groups)
    assert (index.factors, index.start, index.earlier_factors) == ({}, 0, {})
    assert index.evidence.taken.tolist() == [True, *[False] * (len(index.evidence) - 1)]


def test_an_increase_everywhere_is_found(older_rows, new_block_groups):
    index = value_index.estimate(older_rows, scale_values(new_block_groups, 1.2))
    assert set(index.factors) == set(geography.REGIONS)
    assert np.allclose(list(index.factors.values()), 1.2, atol=0.04)


def test_an_increase_of_a_region_stays_there(older_rows, new_block_groups):
    is_raised = geography.assign_regions(new_block_groups) == "Bay Area"
    factors = np.where(is_raised, 1.5, 1.0)
    index = value_index.estimate(older_rows, scale_values(new_block_groups, factors))
    assert index.factors["Bay Area"] > 1.3
    assert abs(index.factors["Los Angeles and Orange"] - 1) < 0.08


def test_rows_of_before_an_increase_are_brought_to_its_prices(older_rows, new_block_groups):
    """The change came after half of the rows to learn from, three eighths of all."""
    n_before = len(new_block_groups) * 3 // 8
    factors = np.where(np.arange(len(new_block_groups)) < n_before, 1.0, 1.3)
    index = value_index.estimate(older_rows, scale_values(new_block_groups, factors))
    assert index.start == n_before
    assert np.allclose(list(index.factors.values()), 1.3, atol=0.06)
    assert np.allclose(list(index.earlier_factors.values()), 1.3, atol=0.08)


def test_the_estimate_is_the_same_each_time(older_rows, new_block_groups):
    rows = scale_values(new_block_groups, 1.1)
    first, second = (value_index.estimate(older_rows, rows) for _ in range(2))
    assert first.factors == second.factors
    assert first.evidence.equals(second.evidence)
