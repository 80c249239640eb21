import numpy as np
import pytest

from housing.evaluation.bootstrap import percentile_interval


def test_the_interval_of_each_score_is_as_wide_as_in_theory():
    small, large = np.random.default_rng(0).normal(size=(2, 1_000)) * [[1], [3]]

    def means(small, large, axis):
        return np.stack([small.mean(axis), large.mean(axis)])

    low, high = percentile_interval((small, large), means, 2_000)
    widths = 2 * 1.645 * np.array([small.std(), large.std()]) / 1_000**0.5
    np.testing.assert_allclose(high - low, widths, rtol=0.1)
    assert (low < [small.mean(), large.mean()]).all()
    assert ([small.mean(), large.mean()] < high).all()


def test_the_same_rows_are_drawn_of_each_column():
    column = np.random.default_rng(0).normal(size=100)
    low, high = percentile_interval(
        (column, column), lambda first, second, axis: (first - second).mean(axis), 200
    )
    assert (low, high) == (0, 0)


def test_a_seed_repeats_the_interval():
    column = np.random.default_rng(0).normal(size=100)
    first, repeated, different = (
        percentile_interval((column,), np.mean, 200, seed=seed) for seed in (1, 1, 2)
    )
    assert first == repeated != different


@pytest.mark.parametrize("level", [0, 1, 90])
def test_a_confidence_level_is_between_0_and_1(level):
    with pytest.raises(ValueError, match=f"confidence_level is {level}, expected a number"):
        percentile_interval((np.zeros(5),), np.mean, 10, level)
