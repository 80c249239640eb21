"""The first validation errors of a body.

pydantic lists every error, 80,000 for a long list, and while it does so the process answers nothing
else.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

MAX_EAGER_ERRORS = 1_000  # so many are listed so fast that stopping earlier saves nothing
VALIDATION_CHUNK_ROWS = 10


def first_validation_errors(
    validation_error: ValidationError, list_adapter: TypeAdapter, body: bytes, limit: int
) -> list[dict[str, Any]]:
    """Return what `validation_error.errors()` would, but only the first ones, at least `limit`.

    body: the JSON that did not validate as a block group, or as a list of them by list_adapter.
    """
    if validation_error.error_count() <= MAX_EAGER_ERRORS:
        return [dict(error) for error in validation_error.errors(include_url=False)]
    content = from_json(body)
    is_list = isinstance(content, list)
    rows = content if is_list else [content]
    errors: list[dict[str, Any]] = []
    for start in range(0, len(rows), VALIDATION_CHUNK_ROWS):
        chunk = rows[start : start + VALIDATION_CHUNK_ROWS]
        try:
            list_adapter.validate_python([_trim_row(row, limit) for row in chunk])
        except ValidationError as chunk_error:
            for error in chunk_error.errors(include_url=False):
                index, *field = error["loc"]
                location = (start + int(index), *field) if is_list else tuple(field)
                errors.append(dict(error) | {"loc": location})
        if len(errors) >= limit:
            break
    return errors


def _trim_row(row: Any, limit: int) -> Any:
    """Return a row without the fields that would be named only after `limit` others."""
    return dict(islice(row.items(), 2 * limit)) if isinstance(row, dict) else row
