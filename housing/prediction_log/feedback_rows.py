"""Rows of feedback: from what a sender wrote to a prediction and its true value, checked.

Needs the standard library only, as every worker of the service imports it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import NamedTuple

from housing.schema import USD_PER_UNIT

REFERENCE_FIELDS = ("id", "request_id")
TRUTH_UNITS = {"truth": "$100,000", "truth_usd": "dollars", "actual": "$100,000"}
TEXT_FIELDS = (*REFERENCE_FIELDS, "observed_at")
NUMBER_FIELDS = ("index", *TRUTH_UNITS)
FEEDBACK_FIELDS = (*REFERENCE_FIELDS, "index", *TRUTH_UNITS, "observed_at")
EXPECTED_REFERENCE = "the id of a prediction, or the request_id with the index of its prediction"
EXPECTED_TRUTH = "one of " + ", ".join(f"{name} ({unit})" for name, unit in TRUTH_UNITS.items())
EXPECTED_TIME = (
    "an ISO date or time, UTC unless it names its zone, like 2026-11-25 or 2026-11-25T14:30:00Z"
)
# in $100,000; the limits are so far from every house value that the unit is never in doubt
MIN_TRUTH, MAX_TRUTH = 0.01, 50
MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)  # by which a sender's clock may be ahead
MAX_QUOTED_CHARS = 60  # of a wrong value that a problem repeats
MAX_INDEX = 10**9
NUMBER_PATTERN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
ID_PATTERN = re.compile("[!-~]{1,200}")  # the client's own X-Request-ID too


@dataclass(frozen=True, slots=True)
class PredictionReference:
    """How a sender names a prediction: by its id, or by a request and its number in it."""

    prediction_id: str | None
    request_id: str | None = None  # the service's, or the X-Request-ID that the client sent
    index: int | None = None  # None: the request has one prediction


class FeedbackRow(NamedTuple):
    """A true value as its sender wrote it; whether there is such a prediction is not checked."""

    reference: PredictionReference
    truth: float  # in $100,000
    observed_at: str | None  # UTC, ISO 8601


class FeedbackError(ValueError):
    """Raised for a row that cannot be taken: says why, and which field it is about."""

    def __init__(self, problem: str, field: str | None = None) -> None:
        super().__init__(problem)
        self.field = field


class RepeatedField(NamedTuple):
    """Stands for a JSON object that has a field twice."""

    name: str


def parse_json(text: str) -> list[object]:
    """Return the rows of a JSON text: one object, or a list of them. Raises ValueError.

    A row may be anything; `parse_row` says what is wrong with it. NaN and Infinity, which are no
    JSON, are numbers here, so that only their rows are refused.
    """
    try:
        content = json.loads(text, object_pairs_hook=_build_object)
    except RecursionError:
        raise ValueError("it has too many levels of lists and objects") from None
    return content if isinstance(content, list) else [content]


def _build_object(pairs: list[tuple[str, object]]) -> dict[str, object] | RepeatedField:
    content = dict(pairs)
    if len(content) == len(pairs):
        return content
    names = [name for name, _ in pairs]
    return RepeatedField(next(name for name in names if names.count(name) > 1))


def parse_row(row: object, current_time: datetime) -> FeedbackRow:
    """Return what a row says. Raises FeedbackError.

    row: a mapping from fields to values; a value that is None is absent.
    """
    if isinstance(row, RepeatedField):
        raise FeedbackError(f"{quote(row.name)} is there twice, expected each field once")
    if not isinstance(row, Mapping):
        raise FeedbackError(f"{quote(row)} is not an object with {EXPECTED_REFERENCE}")
    for name in row:
        if name not in FEEDBACK_FIELDS:
            raise FeedbackError(describe_unknown_field(name), clean(name))
    fields = {name: value for name, value in row.items() if value is not None}
    return FeedbackRow(
        _parse_reference(fields), _parse_truth(fields), _parse_time(fields, current_time)
    )


def parse_texts(fields: Mapping[str, object], decimal_mark: str = ".") -> dict[str, object]:
    """Return a row of CSV with its numbers; what is no number stays text, which is refused later.

    fields: texts; an empty one is absent, as None is.
    """
    row: dict[str, object] = {}
    for name, value in fields.items():
        text = str(value).strip() if value is not None else ""
        row[name] = text or None
        if name in NUMBER_FIELDS:
            number = text.replace(",", ".") if decimal_mark == "," else text
            if NUMBER_PATTERN.fullmatch(number):
                row[name] = float(number)
    return row


def describe_missing_columns(names: Collection[str]) -> list[tuple[str, str]]:
    """Return the fields that a table lacks, which each row needs, and a sentence for each."""
    problems = []
    for fields in (REFERENCE_FIELDS, tuple(TRUTH_UNITS)):
        if not set(names) & set(fields):
            choice = f"{', '.join(fields[:-1])} or {fields[-1]}"
            problems.append((fields[0], f"there is no column {choice}"))
    return problems


def describe_unknown_field(name: str) -> str:
    """Return the problem of a field that feedback does not have."""
    matches = get_close_matches(name[:MAX_QUOTED_CHARS], FEEDBACK_FIELDS, 1)
    hint = f"did you mean {matches[0]}?" if matches else f"expected {', '.join(FEEDBACK_FIELDS)}"
    return f"{quote(name)} is not a field of feedback; {hint}"


def _parse_reference(fields: Mapping[str, object]) -> PredictionReference:
    names = [name for name in REFERENCE_FIELDS if name in fields]
    if len(names) != 1:
        actual = "id and request_id are both there" if names else "id is missing"
        raise FeedbackError(f"{actual}, expected {EXPECTED_REFERENCE}", "id")
    [name] = names
    value = fields[name]
    if not (isinstance(value, str) and ID_PATTERN.fullmatch(value)):
        raise FeedbackError(
            f"{name} is {quote(value)}, expected text of up to 200 visible ASCII characters", name
        )
    if name == "id":
        if "index" in fields:
            raise FeedbackError("index belongs to request_id, and id is there", "index")
        return PredictionReference(value)
    return PredictionReference(None, value, _parse_index(fields.get("index")))


def _parse_index(value: object) -> int | None:
    if value is None:
        return None
    number = _parse_number(value)
    if number is None or not 0 <= number <= MAX_INDEX or number % 1:
        raise FeedbackError(f"index is {quote(value)}, expected a whole number from 0", "index")
    return int(number)


def _parse_truth(fields: Mapping[str, object]) -> float:
    """Return the true value in $100,000."""
    names = [name for name in TRUTH_UNITS if name in fields]
    if len(names) != 1:
        actual = f"{' and '.join(names)} are both there" if names else "truth is missing"
        raise FeedbackError(f"{actual}, expected {EXPECTED_TRUTH}", names[-1] if names else "truth")
    [name] = names
    value = fields[name]
    in_usd = name == "truth_usd"
    scale = USD_PER_UNIT if in_usd else 1
    low, high = MIN_TRUTH * scale, MAX_TRUTH * scale
    number = _parse_number(value)
    if number is not None and low <= number <= high:
        return number / scale
    hint = ""
    if number is not None and name == "truth" and high < number < math.inf:
        hint = "; did you mean truth_usd?"
    elif number is not None and in_usd and 0 < number < low:
        hint = "; did you mean truth?"
    raise FeedbackError(
        f"{name} is {quote(value)}, expected a number from {low:,g} to {high:,.0f} "
        f"({TRUTH_UNITS[name]}){hint}",
        name,
    )


def _parse_number(value: object) -> float | None:
    """Return a number as it is; None for anything else, such as text or true."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _parse_time(fields: Mapping[str, object], current_time: datetime) -> str | None:
    """Return the time of the event; it may be before the prediction, but not in the future."""
    value = fields.get("observed_at")
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value.strip())  # type: ignore[attr-defined]
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (AttributeError, ValueError, OverflowError):
        raise FeedbackError(
            f"observed_at is {quote(value)}, expected {EXPECTED_TIME}", "observed_at"
        ) from None
    if moment > current_time + MAX_CLOCK_DIFFERENCE:
        raise FeedbackError(
            f"observed_at is {quote(value)}, which is in the future: it is "
            f"{current_time.isoformat(timespec='seconds')} now",
            "observed_at",
        )
    return moment.isoformat(timespec="milliseconds")


def quote(value: object) -> str:
    """Return a value for a problem: short, without what could steer a terminal."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:,.10g}" if math.isfinite(value) else "not a finite number"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**MAX_QUOTED_CHARS else "a huge number"
    text = repr(value)
    return text if len(text) <= MAX_QUOTED_CHARS else text[: MAX_QUOTED_CHARS - 3] + "..."


def clean(name: str) -> str:
    """Return a field's name as text that can be encoded; a JSON text may hold what cannot."""
    return name[:MAX_QUOTED_CHARS].encode(errors="replace").decode()
