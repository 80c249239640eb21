"""Check the columns of a table, whatever its format."""

from collections import Counter

from app.problem_details import (
    MAX_REPORTED_ERRORS,
    FieldError,
    RequestError,
    field_error,
    request_error,
    truncate_errors,
    unknown_field_error,
)
from housing.schema import FEATURE_NAMES, FEATURES

MAX_TABLE_COLUMNS = 1_000
# how the columns begin in which pandas saves and reads an index without a name
PANDAS_INDEX_PREFIXES = ("__index_level_", "Unnamed: ")


def check_column_count(count: int) -> None:
    """Raise RequestError for more columns than a table of block groups can have."""
    if count > MAX_TABLE_COLUMNS:
        raise request_error(
            422, f"the table has {count:,} columns, expected at most {MAX_TABLE_COLUMNS:,}"
        )


def check_columns(column_types: list[tuple[str, str]], allow_extra_columns: bool) -> None:
    """Raise RequestError unless each of the eight columns is there once and holds numbers.

    column_types: the name of each column and its type in words, which is empty for numbers.
    allow_extra_columns: whether there may be columns that are neither features nor an index
    without a name.
    """
    check_column_count(len(column_types))
    counts = Counter(name for name, _ in column_types)
    errors = [
        _column_count_error(name, counts[name]) for name in FEATURE_NAMES if counts[name] != 1
    ]
    if not allow_extra_columns:
        errors += [
            _extra_column_error(name)
            for name in counts
            if name not in FEATURE_NAMES and not _is_unnamed_index(name)
        ]
    errors += [
        _non_numeric_error(name, type_name)
        for name, type_name in column_types
        if type_name and name in FEATURE_NAMES
    ]
    if errors:
        raise RequestError(422, truncate_errors(errors[:MAX_REPORTED_ERRORS], len(errors)))


def _is_unnamed_index(column_name: str) -> bool:
    return not column_name or column_name.startswith(PANDAS_INDEX_PREFIXES)


def _column_count_error(name: str, count: int) -> FieldError:
    actual = "there more than once" if count else "missing"
    sentence = f"the column {name} is {actual}, expected {', '.join(FEATURE_NAMES)}"
    return field_error(sentence, name)


def _extra_column_error(name: str) -> FieldError:
    error = unknown_field_error(name)
    way_out = "leave such columns out, or send the table to /invocations, which ignores them"
    return error.model_copy(update={"problem": f"{error.problem} ({way_out})"})


def _non_numeric_error(name: str, type_name: str) -> FieldError:
    sentence = f"{name} is a column of {type_name}, expected numbers ({FEATURES[name].unit})"
    return field_error(sentence, name)
