"""The budget of false alarms and its shares."""

import math

import pytest

from housing.monitoring.statistics.alarm_budget import log_threshold, open_ended_share


def test_the_whole_budget_of_one_alarm_a_year_needs_evidence_of_a_year():
    assert math.exp(log_threshold(1, 1)) == pytest.approx(365.25)
    assert math.exp(log_threshold(4, 0.5)) == pytest.approx(365.25 / 2)


def test_the_shares_of_a_list_that_grows_never_exceed_the_whole():
    total = sum(open_ended_share(position) for position in range(10_000))
    assert 0.999 < total < 1


@pytest.mark.parametrize(
    ("alarms_per_year", "share", "message"),
    [
        (0, 0.5, "alarms_per_year is 0, expected a number above 0"),
        (1, 0, "share is 0, expected a number above 0 and at most 1"),
        (1, 1.5, "share is 1.5, expected"),
    ],
)
def test_impossible_budgets_are_refused(alarms_per_year, share, message):
    with pytest.raises(ValueError, match=message):
        log_threshold(alarms_per_year, share)
