"""Answers for data of any size: Parquet partitions, each scored in small batches, written whole."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
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

SCORING_BATCH_ROWS = 65_536  # rows at once, and in a row group of what is written: 20 MB
PREDICTION_COLUMNS = pa.schema(
    [("prediction", pa.float64()), ("prediction_usd", pa.float64()), ("problem", pa.string())]
)
MAX_PLAN_PROBLEMS = 20  # named at once
LOWER_LIMITS, UPPER_LIMITS = (
    np.array([getattr(one, end) for one in FEATURES.values()]) for end in ("low", "high")
)


class RowCounts(NamedTuple):
    """The rows of a partition."""

    rows: int
    refused_rows: int  # of them: have no prediction


class Partition(NamedTuple):
    """A Parquet file, and the one that is to have its rows and their answers."""

    source: Path
    target: Path
    fingerprint: dict[str, str]  # which answers of which model for which input: the file's metadata


class ScoringPlan(NamedTuple):
    """What there is to do."""

    pending: list[Partition]
    completed: list[RowCounts]  # partitions that are there already
    orphans: list[Path]  # Parquet files among the targets that no partition accounts for


def plan_scoring(source: Path, target: Path, version: ModelVersion) -> ScoringPlan:
    """The partitions of a Parquet file or a folder of them, and which the target has already.

    A partition is there if its file's metadata names this model version and run, and the input's
    size and time of change. Raises LookupError if there is no Parquet file, and ValueError that
    names each that cannot be scored: it lacks a feature, or has one that is no number, or it has
    a column that an answer is to have, or cannot be read.
    """
    source, target = source.resolve(), target.resolve()
    if target == source or source in target.parents:
        raise ValueError(f"{target} is in what is to be scored, {source}: choose another folder")
    if target.exists() and not target.is_dir():
        raise ValueError(f"{target} is a file, expected a folder or nothing yet")
    files = {one: target / one.relative_to(source) for one in parquet_files(source)}
    if source.is_file():
        files = {source: target / source.name}
    if not files:
        raise LookupError(f"there is no Parquet file (*.parquet) at {source}")
    problems = [f"{one}: {problem}" for one in files for problem in _find_problems(one)]
    if problems:
        more = len(problems) - MAX_PLAN_PROBLEMS
        last = [f"and {more:,} more problems"] if more > 0 else []
        raise ValueError("\n".join([*problems[:MAX_PLAN_PROBLEMS], *last]))
    all_of_them = [
        Partition(one, to, compute_fingerprint(one, version)) for one, to in files.items()
    ]
    there = {one.target: _read_row_counts(one) for one in all_of_them}
    return ScoringPlan(
        [one for one in all_of_them if there[one.target] is None],
        [one for one in there.values() if one],
        [one for one in parquet_files(target) if one not in there],
    )


def parquet_files(folder: Path) -> list[Path]:
    """Those in a folder and the folders in it, but for hidden ones, in the order of their names."""
    return sorted(
        one
        for one in folder.rglob("*.parquet")
        if not any(part.startswith((".", "_")) for part in one.relative_to(folder).parts)
    )


def _find_problems(path: Path) -> Iterator[str]:
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException) as bad:
        yield f"it cannot be read as Parquet: {bad}"
        return
    for name in FEATURE_NAMES:
        found = schema.get_all_field_indices(name)
        if len(found) != 1:
            yield f"column {name} is {'there twice' if found else 'missing'}"
        elif not _is_numeric(schema.field(name).type):
            yield f"column {name} has type {schema.field(name).type}, expected a number"
    for name in PREDICTION_COLUMNS.names:
        if name in schema.names:
            yield f"it has a column {name} already; an answer is to have it: rename it or drop it"


def _is_numeric(data_type: pa.DataType) -> bool:
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(one(data_type) for one in checks)


def compute_fingerprint(source: Path, version: ModelVersion) -> dict[str, str]:
    """What the metadata of a scored file says: equal stamps, equal answers."""
    stat = source.stat()
    accepted = repr([(name, one.low, one.high) for name, one in FEATURES.items()])
    return {
        "housing.model": version.name,
        "housing.model_version": version.version,
        "housing.run_id": version.run_id,
        "housing.data_source": version.tags["data_source"],
        "housing.input": f"{stat.st_size} bytes, changed {stat.st_mtime_ns}",
        "housing.accepted_ranges": hashlib.sha256(accepted.encode()).hexdigest()[:16],
    }


def _read_row_counts(partition: Partition) -> RowCounts | None:
    try:
        found = pq.read_metadata(partition.target).metadata or {}
    except (OSError, pa.ArrowException):
        return None
    known = {name.decode(): value.decode(errors="replace") for name, value in found.items()}
    if not partition.fingerprint.items() <= known.items():
        return None
    return RowCounts(int(known["housing.rows"]), int(known["housing.refused"]))


def score(
    scoring_plan: ScoringPlan,
    model_file: Path,
    run: TaskRunner,
    on_result: Callable[[RowCounts], None] | None = None,
) -> list[RowCounts]:
    """Scores what is to be scored, by the workers' `run`; `tell` hears of each partition.

    model: the graph's file, which the workers can read. Raises RuntimeError that names a partition
    that could not be scored; those that are done stay, and the next plan leaves them out.
    """
    return run(score_partition, [(*one, model_file) for one in scoring_plan.pending], on_result)


def score_partition(
    source: Path, target: Path, fingerprint: Mapping[str, str], model_file: Path
) -> RowCounts:
    """One partition, a batch at a time; its file is there whole or not at all."""
    served, rows, refused = _load_model(model_file), 0, 0
    try:
        # not pre-buffered: a row group may be larger than the memory
        with pq.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20) as file:
            schema = file.schema_arrow
            for field in PREDICTION_COLUMNS:
                schema = schema.append(field)
            with _atomic_path(target) as aside, pq.ParquetWriter(aside, schema) as writer:
                for batch in file.iter_batches(SCORING_BATCH_ROWS, use_threads=False):
                    answers = predict_record_batch(served, batch)
                    rows, refused = rows + len(batch), refused + answers[0].null_count
                    columns = [*batch.columns, *answers]
                    writer.write_table(pa.Table.from_arrays(columns, schema=schema))
                counted = {"housing.rows": str(rows), "housing.refused": str(refused)}
                writer.add_key_value_metadata({**fingerprint, **counted})
    except (OSError, pa.ArrowException) as failed:
        raise RuntimeError(f"{source} could not be scored: {failed}") from failed
    pa.default_memory_pool().release_unused()
    return RowCounts(rows, refused)


@lru_cache(maxsize=1)
def _load_model(model_file: Path) -> served_model.ServedModel:
    return served_model.load(model_file)


@contextmanager
def _atomic_path(path: Path) -> Iterator[Path]:
    """A name to write to; the file gets its own once it is complete, and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def predict_record_batch(model: served_model.ServedModel, batch: pa.RecordBatch) -> list[pa.Array]:
    """The columns `COLUMNS` for a batch that has the eight features, and others or not.

    prediction in $100,000, prediction_usd in dollars to the cent. A row with a missing value or
    one outside the accepted ranges gets null for both, and a `problem` that names each.
    """
    columns = [pc.cast(batch.column(name), pa.float64(), safe=False) for name in FEATURE_NAMES]
    rows = np.column_stack([one.to_numpy(zero_copy_only=False) for one in columns])
    good = ((rows >= LOWER_LIMITS) & (rows <= UPPER_LIMITS)).all(axis=1)  # false for NaN
    values = np.zeros(len(rows))
    if good.any():
        values[good] = served_model.predict(model, np.ascontiguousarray(rows[good]))
    usd = np.round(values * USD_PER_UNIT, 2)
    answers = [pa.array(values, mask=~good), pa.array(usd, mask=~good)]
    return [*answers, _problem_column(rows, good)]


def _problem_column(rows: np.ndarray, is_valid: np.ndarray) -> pa.Array:
    if is_valid.all():
        return pa.nulls(len(rows), pa.string())
    found = np.where(
        np.isnan(rows), 1, np.where((rows < LOWER_LIMITS) | (rows > UPPER_LIMITS), 2, 0)
    )
    kinds, which = np.unique(found, axis=0, return_inverse=True)  # few, however many rows
    return pa.array([_problem_text(one) for one in kinds], pa.string()).take(pa.array(which))


def _problem_text(problem_codes: np.ndarray) -> str | None:
    said = []
    for kind, (name, one) in zip(problem_codes, FEATURES.items(), strict=True):
        outside = f"{name} is outside {one.low:,g} to {one.high:,g} ({one.unit})"
        said += [f"{name} is missing"] if kind == 1 else [outside] if kind == 2 else []
    return "; ".join(said) or None


@contextmanager
def target_lock(target: Path) -> Iterator[None]:
    """Nobody else scores into the folder meanwhile; what a killed one left half-written goes.

    Raises LookupError if somebody does.
    """
    target.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(target / ".lock", timeout=0):
            for one in target.rglob(".*.part"):
                one.unlink(missing_ok=True)
            yield
    except Timeout:
        raise LookupError(f"another run is scoring into {target}: wait for its end") from None
