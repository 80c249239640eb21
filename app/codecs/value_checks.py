"""Check the values of block groups, and name each one that cannot be taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from app.problem_details import (
    MAX_REPORTED_ERRORS,
    FieldError,
    RequestError,
    field_error,
    invalid_value_error,
    truncate_errors,
)
from housing.accepted_ranges import LOWER_LIMITS, UPPER_LIMITS
from housing.schema import FEATURE_NAMES


class ParsedTable(NamedTuple):
    """The rows of a body, and what is wrong with those that could not be read."""

    rows: np.ndarray  # (n, 8) in the order of `schema.FEATURE_NAMES`; NaN is no number
    # what the body has instead of a number, by row and column: at least the first of them
    cell_texts: Mapping[tuple[int, int], str] = {}
    malformed_rows: Mapping[int, str] = {}  # why a row has no values that could be checked
    line_numbers: Sequence[int] = ()  # from 1: where each row of a text begins


def has_invalid_values(rows: np.ndarray) -> bool:
    """Return whether one of (n, 8) numbers is out of its range or not finite."""
    return not bool(((rows >= LOWER_LIMITS) & (rows <= UPPER_LIMITS)).all())


def check_values(table: ParsedTable) -> None:
    """Raise RequestError that names each wrong row and value, the first ones of very many."""
    rows, malformed_rows = table.rows, table.malformed_rows
    if not malformed_rows and not has_invalid_values(rows):
        return
    is_invalid = ~((rows >= LOWER_LIMITS) & (rows <= UPPER_LIMITS))
    if malformed_rows:
        is_invalid[list(malformed_rows)] = False
    errors = [
        field_error(problem, row=row)
        for row, problem in islice(malformed_rows.items(), MAX_REPORTED_ERRORS)
    ]
    for row, column in np.argwhere(is_invalid)[:MAX_REPORTED_ERRORS].tolist():
        text = table.cell_texts.get((row, column)) or _describe_number(rows[row, column])
        errors.append(invalid_value_error(FEATURE_NAMES[column], row, text))
    errors = sorted(errors, key=lambda error: error.row or 0)[:MAX_REPORTED_ERRORS]
    if table.line_numbers:
        errors = [with_line_number(error, table.line_numbers) for error in errors]
    total_count = len(malformed_rows) + int(is_invalid.sum())
    raise RequestError(422, truncate_errors(errors, total_count))


def _describe_number(value: float) -> str:
    return f"{value:g}" if np.isfinite(value) else "not a finite number"


def with_line_number(error: FieldError, line_numbers: Sequence[int]) -> FieldError:
    """Return the error of a row of text with the line at which the row begins."""
    line_number = line_numbers[error.row or 0]
    problem = f"{error.problem} (line {line_number:,} of the body; rows count from 0)"
    return error.model_copy(update={"problem": problem})
