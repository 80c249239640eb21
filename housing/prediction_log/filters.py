"""Which answers of the service's log are meant: what a person types, as SQL."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple

from housing.schema import USD

AGO = re.compile(r"(\d+(?:\.\d+)?) ?([smhdw])(?: ago)?")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
TIMES = ("an ISO date or time in UTC (2026-11-25, 2026-11-25T14:30, 14:30 for today's), or how "
         "long ago: 30m, 2h, 7d")  # fmt: skip


class Clause(NamedTuple):
    """A condition and the values of its question marks."""

    sql: str
    values: tuple[Any, ...] = ()


class Wanted(NamedTuple):
    """The filters that were asked for; None and False ask for nothing."""

    since: str | None = None  # as `moment` writes it
    until: str | None = None
    status: tuple[int, int] | None = None  # the lowest and the highest
    version: str | None = None
    model: str | None = None
    problem: bool = False
    warned: bool = False
    place: tuple[float, float, float] | None = None  # latitude, longitude, km around
    least: float | None = None  # in dollars
    most: float | None = None
    request: str | None = None


def wanted(asked: Mapping[str, Any], now: datetime | None = None) -> Wanted:
    """The filters among the options of a command line. Raises ValueError for a value that is none.

    now: what `2h` ago is reckoned from.
    """

    def read(name: str, how: Callable[[str, str], Any]) -> Any:
        text = asked.get(name.replace("-", "_"))
        return None if text is None else how(text, f"--{name}")

    def at(text: str, option: str) -> str:
        return moment(text, option, now)

    found = Wanted(
        read("since", at), read("until", at), read("status", _status), read("version", _version),
        asked.get("model"), bool(asked.get("problem")), bool(asked.get("warned")),
        read("place", _place), read("min-usd", _usd), read("max-usd", _usd), asked.get("request"),
    )  # fmt: skip
    for low, high, names in (("since", "until", "--since, --until"),
                             ("least", "most", "--min-usd, --max-usd")):  # fmt: skip
        ends = getattr(found, low), getattr(found, high)
        if None not in ends and ends[0] > ends[1]:
            raise ValueError(f"{names} are {ends[0]} and {ends[1]}, expected the lesser one first")
    return found


def moment(text: str, option: str, now: datetime | None = None) -> str:
    """The time as the log has it, without the zone, so that it sorts before that time itself."""
    now = now or datetime.now(UTC)
    try:
        found = _moment(text.strip(), now)
        return found.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        raise ValueError(f"{option} is {text!r}, expected {TIMES}") from None


def _moment(text: str, now: datetime) -> datetime:
    ago = AGO.fullmatch(text)
    if ago:
        return now - timedelta(**{UNITS[ago[2]]: float(ago[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        if ":" not in text:  # 2026 would be 20:26
            raise
        found = datetime.combine(now.astimezone(UTC).date(), time.fromisoformat(text))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _status(text: str, option: str) -> tuple[int, int]:
    if not re.fullmatch(r"[1-5](\d\d|[xX]{2})", text):
        raise ValueError(f"{option} is {text!r}, expected an HTTP status (404) or a class (4xx)")
    return int(re.sub("[xX]", "0", text)), int(re.sub("[xX]", "9", text))


def _version(text: str, option: str) -> str:
    if not text.isdecimal():
        raise ValueError(f"{option} is {text!r}, expected a number, as `champions` prints it")
    return text


def _usd(text: str, option: str) -> float:
    try:
        value = float(text.replace("$", "").replace(",", ""))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{option} is {text!r}, expected dollars, like 250000")
    return value


def _place(text: str, option: str) -> tuple[float, float, float]:
    try:
        latitude, longitude, km = (float(one) for one in text.split(","))
    except ValueError:
        latitude = longitude = km = math.nan
    if not (abs(latitude) <= 90 and abs(longitude) <= 180 and 0 < km < math.inf):
        raise ValueError(f"{option} is {text!r}, expected LAT,LON,KM in degrees and kilometres, "
                         "like 37.88,-122.23,5")  # fmt: skip
    return latitude, longitude, km


def clauses(it: Wanted, columns: Collection[str]) -> list[Clause]:
    """The conditions, but for the request's, on a table that may lack the newer columns."""
    warnings = "warnings" if "warnings" in columns else "NULL"
    found = {
        "since": Clause("asked_at >= ?", (it.since,)),
        "until": Clause("asked_at < ?", (it.until,)),
        "status": Clause("status BETWEEN ? AND ?", it.status or ()),
        "version": Clause("model_version = ?", (it.version,)),
        "model": Clause("model_name = ?", (it.model,)),
        "problem": Clause("problem IS NOT NULL"),
        "warned": Clause(f"{warnings} NOT IN ('', '[]')"),
        "place": _near(*it.place) if it.place else Clause(""),
        "least": Clause(f"prediction * {USD} >= ?", (it.least,)),
        "most": Clause(f"prediction * {USD} <= ?", (it.most,)),
    }
    return [clause for name, clause in found.items() if getattr(it, name) not in (None, False)]


def _near(latitude: float, longitude: float, km: float) -> Clause:
    """On a map that is flat around the place. The body of a refused request may be no JSON."""
    from housing.inference.training_domain import KM

    north, east = (f"CAST(json_extract(input, '$.{one}') AS REAL) - ?"
                   for one in ("Latitude", "Longitude"))  # fmt: skip
    narrow = math.cos(math.radians(latitude))
    inside = f"abs({north}) <= ? AND ({north}) * ({north}) + ({east}) * ({east}) * ? <= ?"
    values = latitude, km / KM, latitude, latitude, longitude, longitude, narrow**2, (km / KM) ** 2
    return Clause(
        f"CASE WHEN prediction IS NOT NULL OR json_valid(input) THEN {inside} END", values
    )


def of_request(request: str, columns: Collection[str]) -> list[Clause]:
    """The ways in which a row may be of a request, each found by an index: by its own id, by the
    request's (`ID-0`, `ID-1`, ...), by the caller's own."""
    own = Clause("id = ?", (request,))
    answers = Clause("id > ? AND id < ?", (f"{request}-", f"{request}."))  # the index knows no LIKE
    callers = Clause("caller_id = ?", (request,))
    return [own, answers, *([callers] if "caller_id" in columns else [])]
