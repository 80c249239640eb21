"""The eight features of the rows of a table, and why a row has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from housing.schema import FEATURE_NAMES


class ReadingProblems(NamedTuple):
    """What is to be said of rows that their numbers do not show; (n,) arrays have null for none."""

    labels: Mapping[str, str] = {}  # feature -> what problems call it, if that is not its name
    values: Mapping[str, pa.Array] = {}  # feature -> (n,) why a value is none
    rows: pa.Array | None = None  # (n,) why a row has no values at all


class RowFeatures(NamedTuple):
    """The features of rows."""

    columns: pa.RecordBatch  # has the eight features, as numbers of any type
    problems: ReadingProblems = ReadingProblems()


class SourceBatch(NamedTuple):
    """Rows that follow each other."""

    columns: pa.RecordBatch  # as they are written again
    features: RowFeatures
    share_read: float  # of the file, up to the end of these rows, 0 to 1


NO_PROBLEMS = ReadingProblems()


def has_features(column_names: Sequence[str]) -> bool:
    """Return whether a table has the eight features under their own names."""
    return set(FEATURE_NAMES) <= set(column_names)
