"""The period and the model that a report is about."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from housing.registry import versions
from housing.registry.artifacts import ModelVersion

DEFAULT_DAYS = 90


class Period(NamedTuple):
    """The days of a report, in UTC."""

    since: date  # the first
    until: date  # the last

    @property
    def day_count(self) -> int:
        """The number of its days."""
        return (self.until - self.since).days + 1


def parse_period(since: str, until: str, today: date | None = None) -> Period:
    """Return the period between two ISO dates; empty: the 90 days until today.

    Raises ValueError for a text that is no date, and for a period that ends before it begins.
    """
    last_day = parse_day("until", until) or today or datetime.now(UTC).date()
    first_day = parse_day("since", since) or last_day - timedelta(days=DEFAULT_DAYS - 1)
    if first_day > last_day:
        raise ValueError(f"since is {first_day}, expected a day that is not after {last_day}")
    return Period(first_day, last_day)


def parse_day(name: str, text: str) -> date | None:
    """Return the day that a parameter names in ISO form; None if it is empty.

    Raises ValueError that names the parameter if it is no date.
    """
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}, expected a date such as 2026-10-01") from None


def find_version(model: str, version: str) -> ModelVersion:
    """Return the version whose held-out rows the traffic is compared with.

    model: empty for the champion's name. version: empty for the champion. Raises LookupError if
    there is none.
    """
    champion = versions.current_champion(model or None)
    name = champion.name if champion else model
    if version and name:
        return versions.get_version(name, version)
    if champion is None:
        whose = f"of {model} " if model else ""
        raise LookupError(
            f"there is no champion {whose}yet, so there is nothing to compare the traffic with: "
            "`run_pipeline.py` trains and registers a model"
        )
    return champion
