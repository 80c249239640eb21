"""Which model predicted a file from which input: kept with the file, to know what is done.

Parquet holds it in its metadata. Beside a file of text it is a hidden JSON file, which also says
how large the file is and when it was written: after any change of the file it counts no more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from housing import paths
from housing.batch_scoring.formats import PREDICTION_COLUMNS, find_format
from housing.schema import FEATURES

if TYPE_CHECKING:
    from housing.registry.versions import ModelVersion

ROWS_KEY, REFUSED_KEY, OUTPUT_KEY = "housing.rows", "housing.refused", "housing.output"


class RowCounts(NamedTuple):
    """The rows of a partition."""

    rows: int
    refused_rows: int  # of them, those without a prediction


def compute_fingerprint(source: Path, version: ModelVersion) -> dict[str, str]:
    """Return the metadata of a scored file: equal fingerprints, equal predictions."""
    ranges = repr([(name, feature.low, feature.high) for name, feature in FEATURES.items()])
    return {
        "housing.model": version.name,
        "housing.model_version": version.version,
        "housing.run_id": version.run_id,
        "housing.data_source": version.tags["data_source"],
        "housing.input": f"{source.name}, {_describe_state(source)}",
        "housing.accepted_ranges": hashlib.sha256(ranges.encode()).hexdigest()[:16],
        "housing.columns": ", ".join(PREDICTION_COLUMNS.names),
    }


def count_metadata(counts: RowCounts) -> dict[str, str]:
    """Return the metadata that the counts of a file's rows are kept in."""
    return {ROWS_KEY: str(counts.rows), REFUSED_KEY: str(counts.refused_rows)}


def record_path(target: Path) -> Path:
    """Return the hidden file that holds the metadata of a file of text."""
    return target.with_name(f".{target.name}.score.json")


def write_record(target: Path, metadata: Mapping[str, str]) -> None:
    """Write the metadata of a complete file of text."""
    record = {**metadata, OUTPUT_KEY: _describe_state(target)}
    text = json.dumps(record, indent=2) + "\n"
    paths.atomic_write(record_path(target), text.encode())


def read_row_counts(target: Path, fingerprint: Mapping[str, str]) -> RowCounts | None:
    """Return the rows of a scored file, or None if it has not this fingerprint."""
    table_format = find_format(target.name)
    is_text = table_format is not None and table_format.is_text
    try:
        metadata = _read_record(target) if is_text else _read_metadata(target)
        if fingerprint.items() <= metadata.items():
            return RowCounts(int(metadata[ROWS_KEY]), int(metadata[REFUSED_KEY]))
    except (OSError, ValueError, KeyError, pa.ArrowException):
        pass
    return None


def _read_metadata(target: Path) -> dict[str, str]:
    metadata = pq.read_metadata(target).metadata or {}
    return {name.decode(): value.decode(errors="replace") for name, value in metadata.items()}


def _read_record(target: Path) -> dict[str, str]:
    record = json.loads(record_path(target).read_text(encoding="utf-8"))
    is_current = isinstance(record, dict) and record.get(OUTPUT_KEY) == _describe_state(target)
    return record if is_current else {}


def _describe_state(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_size} bytes, changed {stat.st_mtime_ns}"
