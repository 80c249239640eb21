"""The period and the model that a report is about."""

from datetime import date

import pytest

from housing.monitoring.report import period

TODAY = date(2026, 11, 30)


@pytest.mark.parametrize(
    ("since", "until", "first_day", "last_day"),
    [
        ("", "", date(2026, 9, 2), TODAY),
        ("2026-10-01", "", date(2026, 10, 1), TODAY),
        ("", "2026-01-31", date(2025, 11, 3), date(2026, 1, 31)),
        ("2026-11-30", "2026-11-30", TODAY, TODAY),
    ],
)
def test_a_period_is_90_days_until_today_unless_it_is_named(since, until, first_day, last_day):
    assert period.parse_period(since, until, TODAY) == (first_day, last_day)


@pytest.mark.parametrize(
    ("since", "until", "message"),
    [
        ("1.10.2026", "", "since is '1.10.2026', expected a date such as 2026-10-01"),
        ("", "2026-02-30", "until is '2026-02-30', expected a date such as 2026-10-01"),
        ("2026-12-01", "", "since is 2026-12-01, expected a day that is not after 2026-11-30"),
    ],
)
def test_a_period_that_cannot_be_is_refused(since, until, message):
    with pytest.raises(ValueError, match=message):
        period.parse_period(since, until, TODAY)


@pytest.mark.parametrize("model", ["", "california-housing"])
def test_without_a_champion_the_way_out_is_named(home, model):
    with pytest.raises(LookupError, match=f"there is no champion .*{model}.*run_pipeline.py"):
        period.find_version(model, "")
