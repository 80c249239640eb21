"""Why a request is refused: the errors that the response lists, and their sentences."""

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, Field

from housing.schema import FEATURE_NAMES, FEATURES
from housing.text import omission_text

MAX_REPORTED_ERRORS = 100  # in one response; more would be no help
MAX_FIELD_NAME_LENGTH = 100  # characters of an unknown field's name that are repeated
MAX_VALUE_LENGTH = 60  # characters of a wrong value that are repeated


class FieldError(BaseModel):
    """One thing that is wrong with a request."""

    field: str | None = Field(description="the field it is about")
    row: int | None = Field(description="its place in the list, from 0")
    problem: str = Field(description="one sentence: what is wrong and what was expected")


class ProblemDetails(BaseModel):
    """Why there is no prediction (RFC 9457)."""

    type: str = Field(default="about:blank", description="always about:blank; the errors say more")
    title: str = Field(description="the status in words")
    status: int
    detail: str = Field(description="the first problem")
    instance: str = Field(description="identifies the request; its path, if it is in the log")
    id: str = Field(description="identifies the request in the log")
    errors: list[FieldError] = Field(description="every problem of the request")
    state: str = Field(
        default="", description="why there is no model, for example loading; absent otherwise"
    )


class RequestError(Exception):
    """Raised if a request is refused: the status of the response and the errors it lists."""

    def __init__(
        self, status: int, errors: list[FieldError], retry_after_seconds: float = 1
    ) -> None:
        """retry_after_seconds: when to try again, for the statuses after which that may help."""
        super().__init__("; ".join(error.problem for error in errors))
        self.status, self.errors = status, errors
        self.model_state = ""  # why there is no model, if that is the error
        self.headers: list[tuple[str, str]] = []
        if status == 401:
            # Basic so that a browser asks for the key; Chromium reads the first scheme of a header
            self.headers = [
                ("www-authenticate", f'{scheme} realm="housing"') for scheme in ("Bearer", "Basic")
            ]
        elif status in (429, 503):
            self.headers = [("retry-after", f"{math.ceil(retry_after_seconds)}")]


def field_error(problem: str, field_name: str | None = None, row: int | None = None) -> FieldError:
    """Return an error whose sentence begins with the row, if it is about one."""
    return FieldError(
        field=field_name and field_name[:MAX_FIELD_NAME_LENGTH],
        row=row,
        problem=problem if row is None else f"row {row}: {problem}",
    )


def request_error(status: int, message: str) -> RequestError:
    """Return an error with one problem that is about no field."""
    return RequestError(status, [field_error(message)])


def no_model_error(state: str, message: str, retry_after_seconds: float) -> RequestError:
    """Return the error of a request that needs a model while there is none.

    state: a ModelState of `app.model.states`, which programs may tell apart.
    """
    error = RequestError(503, [field_error(message)], retry_after_seconds)
    error.model_state = state
    return error


def body_too_large_error(max_body_bytes: int) -> RequestError:
    """Return the error of a request whose body is larger than the limit."""
    return request_error(
        413, f"the body is larger than {max_body_bytes:,} bytes; send the rows in several requests"
    )


def check_row_count(row_count: int, max_rows: int) -> None:
    """Raise RequestError for an empty list, or one that is too long."""
    if not 1 <= row_count <= max_rows:
        raise request_error(422, f"the list has {row_count:,} rows, expected 1 to {max_rows:,}")


def invalid_value_error(field_name: str, row: int, actual: str) -> FieldError:
    """Return the error of a value that its field may not have; actual: the value in words."""
    return field_error(_invalid_value_message(field_name, actual), field_name, row)


def truncate_errors(
    errors: list[FieldError], total_count: int, limit: int = MAX_REPORTED_ERRORS
) -> list[FieldError]:
    """Return the errors, at most `limit`, with a last one that counts those left out."""
    omission = omission_text(total_count, limit, "problems")
    if omission:
        errors.append(field_error(omission))
    return errors


def to_field_error(pydantic_error: Mapping[str, Any]) -> FieldError:
    """Return an error of pydantic in the service's words."""
    location = pydantic_error["loc"]
    row = next((key for key in location if isinstance(key, int)), None)
    field_name = next((key for key in location if isinstance(key, str)), None)
    return field_error(_describe_error(pydantic_error, field_name), field_name, row)


def _describe_error(pydantic_error: Mapping[str, Any], field_name: str | None) -> str:
    if field_name is not None and pydantic_error["type"] == "extra_forbidden":
        return unknown_field_message(field_name)
    value = pydantic_error["input"]
    if field_name not in FEATURES:
        return f"{shorten(value)} is not an object with the fields of a block group"
    actual = "missing" if pydantic_error["type"] == "missing" else shorten(value)
    return _invalid_value_message(field_name, actual)


def unknown_field_message(field_name: str) -> str:
    """Return the problem of a field that a block group does not have."""
    matches = get_close_matches(field_name[:MAX_FIELD_NAME_LENGTH], FEATURE_NAMES, 1)
    hint = f"did you mean {matches[0]}?" if matches else f"expected {', '.join(FEATURE_NAMES)}"
    return f"{shorten(field_name)} is not a field of a block group; {hint}"


def _invalid_value_message(field_name: str, actual: str) -> str:
    feature = FEATURES[field_name]
    accepted_range = f"a number from {feature.low:,g} to {feature.high:,g}"
    return (
        f"{field_name} is {actual}, expected {accepted_range} ({feature.meaning}; {feature.unit})"
    )


def shorten(value: Any) -> str:
    """Return a value in at most MAX_VALUE_LENGTH characters, true, false and null as in JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= MAX_VALUE_LENGTH else text[: MAX_VALUE_LENGTH - 3] + "..."
