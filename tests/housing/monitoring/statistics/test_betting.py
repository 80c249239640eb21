"""Wealth, intervals and what can be seen: each against simulations whose truth is known."""

import numpy as np
import pytest

from housing.monitoring.statistics.betting import log_wealth
from housing.monitoring.statistics.change_detection import NormalRange
from housing.monitoring.statistics.confidence_sequences import mean_interval
from housing.monitoring.statistics.detectable_change import smallest_visible_change

VALUES = (np.arange(20) + 0.5) / 20
UNIFORM = np.full(20, 1 / 20)


def test_wealth_does_not_grow_on_average_if_the_mean_is_at_its_limit():
    rng = np.random.default_rng(0)
    wealth = [np.exp(log_wealth(rng.multinomial(30, UNIFORM), VALUES, 0.5)) for _ in range(4_000)]
    assert np.mean(wealth) == pytest.approx(1, abs=0.15)


def test_the_interval_holds_the_mean_at_all_times_at_once():
    rng = np.random.default_rng(1)
    shares = np.exp(-4 * VALUES) / np.exp(-4 * VALUES).sum()
    misses = 0
    for _ in range(100):
        counts = np.cumsum(rng.multinomial(4, shares, size=60), axis=0)
        intervals = [mean_interval(counts[day], VALUES, 0.9) for day in (1, 5, 15, 30, 59)]
        misses += any(not (low <= shares @ VALUES <= high) for _, low, high in intervals)
    assert misses <= 100 * 0.1


def test_the_interval_narrows_with_more_rows():
    widths = [
        interval.high - interval.low
        for interval in (mean_interval(UNIFORM * rows, VALUES) for rows in (20, 2_000, 2_000_000))
    ]
    assert widths[0] > 5 * widths[1] > 50 * widths[2]
    assert widths[2] < 0.003


def test_where_all_rows_are_alike_the_interval_reaches_them():
    counts = np.array([40, 0])
    assert mean_interval(counts, np.array([0.0, 1.0])).low == 0
    assert mean_interval(counts, np.array([1.0, 0.0])).high == 1
    assert mean_interval(counts, np.array([0.0, 1.0])).high < 0.2


def test_without_rows_the_mean_may_be_anything():
    interval = mean_interval(np.zeros(20), VALUES)
    assert np.isnan(interval.mean)
    assert (interval.low, interval.high) == (0, 1)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_a_confidence_level_out_of_range_is_refused(level):
    with pytest.raises(ValueError, match=f"confidence_level is {level}, expected a number between"):
        mean_interval(UNIFORM, VALUES, level)


def test_the_smallest_change_is_seen_about_half_of_the_time():
    rng = np.random.default_rng(2)
    normal, threshold = NormalRange(0.47, 0.53), float(np.log(5_000))
    mean = smallest_visible_change(500, UNIFORM, VALUES, normal, threshold).high
    assert 0.57 < mean < 0.65
    tilts = np.linspace(0, 5, 2_001)
    shares = np.exp(np.outer(tilts, VALUES))
    shares /= shares.sum(axis=1, keepdims=True)
    changed = shares[np.argmin(np.abs(shares @ VALUES - mean))]
    wealth = [
        log_wealth(rng.multinomial(500, changed), VALUES, normal.high) - np.log(2)
        for _ in range(400)
    ]
    assert 0.4 < np.mean(np.array(wealth) >= threshold) < 0.6


def test_a_fall_is_as_visible_as_a_rise():
    normal, threshold = NormalRange(0.47, 0.53), float(np.log(5_000))
    low, high = smallest_visible_change(500, UNIFORM, VALUES, normal, threshold)
    assert low == pytest.approx(1 - high)


def test_a_few_rows_can_show_no_change():
    normal = NormalRange(0.47, 0.53)
    assert np.isnan(smallest_visible_change(3, UNIFORM, VALUES, normal, np.log(5_000))).all()
