"""Estimates for small groups."""

import numpy as np
import pytest

from housing.monitoring.statistics.shrinkage import shrink_means


def test_shrunk_means_are_nearer_to_the_truth_than_the_groups_own():
    rng = np.random.default_rng(0)
    own_error = shrunk_error = 0.0
    for _ in range(100):
        truth = rng.normal(10, 1, size=12)
        counts = rng.integers(2, 40, size=12)
        means = rng.normal(truth, 3 / np.sqrt(counts))
        own_error += np.square(means - truth).sum()
        shrunk_error += np.square(shrink_means(counts, means, 9).means - truth).sum()
    assert shrunk_error < 0.8 * own_error


def test_the_standard_errors_are_those_of_the_estimates():
    rng = np.random.default_rng(1)
    scores = []
    for _ in range(300):
        truth = rng.normal(10, 1, size=30)
        counts = rng.integers(2, 40, size=30)
        estimate = shrink_means(counts, rng.normal(truth, 3 / np.sqrt(counts)), 9)
        scores.append((estimate.means - truth) / estimate.standard_errors)
    assert np.std(scores) == pytest.approx(1, abs=0.1)


def test_large_groups_keep_their_own_mean_and_empty_ones_get_that_of_all():
    means, _ = shrink_means(np.array([100_000, 100_000, 0]), np.array([1.0, 3.0, 99.0]), 1.0)
    assert means == pytest.approx([1, 3, 2], abs=0.01)


def test_groups_that_differ_by_chance_alone_all_get_the_mean_of_all():
    means, errors = shrink_means(np.array([10, 10, 20]), np.array([1.0, 1.1, 1.05]), 4.0)
    assert means == pytest.approx([1.05] * 3)
    assert errors == pytest.approx([np.sqrt(4 / 40)] * 3)


def test_without_rows_there_is_no_estimate():
    assert np.isnan(shrink_means(np.zeros(2), np.zeros(2), 1.0).means).all()


def test_a_variance_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"variance is 0.0, expected a number above 0"):
        shrink_means(np.ones(2), np.ones(2), 0.0)
