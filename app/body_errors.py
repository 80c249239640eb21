"""The first things that are wrong with a body. pydantic tells all of them, 80,000 of a full list,
and while it does so nothing else in the process is answered."""

from __future__ import annotations

from itertools import islice
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

AT_ONCE = 1_000  # errors that take no time worth saving
PART = 10  # rows that are looked at together


def first(wrong: ValidationError, rows: TypeAdapter, body: bytes, most: int) -> list[dict]:
    """As `wrong.errors()`, but at least the first `most`; body: what was no block group, or no list
    of them that `rows` takes."""
    if wrong.error_count() <= AT_ONCE:
        return wrong.errors(include_url=False)
    given = from_json(body)
    as_list = isinstance(given, list)
    found: list[dict] = []
    for start in range(0, len(given) if as_list else 1, PART):
        part = given[start : start + PART] if as_list else [given]
        try:
            rows.validate_python([_trimmed(one, most) for one in part])
        except ValidationError as some:
            for one in some.errors(include_url=False):
                row, *rest = one["loc"]
                found.append(one | {"loc": (start + row, *rest) if as_list else tuple(rest)})
        if len(found) >= most:
            break
    return found


def _trimmed(row: Any, most: int) -> Any:
    """Without the fields that would be named only after `most` others."""
    return dict(islice(row.items(), 2 * most)) if isinstance(row, dict) else row
