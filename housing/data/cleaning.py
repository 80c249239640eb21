"""Leave out the rows that cannot be used, or refuse a data set that has any."""

from typing import Literal

import pandas as pd

from housing.data.column_names import find_column_problems
from housing.data.data_versions import describe_dropped_rows
from housing.data.errors import DataError
from housing.data.loading import Dataset
from housing.data.validation import ROW_ADVICE, RowFault, find_row_faults
from housing.schema import COLUMNS
from housing.text import count_text

MIN_ROWS = 100  # of a data set: with fewer, families of models cannot be compared


def find_problems(dataset: Dataset) -> list[str]:
    """Return one sentence for each problem of a data set, those of its columns first."""
    column_problems = find_column_problems(list(dataset.frame), dataset.source_names)
    return [*column_problems, *(fault.describe() for fault in _find_faults(dataset))]


def clean(dataset: Dataset, bad_rows: Literal["refuse", "drop"] = "refuse") -> Dataset:
    """Return a data set without the rows that cannot be used; it says how many were left out.

    bad_rows: with "refuse", any problem is an error; only rows with gaps of a converted file are
    left out, as the best-known file of this data set has such rows. With "drop", all rows that have
    a problem are left out. Raises DataError that lists all problems, those of columns among them,
    or if fewer than `MIN_ROWS` rows are left.
    """
    column_problems = find_column_problems(list(dataset.frame), dataset.source_names)
    faults = _find_faults(dataset)
    removable = [
        fault for fault in faults if bad_rows == "drop" or (fault.is_gap and dataset.source_names)
    ]
    dropped_rows = _count_rows(removable)
    rows = _unite(removable)
    remaining = [] if bad_rows == "drop" else faults
    if remaining and len(rows):  # a row with a gap may have another problem
        remaining = _find_faults(_drop(dataset, rows))
    total, left = len(dataset.frame), len(dataset.frame) - len(_unite(faults))
    if column_problems or remaining:
        way_out = "; `-p bad_rows=drop` leaves such rows out" if left >= MIN_ROWS else ""
        advice = f"{ROW_ADVICE}{way_out}." if remaining else ""
        problems = [*column_problems, *(fault.describe() for fault in remaining)]
        raise DataError(f"{dataset.label} cannot be used", problems, advice)
    if left < MIN_ROWS:
        usable = f", of which {left:,} can be used" if len(rows) else ""
        problems = [fault.describe() for fault in faults]
        raise DataError(
            f"{dataset.label} has {count_text(total, 'row')}{usable}, expected at least {MIN_ROWS}",
            problems,
        )
    frame = dataset.frame.drop(index=rows)[COLUMNS].astype(float)
    if not dropped_rows:
        return dataset._replace(frame=frame)
    description = f"{dataset.description}; {describe_dropped_rows(dropped_rows, total)}"
    return dataset._replace(frame=frame, description=description, dropped_rows=dropped_rows)


def _find_faults(dataset: Dataset) -> list[RowFault]:
    """Return the faults that were found at reading, and those of the values."""
    read_faults = [fault for fault in dataset.read_faults if len(fault.values)]
    unusable_rows = _unite(read_faults)
    return [*read_faults, *find_row_faults(dataset.frame, dataset.source_names, unusable_rows)]


def _count_rows(faults: list[RowFault]) -> dict[str, int]:
    """Return reason -> number of rows; a row counts for the first of its reasons."""
    counts: dict[str, int] = {}
    counted = pd.Index([], dtype=int)
    for fault in faults:
        new_rows = fault.values.index.difference(counted)
        if len(new_rows):
            counts[fault.reason] = len(new_rows)
        counted = counted.union(new_rows)
    return counts


def _unite(faults: list[RowFault]) -> pd.Index:
    rows = pd.Index([], dtype=int)
    for fault in faults:
        rows = rows.union(fault.values.index)
    return rows


def _drop(dataset: Dataset, rows: pd.Index) -> Dataset:
    read_faults = [
        fault._replace(values=fault.values.drop(rows, errors="ignore"))
        for fault in dataset.read_faults
    ]
    return dataset._replace(frame=dataset.frame.drop(index=rows), read_faults=read_faults)
