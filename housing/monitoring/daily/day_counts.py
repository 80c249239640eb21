"""What is kept of a day: its rows for the tables of the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from housing.monitoring.daily.day_scan import LATENCY_ENDS_MS, OK_STATUS, DayScan
from housing.monitoring.daily.log_values import ModelKey
from housing.monitoring.daily.store_file import TableRows
from housing.monitoring.quantities import RowKind
from housing.monitoring.reference import row_counts
from housing.monitoring.reference.row_counts import RowScales
from housing.schema import COORDINATE_NAMES, FEATURE_NAMES

CELLS_PER_DEGREE = 4
SAMPLE_ROWS_PER_DAY = 200  # that are kept themselves, for what needs rows
SAMPLE_COLUMNS = [*FEATURE_NAMES, "prediction"]

NO_MODEL = ModelKey("", "")  # of a refused request

LoadScales = Callable[[str, str], RowScales]


class CountedBy(NamedTuple):
    """What the rows of a version are counted by."""

    scales: RowScales | None  # None: there are none
    digest: str | None


class ScalesCache:
    """Loads the scales of each version once.

    load: of a model name and a version. Raises LookupError for a version that has no reference: its
    rows are not counted by their values.
    """

    def __init__(self, load: LoadScales) -> None:
        self._load = load
        self._loaded: dict[ModelKey, CountedBy] = {}
        self.problems: dict[ModelKey, str] = {}  # why a version has none

    def get(self, model: ModelKey) -> CountedBy:
        """Return the scales of a version."""
        if model not in self._loaded:
            try:
                scales = self._load(*model)
                self._loaded[model] = CountedBy(scales, digest(scales))
            except LookupError as error:
                self._loaded[model] = CountedBy(None, None)
                self.problems[model] = str(error)
        return self._loaded[model]


def digest(scales: RowScales) -> str:
    """Return a hash of everything that decides how rows are counted."""
    content = sha256()
    for field in fields(RowScales):
        for part in _byte_parts(getattr(scales, field.name)):
            content.update(part)
    return content.hexdigest()[:16]


def _byte_parts(value: Any) -> Iterator[bytes]:
    """Yield the bytes of all numbers and names within dataclasses, mappings and sequences."""
    if is_dataclass(value):
        for field in fields(value):
            yield from _byte_parts(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for name, item in sorted(value.items()):
            yield name.encode()
            yield from _byte_parts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _byte_parts(item)
    else:
        yield np.asarray(value).tobytes()


def prediction_tables(
    day: date, scan: DayScan, samples: Mapping[ModelKey, pd.DataFrame], cache: ScalesCache
) -> TableRows:
    """Return the rows of the tables for the predictions of a day.

    samples: of the answered rows of each version, as `row_sample.parse_rows` returns them.
    """
    day_text = day.isoformat()
    counted = {
        model: frame for model, frame in samples.items() if cache.get(model).scales is not None
    }
    sampled_counts: dict[tuple[ModelKey | None, str], int] = {
        (model, str(caller)): int(row_count)
        for model, frame in counted.items()
        for caller, row_count in frame.caller.value_counts().items()
    }
    return {
        "request": [
            (
                day_text, *(model or NO_MODEL), caller, status, row_count,
                sampled_counts.get((model, caller), 0) if status == OK_STATUS else 0,
            )
            for (model, caller, status), row_count in scan.requests.items()
        ],
        "refusal": [
            (day_text, *refusal, row_count) for refusal, row_count in scan.refusals.items()
        ],
        "latency": [
            (day_text, *(model or NO_MODEL), upper_ms, row_count)
            for model, histogram in scan.latencies.items()
            for upper_ms, row_count in zip(
                LATENCY_ENDS_MS.tolist(), histogram.tolist(), strict=True
            )
            if row_count
        ],
        "cell": [
            (day_text, *model, *cell)
            for model, frame in samples.items()
            for cell in _count_cells(frame)
        ],
        "sample": [
            (day_text, *model, _to_blob(_draw_sample(day, frame)))
            for model, frame in samples.items()
        ],
        **_value_tables(day, RowKind.PREDICTIONS, samples, cache),
    }  # fmt: skip


def labelled_tables(
    day: date, rows: Mapping[ModelKey, pd.DataFrame], cache: ScalesCache
) -> TableRows:
    """Return the rows of the tables for the true values that arrived on a day, by version."""
    return _value_tables(day, RowKind.LABELLED, rows, cache)


def _value_tables(
    day: date, kind: RowKind, frames: Mapping[ModelKey, pd.DataFrame], cache: ScalesCache
) -> dict[str, list[tuple[Any, ...]]]:
    """Count the rows of each version by their values."""
    histograms: list[tuple[Any, ...]] = []
    for model, frame in frames.items():
        scales = cache.get(model).scales
        if scales is None or frame.empty:
            continue
        counts = row_counts.count_rows(frame, scales)
        for key, histogram in counts.histograms.items():
            moments = counts.moments.get(key)
            blobs = _to_blob(histogram), None if moments is None else _to_blob(moments)
            histograms.append((day.isoformat(), kind, *model, *key, *blobs))
    versions = [(day.isoformat(), kind, *model, cache.get(model).digest) for model in frames]
    return {"histogram": histograms, "counted_version": versions}


def _to_blob(numbers: np.ndarray) -> bytes:
    return np.asarray(numbers, np.float64).tobytes()


def _draw_sample(day: date, frame: pd.DataFrame) -> np.ndarray:
    """Return at most SAMPLE_ROWS_PER_DAY of the rows, in random order, and the same each time."""
    order = np.random.default_rng(day.toordinal()).permutation(len(frame))
    return frame[SAMPLE_COLUMNS].to_numpy()[order[:SAMPLE_ROWS_PER_DAY]]


def _count_cells(frame: pd.DataFrame) -> Iterator[tuple[float, float, int]]:
    """Yield the middle of each cell in degrees, and how many rows are in it."""
    corners = np.floor(frame[COORDINATE_NAMES].to_numpy() * CELLS_PER_DEGREE)
    cells, cell_counts = np.unique(corners, axis=0, return_counts=True)
    middles = (cells + 0.5) / CELLS_PER_DEGREE
    for (latitude, longitude), row_count in zip(
        middles.tolist(), cell_counts.tolist(), strict=True
    ):
        yield latitude, longitude, row_count
