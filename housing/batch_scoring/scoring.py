"""Score partitions: read a batch, predict its rows, write it with the predictions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from housing import paths
from housing.accepted_ranges import LOWER_LIMITS, UPPER_LIMITS
from housing.batch_scoring.partitions import PREDICTION_COLUMNS, RowCounts
from housing.inference import served_model
from housing.schema import FEATURE_NAMES, FEATURES, USD_PER_UNIT

SCORING_BATCH_ROWS = 65_536  # in memory at once, and in a row group of the output: 20 MB


def score_partition(
    source: Path, target: Path, fingerprint: Mapping[str, str], model_file: Path
) -> RowCounts:
    """Score one partition in batches; its file is there complete or not at all.

    source, target, fingerprint: of the `partitions.Partition`. model_file: the graph, which the
    workers can read. Raises RuntimeError that names the partition if it cannot be read or written.
    """
    model, rows, refused_rows = _load_model(model_file), 0, 0
    try:
        # not pre-buffered: a row group may be larger than the memory
        with pq.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20) as file:
            metadata = file.schema_arrow.metadata
            schema = pa.schema([*file.schema_arrow, *PREDICTION_COLUMNS], metadata)
            with paths.atomic_path(target) as path, pq.ParquetWriter(path, schema) as writer:
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
    no_text, problems = pa.scalar(None, pa.string()), []
    for values, (name, feature) in zip(rows[~is_valid].T, FEATURES.items(), strict=True):
        is_outside = pa.array((values < feature.low) | (values > feature.high))
        accepted_range = f"{feature.low:,g} to {feature.high:,g} ({feature.unit})"
        outside_texts = pc.if_else(is_outside, f"{name} is outside {accepted_range}", no_text)
        is_missing = pa.array(np.isnan(values))
        problems.append(pc.if_else(is_missing, f"{name} is missing", outside_texts))
    texts = pc.binary_join_element_wise(*problems, "; ", null_handling="skip")
    return pc.replace_with_mask(pa.nulls(len(rows), pa.string()), pa.array(~is_valid), texts)
