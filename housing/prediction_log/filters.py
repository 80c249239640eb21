"""Which answers of the service's log are meant: what a person types, as SQL."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple

from housing.schema import USD_PER_UNIT

AGO_PATTERN = re.compile(r"(\d+(?:\.\d+)?) ?([smhdw])(?: ago)?")
TIME_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
TIME_FORMATS = ("an ISO date or time in UTC (2026-11-25, 2026-11-25T14:30, 14:30 for today's), or how "
         "long ago: 30m, 2h, 7d")  # fmt: skip


class Clause(NamedTuple):
    """A condition and the values of its question marks."""

    sql: str
    values: tuple[Any, ...] = ()


class LogFilters(NamedTuple):
    """The filters that were asked for; None and False ask for nothing."""

    since: str | None = None  # as `moment` writes it
    until: str | None = None
    status: tuple[int, int] | None = None  # the lowest and the highest
    version: str | None = None
    model: str | None = None
    only_errors: bool = False
    only_with_warnings: bool = False
    area: tuple[float, float, float] | None = None  # latitude, longitude, km around
    min_usd: float | None = None  # in dollars
    max_usd: float | None = None
    request_id: str | None = None


def parse_filters(options: Mapping[str, Any], current_time: datetime | None = None) -> LogFilters:
    """The filters among the options of a command line. Raises ValueError for a value that is none.

    now: what `2h` ago is reckoned from.
    """

    def read(option_name: str, parse: Callable[[str, str], Any]) -> Any:
        text = options.get(option_name.replace("-", "_"))
        return None if text is None else parse(text, f"--{option_name}")

    def at(text: str, option: str) -> str:
        return parse_time(text, option, current_time)

    found = LogFilters(
        read("since", at), read("until", at), read("status", _parse_status), read("version", _parse_version),
        options.get("model"), bool(options.get("problem")), bool(options.get("warned")),
        read("place", _parse_area), read("min-usd", _parse_usd), read("max-usd", _parse_usd), options.get("request"),
    )  # fmt: skip
    for low, high, names in (("since", "until", "--since, --until"),
                             ("min_usd", "max_usd", "--min-usd, --max-usd")):  # fmt: skip
        ends = getattr(found, low), getattr(found, high)
        if None not in ends and ends[0] > ends[1]:
            raise ValueError(f"{names} are {ends[0]} and {ends[1]}, expected the lesser one first")
    return found


def parse_time(text: str, option: str, current_time: datetime | None = None) -> str:
    """The time as the log has it, without the zone, so that it sorts before that time itself."""
    current_time = current_time or datetime.now(UTC)
    try:
        found = _parse_datetime(text.strip(), current_time)
        return found.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        raise ValueError(f"{option} is {text!r}, expected {TIME_FORMATS}") from None


def _parse_datetime(text: str, current_time: datetime) -> datetime:
    ago = AGO_PATTERN.fullmatch(text)
    if ago:
        return current_time - timedelta(**{TIME_UNITS[ago[2]]: float(ago[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        if ":" not in text:  # 2026 would be 20:26
            raise
        found = datetime.combine(current_time.astimezone(UTC).date(), time.fromisoformat(text))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


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
        latitude, longitude, km = (float(one) for one in text.split(","))
    except ValueError:
        latitude = longitude = km = math.nan
    if not (abs(latitude) <= 90 and abs(longitude) <= 180 and 0 < km < math.inf):
        raise ValueError(f"{option} is {text!r}, expected LAT,LON,KM in degrees and kilometres, "
                         "like 37.88,-122.23,5")  # fmt: skip
    return latitude, longitude, km


def filter_clauses(filters: LogFilters, columns: Collection[str]) -> list[Clause]:
    """The conditions, but for the request's, on a table that may lack the newer columns."""
    warnings = "warnings" if "warnings" in columns else "NULL"
    found = {
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
    }
    return [clause for name, clause in found.items() if getattr(filters, name) not in (None, False)]


def _distance_clause(latitude: float, longitude: float, radius_km: float) -> Clause:
    """On a map that is flat around the place. The body of a refused request may be no JSON."""
    from housing.inference.training_domain import KM_PER_DEGREE

    north, east = (f"CAST(json_extract(input, '$.{one}') AS REAL) - ?"
                   for one in ("Latitude", "Longitude"))  # fmt: skip
    narrow = math.cos(math.radians(latitude))
    inside = f"abs({north}) <= ? AND ({north}) * ({north}) + ({east}) * ({east}) * ? <= ?"
    values = (
        latitude,
        radius_km / KM_PER_DEGREE,
        latitude,
        latitude,
        longitude,
        longitude,
        narrow**2,
        (radius_km / KM_PER_DEGREE) ** 2,
    )
    return Clause(
        f"CASE WHEN prediction IS NOT NULL OR json_valid(input) THEN {inside} END", values
    )


def request_clauses(request_id: str, columns: Collection[str]) -> list[Clause]:
    """The ways in which a row may be of a request, each found by an index: by its own id, by the
    request's (`ID-0`, `ID-1`, ...), by the caller's own."""
    own = Clause("id = ?", (request_id,))
    answers = Clause(
        "id > ? AND id < ?", (f"{request_id}-", f"{request_id}.")
    )  # the index knows no LIKE
    callers = Clause("caller_id = ?", (request_id,))
    return [own, answers, *([callers] if "caller_id" in columns else [])]
