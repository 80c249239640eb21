"""The partitions of a data set: which can be scored, and which have been already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from housing.paths import UNFINISHED_SUFFIX
from housing.schema import FEATURE_NAMES, FEATURES
from housing.text import omission_text

if TYPE_CHECKING:
    from housing.registry.versions import ModelVersion

PREDICTION_COLUMNS = pa.schema(
    [("prediction", pa.float64()), ("prediction_usd", pa.float64()), ("problem", pa.string())]
)
MAX_PLAN_PROBLEMS = 20  # named in one error


class RowCounts(NamedTuple):
    """The rows of a partition."""

    rows: int
    refused_rows: int  # of them, those without a prediction


class Partition(NamedTuple):
    """A Parquet file, and the one that gets its rows and their predictions."""

    source: Path
    target: Path
    fingerprint: dict[str, str]  # the target's metadata: which model predicted which input


class ScoringPlan(NamedTuple):
    """What there is to do."""

    pending: list[Partition]
    completed: list[RowCounts]  # of the partitions that are in the target already
    orphans: list[Path]  # Parquet files in the target that belong to no partition


def plan_scoring(source: Path, target: Path, version: ModelVersion) -> ScoringPlan:
    """Find the partitions of a Parquet file or a folder of them, and which the target has already.

    A partition is completed if its file's metadata names this model version and run, and the
    input's size and modification time. Raises LookupError if there is no Parquet file, and
    ValueError that names each file that cannot be scored: it lacks a feature, has one that is no
    number, has a column that the predictions get, or cannot be read.
    """
    source, target = source.resolve(), target.resolve()
    if target == source or source in target.parents:
        raise ValueError(f"{target} is in what is to be scored, {source}: choose another folder")
    if target.exists() and not target.is_dir():
        raise ValueError(f"{target} is a file, expected a folder or nothing yet")
    targets = {file: target / file.relative_to(source) for file in parquet_files(source)}
    if source.is_file():
        targets = {source: target / source.name}
    if not targets:
        raise LookupError(f"there is no Parquet file (*.parquet) at {source}")
    problems = [f"{file}: {problem}" for file in targets for problem in _find_problems(file)]
    if problems:
        omission = omission_text(len(problems), MAX_PLAN_PROBLEMS, "problems")
        raise ValueError("\n".join(filter(None, [*problems[:MAX_PLAN_PROBLEMS], omission])))
    partitions = [
        Partition(file, target_file, compute_fingerprint(file, version))
        for file, target_file in targets.items()
    ]
    row_counts = {partition.target: _read_row_counts(partition) for partition in partitions}
    return ScoringPlan(
        [partition for partition in partitions if row_counts[partition.target] is None],
        [counts for counts in row_counts.values() if counts],
        [file for file in parquet_files(target) if file not in row_counts],
    )


def parquet_files(folder: Path) -> list[Path]:
    """Return the Parquet files in a folder and its subfolders, except hidden ones, by name."""
    return sorted(
        file
        for file in folder.rglob("*.parquet")
        if not any(name.startswith((".", "_")) for name in file.relative_to(folder).parts)
    )


def _find_problems(path: Path) -> Iterator[str]:
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        yield f"it cannot be read as Parquet: {error}"
        return
    for name in FEATURE_NAMES:
        indices = schema.get_all_field_indices(name)
        if len(indices) != 1:
            yield f"column {name} is {'there twice' if indices else 'missing'}"
        elif not _is_numeric(schema.field(name).type):
            yield f"column {name} has type {schema.field(name).type}, expected a number"
    for name in PREDICTION_COLUMNS.names:
        if name in schema.names:
            yield f"it has a column {name} already, which the predictions get: rename or drop it"


def _is_numeric(data_type: pa.DataType) -> bool:
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(check(data_type) for check in checks)


def compute_fingerprint(source: Path, version: ModelVersion) -> dict[str, str]:
    """Return the metadata of a scored file: equal fingerprints, equal predictions."""
    stat = source.stat()
    ranges = repr([(name, feature.low, feature.high) for name, feature in FEATURES.items()])
    return {
        "housing.model": version.name,
        "housing.model_version": version.version,
        "housing.run_id": version.run_id,
        "housing.data_source": version.tags["data_source"],
        "housing.input": f"{stat.st_size} bytes, changed {stat.st_mtime_ns}",
        "housing.accepted_ranges": hashlib.sha256(ranges.encode()).hexdigest()[:16],
    }


def _read_row_counts(partition: Partition) -> RowCounts | None:
    """Return the rows of a target file, or None if it is not the one of this partition."""
    try:
        raw_metadata = pq.read_metadata(partition.target).metadata or {}
    except (OSError, pa.ArrowException):
        return None
    metadata = {
        name.decode(): value.decode(errors="replace") for name, value in raw_metadata.items()
    }
    if not partition.fingerprint.items() <= metadata.items():
        return None
    return RowCounts(int(metadata["housing.rows"]), int(metadata["housing.refused"]))


@contextmanager
def target_lock(target: Path) -> Iterator[None]:
    """Keep other runs from scoring into the folder; remove what a killed one left half-written.

    Raises LookupError if another run is scoring into it.
    """
    target.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(target / ".lock", timeout=0):
            for unfinished_file in target.rglob(f".*{UNFINISHED_SUFFIX}"):
                unfinished_file.unlink(missing_ok=True)
            yield
    except Timeout:
        raise LookupError(f"another run is scoring into {target}: wait for its end") from None
