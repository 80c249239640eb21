"""Check the columns of a table, whatever its format."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from app.problem_details import (
    MAX_REPORTED_ERRORS,
    FieldError,
    RequestError,
    field_error,
    request_error,
    truncate_errors,
    unknown_field_message,
)
from housing.schema import FEATURE_NAMES, FEATURES

MAX_TABLE_COLUMNS = 1_000
# how the columns begin in which pandas saves and reads an index without a name
PANDAS_INDEX_PREFIXES = ("__index_level_", "Unnamed: ")


class TableColumns(NamedTuple):
    """The columns that a table may have, each at most once."""

    expected_kinds: Mapping[str, str]  # what each column holds, in words
    text_names: Sequence[str]  # those that hold text; the others hold numbers
    required_names: Sequence[str]
    describe_unknown: Callable[[str], str]  # the problem of a column with another name
    extra_way_out: str  # what to do about other columns

    @property
    def names(self) -> list[str]:
        """The names of all columns."""
        return list(self.expected_kinds)

    @property
    def number_names(self) -> list[str]:
        """The names of the columns that hold numbers."""
        return [name for name in self.expected_kinds if name not in self.text_names]


FEATURE_COLUMNS = TableColumns(
    expected_kinds={name: f"numbers ({feature.unit})" for name, feature in FEATURES.items()},
    text_names=(),
    required_names=FEATURE_NAMES,
    describe_unknown=unknown_field_message,
    extra_way_out=("leave such columns out, or send the table to /invocations, which ignores them"),
)


def check_column_count(count: int) -> None:
    """Raise RequestError for more columns than any table can have."""
    if count > MAX_TABLE_COLUMNS:
        raise request_error(
            422, f"the table has {count:,} columns, expected at most {MAX_TABLE_COLUMNS:,}"
        )


def check_columns(
    column_types: Sequence[tuple[str, str]],
    columns: TableColumns,
    allow_extra_columns: bool = False,
) -> None:
    """Raise RequestError unless each column is there as often as it may be, and holds its kind.

    column_types: the name of each column and its type in words, which is empty for what is
    expected of it. allow_extra_columns: whether there may be columns of other names, beside an
    index without a name.
    """
    check_column_count(len(column_types))
    counts = Counter(name for name, _ in column_types)
    errors = [
        _column_count_error(name, counts[name], columns)
        for name in columns.names
        if counts[name] > 1 or (counts[name] == 0 and name in columns.required_names)
    ]
    if not allow_extra_columns:
        errors += [
            field_error(f"{columns.describe_unknown(name)} ({columns.extra_way_out})", name)
            for name in counts
            if name not in columns.names and not _is_unnamed_index(name)
        ]
    errors += [
        field_error(
            f"{name} is a column of {type_name}, expected {columns.expected_kinds[name]}", name
        )
        for name, type_name in column_types
        if type_name and name in columns.names
    ]
    if errors:
        raise RequestError(422, truncate_errors(errors[:MAX_REPORTED_ERRORS], len(errors)))


def _is_unnamed_index(column_name: str) -> bool:
    return not column_name or column_name.startswith(PANDAS_INDEX_PREFIXES)


def _column_count_error(name: str, count: int, columns: TableColumns) -> FieldError:
    actual = "there more than once" if count else "missing"
    return field_error(f"the column {name} is {actual}, expected {', '.join(columns.names)}", name)
