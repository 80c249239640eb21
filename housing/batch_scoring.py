"""Predictions for data of any size: Parquet partitions, each scored in small batches.

A partition's file appears in the target only once it is complete.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from housing.inference import served_model
from housing.schema import FEATURE_NAMES, FEATURES, USD_PER_UNIT

if TYPE_CHECKING:
    from housing.registry.versions import ModelVersion
    from housing.training.executors import TaskRunner

SCORING_BATCH_ROWS = 65_536  # in memory at once, and in a row group of the output: 20 MB
PREDICTION_COLUMNS = pa.schema(
    [("prediction", pa.float64()), ("prediction_usd", pa.float64()), ("problem", pa.string())]
)
MAX_PLAN_PROBLEMS = 20  # named in one error
LOWER_LIMITS = np.array([feature.low for feature in FEATURES.values()])
UPPER_LIMITS = np.array([feature.high for feature in FEATURES.values()])
IS_VALID, IS_MISSING, IS_OUT_OF_RANGE = 0, 1, 2  # what is wrong with a value


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
    _check_files(targets)
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


def _check_files(files: Iterable[Path]) -> None:
    problems = [f"{file}: {problem}" for file in files for problem in _find_problems(file)]
    if problems:
        unnamed_count = len(problems) - MAX_PLAN_PROBLEMS
        last_line = [f"and {unnamed_count:,} more problems"] if unnamed_count > 0 else []
        raise ValueError("\n".join([*problems[:MAX_PLAN_PROBLEMS], *last_line]))


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


def score(
    scoring_plan: ScoringPlan,
    model_file: Path,
    run: TaskRunner,
    on_result: Callable[[RowCounts], None] | None = None,
) -> list[RowCounts]:
    """Score the pending partitions by `run`, which distributes them to workers.

    model_file: the graph, which the workers can read. on_result: called after each partition.
    Raises RuntimeError that names a partition that could not be scored; those that are completed
    stay, and the next plan leaves them out.
    """
    return run(
        score_partition, [(*partition, model_file) for partition in scoring_plan.pending], on_result
    )


def score_partition(
    source: Path, target: Path, fingerprint: Mapping[str, str], model_file: Path
) -> RowCounts:
    """Score one partition in batches; its file is there complete or not at all.

    Raises RuntimeError if it cannot be read or written.
    """
    model, rows, refused_rows = _load_model(model_file), 0, 0
    try:
        # not pre-buffered: a row group may be larger than the memory
        with pq.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20) as file:
            schema = file.schema_arrow
            for field in PREDICTION_COLUMNS:
                schema = schema.append(field)
            with _atomic_path(target) as path, pq.ParquetWriter(path, schema) as writer:
                for batch in file.iter_batches(SCORING_BATCH_ROWS, use_threads=False):
                    predictions = predict_record_batch(model, batch)
                    rows, refused_rows = rows + len(batch), refused_rows + predictions[0].null_count
                    columns = [*batch.columns, *predictions]
                    writer.write_table(pa.Table.from_arrays(columns, schema=schema))
                counts = {"housing.rows": str(rows), "housing.refused": str(refused_rows)}
                writer.add_key_value_metadata({**fingerprint, **counts})
    except (OSError, pa.ArrowException) as error:
        raise RuntimeError(f"{source} could not be scored: {error}") from error
    pa.default_memory_pool().release_unused()
    return RowCounts(rows, refused_rows)


@lru_cache(maxsize=1)
def _load_model(model_file: Path) -> served_model.ServedModel:
    return served_model.load(model_file)


@contextmanager
def _atomic_path(path: Path) -> Iterator[Path]:
    """Yield a path to write to; the file is renamed once it is complete and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary_path = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield temporary_path
        with temporary_path.open("rb") as file:
            os.fsync(file.fileno())
        temporary_path.replace(path)
    finally:
        temporary_path.unlink(missing_ok=True)


def predict_record_batch(model: served_model.ServedModel, batch: pa.RecordBatch) -> list[pa.Array]:
    """Return the columns `PREDICTION_COLUMNS` for a batch that has the eight features.

    prediction in $100,000, prediction_usd in dollars to the cent. A row with a missing value or
    one outside the accepted ranges gets null for both, and a `problem` that names each.
    """
    columns = [pc.cast(batch.column(name), pa.float64(), safe=False) for name in FEATURE_NAMES]
    rows = np.column_stack([column.to_numpy(zero_copy_only=False) for column in columns])
    is_in_range = (rows >= LOWER_LIMITS) & (rows <= UPPER_LIMITS)  # false for NaN
    is_valid = np.logical_and.reduce(is_in_range, axis=1)
    values = np.zeros(len(rows))
    if is_valid.any():
        values[is_valid] = served_model.predict(model, np.ascontiguousarray(rows[is_valid]))
    values_usd = np.round(values * USD_PER_UNIT, 2)
    return [
        pa.array(values, mask=~is_valid),
        pa.array(values_usd, mask=~is_valid),
        _problem_column(rows, is_valid),
    ]


def _problem_column(rows: np.ndarray, is_valid: np.ndarray) -> pa.Array:
    """Return the text of each row's problems, null for a valid row."""
    if is_valid.all():
        return pa.nulls(len(rows), pa.string())
    out_of_range = (rows < LOWER_LIMITS) | (rows > UPPER_LIMITS)
    codes = np.where(np.isnan(rows), IS_MISSING, np.where(out_of_range, IS_OUT_OF_RANGE, IS_VALID))
    # few different rows of codes, however many rows there are
    unique_codes, indices = np.unique(codes, axis=0, return_inverse=True)
    texts = pa.array([_problem_text(row) for row in unique_codes], pa.string())
    return texts.take(pa.array(indices))


def _problem_text(problem_codes: np.ndarray) -> str | None:
    problems = []
    for code, (name, feature) in zip(problem_codes, FEATURES.items(), strict=True):
        if code == IS_MISSING:
            problems.append(f"{name} is missing")
        elif code == IS_OUT_OF_RANGE:
            accepted_range = f"{feature.low:,g} to {feature.high:,g}"
            problems.append(f"{name} is outside {accepted_range} ({feature.unit})")
    return "; ".join(problems) or None


@contextmanager
def target_lock(target: Path) -> Iterator[None]:
    """Keep other runs from scoring into the folder; remove what a killed one left half-written.

    Raises LookupError if another run is scoring into it.
    """
    target.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(target / ".lock", timeout=0):
            for unfinished_file in target.rglob(".*.part"):
                unfinished_file.unlink(missing_ok=True)
            yield
    except Timeout:
        raise LookupError(f"another run is scoring into {target}: wait for its end") from None
