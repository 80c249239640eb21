"""The filters that a person types."""

import re
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from housing.prediction_log.filters import parse_filters, parse_time

CURRENT_TIME = datetime(2026, 11, 25, 4, 16, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", "2026-11-25T02:16:30.000"),
        ("30m", "2026-11-25T03:46:30.000"),
        ("7d ago", "2026-11-18T04:16:30.000"),
        ("1.5 h", "2026-11-25T02:46:30.000"),
        ("2026-11-20", "2026-11-20T00:00:00.000"),
        ("2026-11-20 14:30", "2026-11-20T14:30:00.000"),
        ("2026-11-20T14:30:00.250+01:00", "2026-11-20T13:30:00.250"),
        ("2026-11-20T14:30Z", "2026-11-20T14:30:00.000"),
        ("03:00", "2026-11-25T03:00:00.000"),
    ],
)
def test_times_are_as_the_log_stores_them(text, expected):
    assert parse_time(text, "--since", CURRENT_TIME) == expected


@given(st.datetimes(min_value=datetime(1990, 1, 1), timezones=st.timezones()))
def test_every_time_is_found_again_to_the_millisecond(moment):
    logged = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    assert f"{parse_time(moment.isoformat(), '--since', CURRENT_TIME)}+00:00" == logged


@given(st.floats(0, 1e7), st.sampled_from(["{:.2f}", "{:,.2f}", "${:,.2f}", "$ {:.2f}"]))
def test_dollars_are_read_as_people_write_them(usd, style):
    filters = parse_filters({"min_usd": style.format(usd)})
    assert filters.min_usd == pytest.approx(usd, abs=0.0051)


@given(st.text(max_size=12), st.sampled_from(["since", "status", "version", "place", "max_usd"]))
def test_any_text_is_understood_or_named(text, option):
    with suppress(ValueError):
        parse_filters({option: text})
        return
    with pytest.raises(ValueError, match=re.escape(f"is {text!r}, expected ")):
        parse_filters({option: text})


def test_a_time_sorts_before_the_row_of_that_time():
    assert parse_time("2026-11-20", "--since") <= "2026-11-20T00:00:00.000+00:00"
    assert parse_time("2026-11-20", "--since") > "2026-11-19T23:59:59.999+00:00"


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("since", "yesterday", "an ISO date or time"),
        ("since", "2026", "an ISO date or time"),
        ("until", "99999999d", "an ISO date or time"),
        ("until", "", "30m, 2h, 7d"),
        ("status", "4x", "an HTTP status"),
        ("status", "999", "a class"),
        ("version", "v2", "a number"),
        ("place", "37.88,-122.23", "LAT,LON,KM"),
        ("place", "37.88,-122.23,0", "LAT,LON,KM"),
        ("place", "97,-122.23,5", "LAT,LON,KM"),
        ("min_usd", "dear", "dollars"),
        ("max_usd", "nan", "dollars"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(option, value, expected):
    with pytest.raises(ValueError, match=expected) as error:
        parse_filters({option: value})
    assert str(error.value).startswith(f"--{option.replace('_', '-')} is {value!r}, expected ")


@pytest.mark.parametrize(
    "options", [{"since": "1h", "until": "2h"}, {"min_usd": "$300,000", "max_usd": "200000"}]
)
def test_an_empty_range_is_refused(options):
    with pytest.raises(ValueError, match="expected the lesser one first"):
        parse_filters(options)
