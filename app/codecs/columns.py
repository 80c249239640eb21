"""Check the columns of a table, whatever its format."""

from collections import Counter
from collections.abc import Mapping

from app.problem_details import (
    MAX_REPORTED_ERRORS,
    FieldError,
    RequestError,
    field_error,
    invalid_value_error,
    request_error,
    unknown_field_error,
)
from housing.schema import FEATURE_NAMES, FEATURES

MAX_TABLE_COLUMNS = 1_000
PANDAS_INDEX_PREFIX = "__index_level_"  # of the column in which pandas saves an index


def check_column_count(count: int) -> None:
    """Raise RequestError for more columns than a table of block groups can have."""
    if count > MAX_TABLE_COLUMNS:
        raise request_error(
            422, f"the table has {count:,} columns, expected at most {MAX_TABLE_COLUMNS:,}"
        )


def check_columns(column_types: list[tuple[str, str]], allow_extra_columns: bool) -> None:
    """Raise RequestError unless each of the eight columns is there once and holds numbers.

    column_types: the name of each column and its type in words, which is empty for numbers.
    allow_extra_columns: whether there may be columns that are no features.
    """
    check_column_count(len(column_types))
    counts = Counter(name for name, _ in column_types)
    errors = [
        _column_count_error(name, counts[name]) for name in FEATURE_NAMES if counts[name] != 1
    ]
    if not allow_extra_columns:
        extra_columns = [
            name
            for name, _ in column_types
            if name not in FEATURE_NAMES and not name.startswith(PANDAS_INDEX_PREFIX)
        ]
        errors += [unknown_field_error(name) for name in extra_columns[:MAX_REPORTED_ERRORS]]
    if not errors:
        errors = [
            _non_numeric_error(name, type_name)
            for name, type_name in column_types
            if type_name and name in FEATURE_NAMES
        ]
    if errors:
        raise RequestError(422, errors[:MAX_REPORTED_ERRORS])


def check_no_missing_values(first_missing_rows: Mapping[str, int]) -> None:
    """Raise RequestError if columns lack values.

    first_missing_rows: the first row without a value, by the name of each such column.
    """
    if first_missing_rows:
        raise RequestError(
            422,
            [invalid_value_error(name, row, "missing") for name, row in first_missing_rows.items()],
        )


def _column_count_error(name: str, count: int) -> FieldError:
    actual = "there more than once" if count else "missing"
    sentence = f"the column {name} is {actual}, expected {', '.join(FEATURE_NAMES)}"
    return field_error(sentence, name)


def _non_numeric_error(name: str, type_name: str) -> FieldError:
    sentence = f"{name} is a column of {type_name}, expected numbers ({FEATURES[name].unit})"
    return field_error(sentence, name)
