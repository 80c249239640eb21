import numpy as np
import pytest

from housing import geography
from housing.data.synthetic import generate_sample
from housing.retraining import value_index
from housing.schema import TARGET


@pytest.fixture(scope="module")
def older_rows():
    return generate_sample(1_000, seed=0)


def scale_values(frame, factors):
    return frame.assign(**{TARGET: np.minimum(frame[TARGET] * factors, 5.00001)})


def test_values_stay_as_they_are_where_prices_have_not_changed(older_rows, new_block_groups):
    index = value_index.estimate(older_rows, new_block_groups)
    assert (index.factors, index.start, index.earlier_factors) == ({}, 0, {})
    assert index.evidence.taken.tolist() == [True, *[False] * (len(index.evidence) - 1)]


def test_an_increase_everywhere_is_found(older_rows, new_block_groups):
    index = value_index.estimate(older_rows, scale_values(new_block_groups, 1.2))
    assert set(index.factors) == set(geography.REGIONS)
    assert np.allclose(list(index.factors.values()), 1.2, atol=0.08)


def test_an_increase_of_a_region_stays_there(older_rows, new_block_groups):
    is_raised = geography.assign_regions(new_block_groups) == "Bay Area"
    factors = np.where(is_raised, 1.5, 1.0)
    index = value_index.estimate(older_rows, scale_values(new_block_groups, factors))
    assert index.factors["Bay Area"] > 1.3
    assert index.factors["Los Angeles and Orange"] < 1.15


def test_rows_of_before_an_increase_are_brought_to_its_prices(older_rows, new_block_groups):
    """The change came after half of the rows that indexes are estimated from."""
    factors = np.where(np.arange(len(new_block_groups)) < 225, 1.0, 1.4)
    index = value_index.estimate(older_rows, scale_values(new_block_groups, factors))
    assert index.start > 0
    assert np.allclose(list(index.factors.values()), 1.4, atol=0.1)
    assert min(index.earlier_factors.values()) > 1.1
