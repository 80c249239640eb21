"""The first things that are wrong with a body. pydantic tells all of them, 80,000 of a full list,
and while it does so nothing else in the process is answered."""

from __future__ import annotations

from itertools import islice
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

MAX_EAGER_ERRORS = 1_000  # errors that take no time worth saving
VALIDATION_CHUNK_ROWS = 10  # rows that are looked at together


def first_validation_errors(
    validation_error: ValidationError, list_adapter: TypeAdapter, body: bytes, limit: int
) -> list[dict]:
    """As `wrong.errors()`, but at least the first `most`; body: what was no block group, or no list
    of them that `rows` takes."""
    if validation_error.error_count() <= MAX_EAGER_ERRORS:
        return validation_error.errors(include_url=False)
    given = from_json(body)
    as_list = isinstance(given, list)
    found: list[dict] = []
    for start in range(0, len(given) if as_list else 1, VALIDATION_CHUNK_ROWS):
        part = given[start : start + VALIDATION_CHUNK_ROWS] if as_list else [given]
        try:
            list_adapter.validate_python([_trim_row(one, limit) for one in part])
        except ValidationError as some:
            for one in some.errors(include_url=False):
                row, *rest = one["loc"]
                found.append(one | {"loc": (start + row, *rest) if as_list else tuple(rest)})
        if len(found) >= limit:
            break
    return found


def _trim_row(row: Any, limit: int) -> Any:
    """Without the fields that would be named only after `most` others."""
    return dict(islice(row.items(), 2 * limit)) if isinstance(row, dict) else row
