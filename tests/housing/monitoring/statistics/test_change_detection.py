"""The e-detector: its rate of false alarms, how soon it sees a change, and what it says of one."""

import numpy as np
import pytest

from housing.monitoring.statistics.change_detection import (
    Direction,
    NormalRange,
    Stream,
    detect_changes,
)

VALUES = (np.arange(20) + 0.5) / 20
NORMAL = NormalRange(0.46, 0.54)
LOG_YEAR = float(np.log(365))


def shares_with_mean(mean: float) -> np.ndarray:
    """Return shares of the values that have a mean, by exponential tilting."""
    low, high = -50.0, 50.0
    for _ in range(60):
        tilt = (low + high) / 2
        shares = np.exp(tilt * VALUES) / np.exp(tilt * VALUES).sum()
        low, high = (tilt, high) if shares @ VALUES < mean else (low, tilt)
    return shares


def draw_days(daily_means, rows_per_day: float, seed: int) -> np.ndarray:
    """Return (n_days, 20) counts of rows whose values have these means."""
    rng = np.random.default_rng(seed)
    shares = {mean: shares_with_mean(mean) for mean in set(daily_means)}
    return np.array(
        [rng.multinomial(rng.poisson(rows_per_day), shares[mean]) for mean in daily_means]
    )


def detect(counts, log_threshold=LOG_YEAR, normal=NORMAL, values=VALUES):
    [detection] = detect_changes([Stream(counts, values, normal, log_threshold)])
    return detection


@pytest.mark.parametrize("rows_per_day", [3, 70, 700])
@pytest.mark.parametrize("mean", [0.46, 0.54])
def test_alarms_on_normal_traffic_are_rarer_than_stated(rows_per_day, mean):
    """At the very end of the normal range, where they are most frequent."""
    streams = [
        Stream(draw_days([mean] * 200, rows_per_day, seed), VALUES, NORMAL, float(np.log(50)))
        for seed in range(60)
    ]
    alarms = sum(len(detection.changes) for detection in detect_changes(streams))
    assert alarms <= 60 * 200 / 50  # 240, if each stood for a mean time of just 50 days


def test_looking_more_often_does_not_raise_more_alarms():
    counts = draw_days([0.53] * 300, 50, seed=1)
    evidence = detect(counts).log_evidence
    for day in (40, 150, 299):
        assert detect(counts[: day + 1]).log_evidence[-1] == pytest.approx(evidence[day])


def test_a_million_normal_rows_are_no_alarm():
    detection = detect(draw_days([0.52] * 10, 1_000_000, seed=2))
    assert not detection.changes


@pytest.mark.parametrize(("mean", "direction"), [(0.62, Direction.UP), (0.38, Direction.DOWN)])
def test_a_change_is_found_with_its_direction_and_its_day(mean, direction):
    detection = detect(draw_days([0.5] * 60 + [mean] * 40, 100, seed=3))
    [change] = detection.changes
    assert change.direction is direction
    assert abs(change.first_day - 60) <= 1
    assert 60 <= change.alarm_day <= 70
    assert detection.current() is change


def test_a_change_that_is_over_says_until_when_it_lasted():
    days = [0.5] * 60 + [0.62] * 40 + [0.5] * 60 + [0.4] * 30
    detection = detect(draw_days(days, 100, seed=4))
    first, second = detection.changes
    assert abs(first.last_day - 99) <= 2
    assert second.direction is Direction.DOWN
    assert abs(second.first_day - 160) <= 1
    assert detection.current() is second


def test_a_change_that_grows_is_confirmed_from_the_day_on_which_it_grew():
    detection = detect(draw_days([0.5] * 30 + [0.56] * 60 + [0.7] * 10, 100, seed=7))
    [change] = detection.changes
    assert abs(change.first_day - 30) <= 5
    assert any(abs(confirmation.first_day - 90) <= 1 for confirmation in change.confirmations)
    starts = [confirmation.first_day for confirmation in change.confirmations]
    assert starts == sorted(set(starts))


def test_a_change_into_the_other_direction_ends_the_first_one():
    detection = detect(draw_days([0.5] * 30 + [0.62] * 30 + [0.38] * 30, 100, seed=5))
    first, second = detection.changes
    assert abs(first.last_day - 59) <= 1
    assert (first.direction, second.direction) == (Direction.UP, Direction.DOWN)


def test_days_without_rows_end_no_change():
    counts = np.vstack([draw_days([0.5] * 30 + [0.65] * 10, 100, seed=6), np.zeros((200, 20))])
    [change] = detect(counts).changes
    assert change.last_day is None


def test_a_share_that_should_be_zero_can_only_rise():
    values, normal = np.array([0.0, 1.0]), NormalRange(0, 0.02)
    quiet = np.array([[100, 0]] * 30)
    noisy = np.array([[100, 0]] * 10 + [[90, 10]] * 20)
    assert not detect(quiet, values=values, normal=normal).changes
    [change] = detect(noisy, values=values, normal=normal).changes
    assert (change.direction, change.first_day) == (Direction.UP, 10)


def test_days_without_rows_are_no_evidence():
    evidence = detect(np.zeros((50, 20))).log_evidence
    assert np.exp(evidence[-1]) == pytest.approx(50)  # one a day, which the threshold allows for


def test_nothing_is_watched_where_there_is_no_stream():
    assert detect_changes([]) == []
