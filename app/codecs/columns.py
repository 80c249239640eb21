"""What a table's columns must be, whatever kind of table it is."""

from collections import Counter
from collections.abc import Mapping

from app.problem_details import (
    MAX_REPORTED_ERRORS,
    FieldError,
    RequestError,
    invalid_value_error,
    request_error,
    unknown_field_error,
)
from housing.schema import FEATURE_NAMES, FEATURES

MAX_TABLE_COLUMNS = 1_000  # columns of a table
PANDAS_INDEX_PREFIX = "__index_level_"  # what pandas names an index that it writes along


def check_column_count(count: int) -> None:
    """Raises Refused for more columns than anybody has block groups in."""
    if count > MAX_TABLE_COLUMNS:
        raise request_error(
            422, f"the table has {count:,} columns, expected at most {MAX_TABLE_COLUMNS:,}"
        )


def check_columns(column_types: list[tuple[str, str]], allow_extra_columns: bool) -> None:
    """Raises Refused unless there are the eight columns, of numbers, and no others but if more.

    kinds: the name of each column, and what it holds in words; nothing for numbers.
    """
    check_column_count(len(column_types))
    counts = Counter(name for name, _ in column_types)
    problems = []
    for name in FEATURE_NAMES:
        if counts[name] != 1:
            found = "there more than once" if counts[name] else "missing"
            sentence = f"the column {name} is {found}, expected {', '.join(FEATURE_NAMES)}"
            problems.append(FieldError(field=name, row=None, problem=sentence))
    if not allow_extra_columns:
        others = [
            one
            for one, _ in column_types
            if one not in FEATURE_NAMES and not one.startswith(PANDAS_INDEX_PREFIX)
        ]
        problems += [unknown_field_error(one) for one in others[:MAX_REPORTED_ERRORS]]
    problems = problems or [_non_numeric_error(name, kind) for name, kind in column_types
                            if kind and name in FEATURE_NAMES]  # fmt: skip
    if problems:
        raise RequestError(422, problems[:MAX_REPORTED_ERRORS])


def check_no_missing_values(first_missing_rows: Mapping[str, int]) -> None:
    """Raises Refused if a column lacks values; empty: its name, and the first row without."""
    if first_missing_rows:
        raise RequestError(
            422,
            [invalid_value_error(name, row, "missing") for name, row in first_missing_rows.items()],
        )


def _non_numeric_error(name: str, type_name: str) -> FieldError:
    sentence = f"{name} is a column of {type_name}, expected numbers ({FEATURES[name].unit})"
    return FieldError(field=name, row=None, problem=sentence)
