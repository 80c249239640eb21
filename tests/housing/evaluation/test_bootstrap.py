import numpy as np
import pytest

from housing.evaluation.bootstrap import percentile_interval


def test_the_interval_of_each_score_is_as_wide_as_in_theory():
    values = np.random.default_rng(0).normal(size=(1_000, 2)) * [1, 3]
    low, high = percentile_interval(lambda rows: values[rows].mean(axis=1), 1_000, 2_000)
    np.testing.assert_allclose(high - low, 2 * 1.645 * values.std(axis=0) / 1_000**0.5, rtol=0.1)
    assert (low < values.mean(axis=0)).all()
    assert (values.mean(axis=0) < high).all()


def test_each_resample_is_scored_once():
    sizes = []

    def score_rows(rows):
        sizes.append(rows.shape)
        return np.zeros(len(rows))

    percentile_interval(score_rows, 7, 120)
    assert sizes == [(50, 7), (50, 7), (20, 7)]


@pytest.mark.parametrize("level", [0, 1, 90])
def test_a_confidence_level_is_between_0_and_1(level):
    with pytest.raises(ValueError, match=f"confidence_level is {level}, expected a number"):
        percentile_interval(lambda rows: rows, 5, 10, level)
