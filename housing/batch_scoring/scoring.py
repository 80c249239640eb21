"""Score partitions: read a batch, predict its rows, write it with the predictions."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from housing import paths
from housing.accepted_ranges import LOWER_LIMITS, UPPER_LIMITS
from housing.batch_scoring import (
    bookkeeping,
    domain_warnings,
    formats,
    progress,
    source_tables,
    writers,
)
from housing.batch_scoring.bookkeeping import RowCounts
from housing.batch_scoring.formats import PREDICTION_COLUMNS
from housing.batch_scoring.row_features import NO_PROBLEMS, ReadingProblems
from housing.inference import served_model
from housing.inference.training_domain import TrainingDomain
from housing.schema import FEATURE_NAMES, FEATURES, USD_PER_UNIT

SCORING_BATCH_ROWS = 65_536  # in memory at once, and in a row group of the output: 20 MB
OTHER_DISK = "free some space, or choose a folder on another disk"
OTHER_FOLDER = "choose a folder that may be written to"
WRITE_ERRORS = {
    errno.ENOSPC: OTHER_DISK,
    errno.EDQUOT: OTHER_DISK,
    errno.EFBIG: OTHER_DISK,
    errno.EROFS: OTHER_FOLDER,
    errno.EACCES: OTHER_FOLDER,
    errno.EPERM: OTHER_FOLDER,
}


def score_partition(
    source: Path,
    target: Path,
    fingerprint: Mapping[str, str],
    model_file: Path,
    progress_file: Path | None = None,
) -> RowCounts:
    """Score one partition in batches; its file is there complete or not at all.

    source, target, fingerprint: of the `partitions.Partition`. model_file: the graph, which the
    workers can read. progress_file: gets how far it is, after each batch. Raises RuntimeError that
    names the partition if it cannot be read or written.
    """
    model, rows, refused_rows = _load_model(model_file), 0, 0
    domain = domain_warnings.load_domain(model_file)
    table_format = formats.find_format(target.name) or formats.FORMATS[formats.PARQUET_ENDING]
    try:
        with (
            source_tables.open_table(source, SCORING_BATCH_ROWS, table_format) as table,
            paths.atomic_path(target.resolve()) as path,
        ):
            schema = pa.schema([*table.schema, *PREDICTION_COLUMNS], table.schema.metadata)
            with writers.open_writer(path, table_format, schema) as writer:
                for batch in table.batches:
                    predictions = predict_record_batch(model, *batch.features, domain=domain)
                    rows += len(batch.columns)
                    refused_rows += predictions[0].null_count
                    columns = [*batch.columns.columns, *predictions]
                    writer.write_table(pa.Table.from_arrays(columns, schema=schema))
                    progress.write_progress(progress_file, rows, batch.share_read)
                counts = RowCounts(rows, refused_rows)
                metadata = {**fingerprint, **bookkeeping.count_metadata(counts)}
                if isinstance(writer, pq.ParquetWriter):
                    writer.add_key_value_metadata(metadata)
        progress.write_progress(progress_file, rows, 1.0)
        if table_format.is_text:
            bookkeeping.write_record(target.resolve(), metadata)
    except (OSError, LookupError, ValueError, pa.ArrowException) as error:
        raise RuntimeError(_failure_text(source, target, error)) from error
    pa.default_memory_pool().release_unused()
    return counts


@lru_cache(maxsize=1)
def _load_model(model_file: Path) -> served_model.ServedModel:
    return served_model.load(model_file)


def predict_record_batch(
    model: served_model.ServedModel,
    batch: pa.RecordBatch,
    reading_problems: ReadingProblems = NO_PROBLEMS,
    domain: TrainingDomain | None = None,
) -> list[pa.Array]:
    """Return the columns `PREDICTION_COLUMNS` for a batch that has the eight features.

    prediction in $100,000, prediction_usd in dollars to the cent. A row with a missing value or
    one outside the accepted ranges gets null for both, and a `problem` that names each.
    domain: of the model, for the `warnings` of the others.
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
        _problem_column(rows, is_valid, reading_problems),
        domain_warnings.warning_column(domain, rows, is_valid),
    ]


def _problem_column(
    rows: np.ndarray, is_valid: np.ndarray, reading_problems: ReadingProblems
) -> pa.Array:
    """Return the text of each row's problems, null for a valid row."""
    no_text, problems = pa.scalar(None, pa.string()), []
    is_refused = pa.array(~is_valid)
    for values, (name, feature) in zip(rows[~is_valid].T, FEATURES.items(), strict=True):
        label = reading_problems.labels.get(name, name)
        is_outside = pa.array((values < feature.low) | (values > feature.high))
        accepted_range = f"{feature.low:,g} to {feature.high:,g} ({feature.unit})"
        outside_texts = pc.if_else(is_outside, f"{label} is outside {accepted_range}", no_text)
        is_missing = pa.array(np.isnan(values))
        texts = pc.if_else(is_missing, f"{label} is missing", outside_texts)
        if name in reading_problems.values:
            texts = pc.coalesce(reading_problems.values[name].filter(is_refused), texts)
        problems.append(texts)
    texts = pc.binary_join_element_wise(*problems, "; ", null_handling="skip")
    if reading_problems.rows is not None:
        texts = pc.coalesce(reading_problems.rows.filter(is_refused), texts)
    return pc.replace_with_mask(pa.nulls(len(rows), pa.string()), is_refused, texts)


def _failure_text(source: Path, target: Path, error: Exception) -> str:
    """Return which file could not be used, and why."""
    number = error.errno if isinstance(error, OSError) else None
    if number in WRITE_ERRORS:  # the input was read when the run was planned
        return f"{target} could not be written: {os.strerror(number)}; {WRITE_ERRORS[number]}"
    reason = str(error)
    return reason if str(source) in reason else f"{source} could not be scored: {reason}"
