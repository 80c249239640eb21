"""Ranks: uniform for the held-out rows, whatever their values are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from housing.monitoring.reference.rank_scale import fit_rank_scale

GENERATOR = np.random.default_rng(0)
SAMPLES = {
    "skewed": GENERATOR.lognormal(size=4_128),
    "whole years, capped at 52": np.minimum(GENERATOR.integers(1, 70, 4_128), 52),
    "half of them 0": np.maximum(GENERATOR.normal(size=4_128), 0),
    "few": np.array([3.0, 1.0, 2.0]),
    "all equal": np.full(50, 7.0),
}


@pytest.mark.parametrize("values", SAMPLES.values(), ids=SAMPLES)
def test_the_mean_rank_of_the_held_out_rows_is_one_half(values):
    ranks = fit_rank_scale(values).ranks(values)
    assert ranks.mean() == pytest.approx(0.5, abs=1e-12)
    assert ((ranks >= 0) & (ranks <= 1)).all()


@given(st.lists(st.integers(-20, 20) | st.floats(-1e6, 1e6), min_size=1, max_size=400))
def test_the_mean_rank_is_one_half_for_any_values_and_larger_values_have_no_lower_rank(values):
    scale = fit_rank_scale(np.array(values, float))
    ranks = scale.ranks(np.sort(np.array(values, float)))
    assert ranks.mean() == pytest.approx(0.5, abs=1e-9)
    assert (np.diff(ranks) >= -1e-9).all()


def test_equal_values_get_the_middle_of_the_ranks_that_they_take_up():
    ages = np.array([10.0, 20.0, 52.0, 52.0])
    assert fit_rank_scale(ages).ranks(np.array([10, 20, 52])).tolist() == [0.125, 0.375, 0.75]


def test_values_beyond_the_held_out_ones_have_the_ranks_0_and_1():
    scale = fit_rank_scale(SAMPLES["skewed"])
    assert scale.ranks(np.array([-1.0, 1e9, np.inf])).tolist() == [0, 1, 1]


def test_a_missing_value_has_no_rank():
    scale = fit_rank_scale(np.array([1.0, np.nan, 2.0]))
    assert np.isnan(scale.ranks(np.array([np.nan])))
    assert scale.ranks(np.array([1.0, 2.0])).tolist() == [0.25, 0.75]
    with pytest.raises(ValueError, match="there is no value"):
        fit_rank_scale(np.array([np.nan]))


def test_fresh_values_of_the_same_kind_have_uniform_ranks():
    scale = fit_rank_scale(SAMPLES["skewed"])
    fresh_ranks = scale.ranks(np.random.default_rng(1).lognormal(size=100_000))
    # both samples are random, the smaller one decides: 4 standard errors
    assert np.quantile(fresh_ranks, [0.1, 0.5, 0.9]) == pytest.approx(
        [0.1, 0.5, 0.9], abs=4 * 0.5 / np.sqrt(4_128)
    )


def test_a_rank_is_translated_back_to_its_value():
    values = SAMPLES["skewed"]
    scale = fit_rank_scale(values)
    assert len(scale.edges) <= 201
    assert scale.values(scale.ranks(values)) == pytest.approx(values)
    ages = SAMPLES["whole years, capped at 52"]
    assert fit_rank_scale(ages).values(np.array([0, 0.9, 1])).tolist() == [1, 52, 52]
