"""Why a request is refused: the problems as the answer tells them, and their sentences."""

import math
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, Field

from housing.schema import FEATURE_NAMES, FEATURES

MAX_REPORTED_ERRORS = 100  # named in one answer; more would be no help
MAX_FIELD_NAME_LENGTH = 100  # characters of a field that is told back


class FieldError(BaseModel):
    """One thing that is wrong with a request."""

    field: str | None = Field(description="the field it is about")
    row: int | None = Field(description="its place in the list, from 0")
    problem: str = Field(description="one sentence: what is wrong and what was expected")


class ProblemDetails(BaseModel):
    """Why there is no answer (RFC 9457)."""

    type: str = Field("about:blank", description="nothing beyond the status: errors say it")
    title: str = Field(description="the status in words")
    status: int
    detail: str = Field(description="the first problem")
    instance: str = Field(description="names the request; its path, if it is in the log")
    id: str = Field(description="names the request in the log")
    errors: list[FieldError] = Field(description="every problem that was found")


class RequestError(Exception):
    """Raised for a body that is no request: the status to answer with and the problems."""

    def __init__(
        self, status: int, errors: list[FieldError], retry_after_seconds: float = 1
    ) -> None:
        """wait: the seconds after which it may be worth another try, where it may be at all."""
        super().__init__("; ".join(one.problem for one in errors))
        self.status, self.errors = status, errors
        self.headers: list[tuple[str, str]] = []
        if status == 401:  # Basic as well, so that a browser asks for the key
            self.headers = [("www-authenticate", 'Bearer realm="housing", Basic realm="housing"')]
        elif status in (429, 503):
            self.headers = [("retry-after", f"{math.ceil(retry_after_seconds)}")]


def request_error(status: int, message: str) -> RequestError:
    """A refusal with one problem that is about no field."""
    return RequestError(status, [FieldError(field=None, row=None, problem=message)])


def check_row_count(row_count: int, max_rows: int) -> None:
    """Raises Refused for an empty list, or one that is too long."""
    if not 1 <= row_count <= max_rows:
        raise row_count_error(row_count, max_rows)


def row_count_error(row_count: int, max_rows: int) -> RequestError:
    """The refusal of an empty list, or one that is too long."""
    return request_error(422, f"the list has {row_count:,} rows, expected 1 to {max_rows:,}")


def invalid_value_error(field_name: str, row: int, actual: str) -> FieldError:
    """The problem of a row whose field holds what it may not; found: in words."""
    return FieldError(
        field=field_name,
        row=row,
        problem=f"row {row}: {_invalid_value_message(field_name, actual)}",
    )


def unknown_field_error(field_name: str) -> FieldError:
    """The problem of a field that a block group has not."""
    return FieldError(
        field=field_name[:MAX_FIELD_NAME_LENGTH],
        row=None,
        problem=_unknown_field_message(field_name),
    )


def truncate_errors(errors: list[FieldError], total_count: int) -> list[FieldError]:
    """The problems, and a last one that counts those left out."""
    if total_count > MAX_REPORTED_ERRORS:
        more = f"and {total_count - MAX_REPORTED_ERRORS:,} more problems"
        errors.append(FieldError(field=None, row=None, problem=more))
    return errors


def to_field_error(pydantic_error: dict[str, Any]) -> FieldError:
    """What an error of pydantic says, in our words."""
    row = next((one for one in pydantic_error["loc"] if isinstance(one, int)), None)
    field = next((one for one in pydantic_error["loc"] if isinstance(one, str)), None)
    sentence = _describe_error(pydantic_error, field)
    return FieldError(
        field=field and field[:MAX_FIELD_NAME_LENGTH],
        row=row,
        problem=sentence if row is None else f"row {row}: {sentence}",
    )


def _describe_error(pydantic_error: dict[str, Any], field_name: str | None) -> str:
    if pydantic_error["type"] == "extra_forbidden":
        return _unknown_field_message(field_name)
    if field_name not in FEATURES:
        return (
            f"{shorten(pydantic_error['input'])} is not an object with the fields of a block group"
        )
    return _invalid_value_message(
        field_name,
        "missing" if pydantic_error["type"] == "missing" else shorten(pydantic_error["input"]),
    )


def _unknown_field_message(field_name: str) -> str:
    near = get_close_matches(field_name[:MAX_FIELD_NAME_LENGTH], FEATURE_NAMES, 1)
    hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(FEATURE_NAMES)}"
    return f"{shorten(field_name)} is not a field of a block group; {hint}"


def _invalid_value_message(field_name: str, actual: str) -> str:
    feature = FEATURES[field_name]
    wanted = f"a number from {feature.low:,g} to {feature.high:,g}"
    return f"{field_name} is {actual}, expected {wanted} ({feature.meaning}; {feature.unit})"


def shorten(value: Any) -> str:
    """A value as JSON names it, in at most 60 characters."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
