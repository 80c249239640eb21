"""The partitions of a data set: which can be scored, and which have been already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from housing.batch_scoring import (
    bookkeeping,
    formats,
    row_features,
    source_tables,
    targets,
    writers,
)
from housing.batch_scoring.bookkeeping import RowCounts
from housing.batch_scoring.formats import PREDICTION_COLUMNS, TableFormat
from housing.batch_scoring.source_tables import SourceColumns
from housing.batch_scoring.targets import ScoringFiles
from housing.schema import FEATURES
from housing.text import omission_text

if TYPE_CHECKING:
    from housing.registry.versions import ModelVersion

MAX_PLAN_PROBLEMS = 20  # named in one error


class Partition(NamedTuple):
    """An input file, and the one that gets its rows and their predictions."""

    source: Path
    target: Path
    fingerprint: dict[str, str]  # the target's metadata: which model predicted which input


class ScoringPlan(NamedTuple):
    """What there is to do."""

    target: Path  # a folder, or a file for a file
    is_folder: bool
    pending: list[Partition]
    completed: list[RowCounts]  # of the partitions that are in the target already
    orphans: list[Path]  # tables in the target that belong to no partition
    conversions: dict[str, list[Path]]  # how features are made of other columns -> input files


def plan_scoring(
    source: Path,
    target: str | Path,
    version: ModelVersion,
    table_format: TableFormat | None = None,
) -> ScoringPlan:
    """Find the partitions of a file or a folder, and which of them are completed.

    source, target, table_format: as of `targets.match_files`, which raises errors of its own. A
    partition is completed if what is kept with its file names this model version and run, and the
    input's size and modification time. Raises ValueError that names each file that cannot be
    scored: it lacks a feature, has one that is no number, has a column that the predictions get, or
    cannot be read.
    """
    files = targets.match_files(source, target, table_format)
    problems: list[str] = []
    conversions: dict[str, list[Path]] = {}
    for source, target in files.targets.items():
        try:
            columns = source_tables.read_columns(source)
        except (ValueError, LookupError) as error:
            problems.append(str(error))
            continue
        problems += [f"{source}: {problem}" for problem in _find_problems(columns, target)]
        if not row_features.has_features(columns.schema.names):
            conversions.setdefault(_conversion_text(columns.schema), []).append(source)
    if problems:
        omission = omission_text(len(problems), MAX_PLAN_PROBLEMS, "problems")
        raise ValueError("\n".join(filter(None, [*problems[:MAX_PLAN_PROBLEMS], omission])))
    partitions = [
        Partition(source, target, bookkeeping.compute_fingerprint(source, version))
        for source, target in files.targets.items()
    ]
    row_counts = {
        partition.target: bookkeeping.read_row_counts(partition.target, partition.fingerprint)
        for partition in partitions
    }
    pending = [partition for partition in partitions if row_counts[partition.target] is None]
    _check_overwriting([partition.target for partition in pending])
    return ScoringPlan(
        files.target,
        files.is_folder,
        pending,
        [counts for counts in row_counts.values() if counts],
        _find_orphans(files),
        conversions,
    )


def _find_orphans(files: ScoringFiles) -> list[Path]:
    if not files.is_folder:
        return []
    known_files = {file.resolve() for pair in files.targets.items() for file in pair}
    return [file for file in targets.list_tables(files.target) if file.resolve() not in known_files]


def _find_problems(columns: SourceColumns, target: Path) -> Iterator[str]:
    schema, table_format = columns.schema, formats.find_format(target.name)
    if row_features.has_features(schema.names):
        indices = [index for index, name in enumerate(schema.names) if name in FEATURES]
    else:
        from housing.batch_scoring import conversion

        yield from conversion.find_missing_columns(schema.names)
        indices = conversion.needed_columns(schema.names)
    name_counts = Counter(schema.names[index] for index in indices)
    yield from (f"column {name} is there twice" for name in name_counts if name_counts[name] > 1)
    for field in map(schema.field, indices):
        if not columns.is_text and not _is_numeric(field.type):
            yield f"column {field.name} has type {field.type}, expected a number"
    for name in PREDICTION_COLUMNS.names:
        if name in schema.names:
            yield f"it has a column {name} already, which the predictions get: rename or drop it"
    for field in writers.find_unwritable_columns(schema, table_format) if table_format else []:
        yield (
            f"column {field.name} has type {field.type}, which {target.name} cannot hold: choose "
            "Parquet for the predictions, or drop the column"
        )


def _is_numeric(data_type: pa.DataType) -> bool:
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(check(data_type) for check in checks)


def _conversion_text(schema: pa.Schema) -> str:
    from housing.batch_scoring import conversion

    return ", ".join(conversion.describe_conversion(schema.names))


def _check_overwriting(target_files: list[Path]) -> None:
    """Raise ValueError if a file would be lost that has block groups and no predictions."""
    for file in target_files:
        if file.exists() and _is_unscored_table(file):
            raise ValueError(
                f"{file} is there already, and has block groups without predictions: choose "
                "another name, or delete it first"
            )


def _is_unscored_table(file: Path) -> bool:
    try:
        columns = source_tables.read_columns(file)
    except (ValueError, LookupError):
        return False
    return not any(_find_problems(columns, file))
