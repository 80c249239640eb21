"""Filters on the prediction log: from the options a person types to SQL conditions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple

from housing.schema import USD_PER_UNIT

AGO_PATTERN = re.compile(r"(\d+(?:\.\d+)?) ?([smhdw])(?: ago)?")
TIME_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
TIME_FORMATS = (
    "an ISO date or time in UTC (2026-11-25, 2026-11-25T14:30, 14:30 for today's), or how "
    "long ago: 30m, 2h, 7d"
)
# of a row of the prediction, whose table has no other name
CURRENT_TRUTH = "label.prediction_id = prediction.id AND label.superseded_at IS NULL"


class Clause(NamedTuple):
    """A condition and the values of its question marks."""

    sql: str
    values: tuple[Any, ...] = ()


class LogFilters(NamedTuple):
    """The filters that were asked for; None and False filter nothing."""

    since: str | None = None  # as `parse_time` returns it
    until: str | None = None
    status: tuple[int, int] | None = None  # the lowest and the highest
    version: str | None = None
    model: str | None = None
    only_errors: bool = False
    only_with_warnings: bool = False
    area: tuple[float, float, float] | None = None  # latitude, longitude, radius in km
    min_usd: float | None = None  # in dollars
    max_usd: float | None = None
    request_id: str | None = None
    only_labelled: bool = False  # with a true value


def parse_filters(options: Mapping[str, Any]) -> LogFilters:
    """Return the filters among the options of a command line.

    Raises ValueError that names a wrong option.
    """
    values = {
        name: parse(options[name], f"--{name.replace('_', '-')}")
        for name, parse in OPTION_PARSERS.items()
        if options.get(name) is not None
    }
    filters = LogFilters(
        model=options.get("model"),
        only_errors=bool(options.get("problem")),
        only_with_warnings=bool(options.get("warned")),
        only_labelled=bool(options.get("labelled")),
        area=values.pop("place", None),
        request_id=options.get("request"),
        **values,
    )
    for names in (("since", "until"), ("min_usd", "max_usd")):
        low, high = (getattr(filters, name) for name in names)
        if low is not None and high is not None and low > high:
            options_text = ", ".join(f"--{name.replace('_', '-')}" for name in names)
            raise ValueError(f"{options_text} are {low} and {high}, expected the lesser one first")
    return filters


def parse_time(text: str, option: str, current_time: datetime | None = None) -> str:
    """Return a time as the log stores it, but without the zone.

    So it sorts before the rows of that very millisecond. Raises ValueError that names the option.
    """
    current_time = current_time or datetime.now(UTC)
    try:
        moment = _parse_datetime(text.strip(), current_time)
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        raise ValueError(f"{option} is {text!r}, expected {TIME_FORMATS}") from None


def _parse_datetime(text: str, current_time: datetime) -> datetime:
    ago = AGO_PATTERN.fullmatch(text)
    if ago:
        return current_time - timedelta(**{TIME_UNITS[ago[2]]: float(ago[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        if ":" not in text:  # time.fromisoformat would read 2026 as 20:26
            raise
        today = current_time.astimezone(UTC).date()
        moment = datetime.combine(today, time.fromisoformat(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parse_status(text: str, option: str) -> tuple[int, int]:
    if not re.fullmatch(r"[1-5](\d\d|[xX]{2})", text):
        raise ValueError(f"{option} is {text!r}, expected an HTTP status (404) or a class (4xx)")
    return int(re.sub("[xX]", "0", text)), int(re.sub("[xX]", "9", text))


def _parse_version(text: str, option: str) -> str:
    if not text.isdecimal():
        raise ValueError(f"{option} is {text!r}, expected a number, as `champions` prints it")
    return text


def _parse_usd(text: str, option: str) -> float:
    try:
        value = float(text.replace("$", "").replace(",", ""))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{option} is {text!r}, expected dollars, like 250000")
    return value


def _parse_area(text: str, option: str) -> tuple[float, float, float]:
    try:
        latitude, longitude, radius_km = (float(number) for number in text.split(","))
    except ValueError:
        latitude = longitude = radius_km = math.nan
    if not (abs(latitude) <= 90 and abs(longitude) <= 180 and 0 < radius_km < math.inf):
        raise ValueError(
            f"{option} is {text!r}, expected LAT,LON,KM in degrees and kilometres, "
            "like 37.88,-122.23,5"
        )
    return latitude, longitude, radius_km


OPTION_PARSERS: dict[str, Callable[[str, str], Any]] = {
    "since": parse_time,
    "until": parse_time,
    "status": _parse_status,
    "version": _parse_version,
    "place": _parse_area,
    "min_usd": _parse_usd,
    "max_usd": _parse_usd,
}


def where_clause(filters: LogFilters, columns: Collection[str], feedback_table: str = "") -> Clause:
    """Return all filters as one condition.

    columns: those of the table, which may lack the newer ones. feedback_table: SQL's name of the
    table of true values, if there is one.
    """
    is_labelled = f"EXISTS (SELECT 1 FROM {feedback_table} AS label WHERE {CURRENT_TRUTH})"
    warnings = "warnings" if "warnings" in columns else "NULL"
    clauses_by_filter = {
        "since": Clause("asked_at >= ?", (filters.since,)),
        "until": Clause("asked_at < ?", (filters.until,)),
        "status": Clause("status BETWEEN ? AND ?", filters.status or ()),
        "version": Clause("model_version = ?", (filters.version,)),
        "model": Clause("model_name = ?", (filters.model,)),
        "only_errors": Clause("problem IS NOT NULL"),
        "only_with_warnings": Clause(f"{warnings} NOT IN ('', '[]')"),
        "area": _distance_clause(*filters.area) if filters.area else Clause(""),
        "min_usd": Clause(f"prediction * {USD_PER_UNIT} >= ?", (filters.min_usd,)),
        "max_usd": Clause(f"prediction * {USD_PER_UNIT} <= ?", (filters.max_usd,)),
        "only_labelled": Clause(is_labelled if feedback_table else "FALSE"),
        "request_id": _request_clause(filters.request_id or "", columns),
    }
    clauses = [
        clause
        for name, clause in clauses_by_filter.items()
        if getattr(filters, name) not in (None, False)
    ]
    condition = " AND ".join(f"({clause.sql})" for clause in clauses)
    return Clause(condition or "TRUE", _all_values(clauses))


def _distance_clause(latitude: float, longitude: float, radius_km: float) -> Clause:
    """Return the condition that a row lies in a circle, on a map that is flat around its centre."""
    from housing.geography import KM_PER_DEGREE

    north = "CAST(json_extract(input, '$.Latitude') AS REAL) - ?"
    east = "CAST(json_extract(input, '$.Longitude') AS REAL) - ?"
    longitude_scale, radius = math.cos(math.radians(latitude)), radius_km / KM_PER_DEGREE
    inside = f"({north}) * ({north}) + ({east}) * ({east}) * ? <= ?"
    values = (latitude, latitude, longitude, longitude, longitude_scale**2, radius**2)
    # the body of a refused request may be no JSON
    sql = f"CASE WHEN prediction IS NOT NULL OR json_valid(input) THEN {inside} END"
    return Clause(sql, values)


def _request_clause(request_id: str, columns: Collection[str]) -> Clause:
    """Return the condition that a row is of a request.

    The id may be that of the row, that of the request (its rows are `ID-0`, `ID-1`, ...) or the one
    that the client sent. Each of the three is answered by an index.
    """
    clauses = [
        Clause("id = ?", (request_id,)),
        # a range, as LIKE would not use the index; "." is the character after "-"
        Clause("id > ? AND id < ?", (f"{request_id}-", f"{request_id}.")),
    ]
    if "caller_id" in columns:
        clauses.append(Clause("caller_id = ?", (request_id,)))
    selects = (f"SELECT rowid FROM prediction WHERE {clause.sql}" for clause in clauses)
    sql = f"rowid IN ({' UNION ALL '.join(selects)})"
    return Clause(sql, _all_values(clauses))


def _all_values(clauses: list[Clause]) -> tuple[Any, ...]:
    return tuple(value for clause in clauses for value in clause.values)
