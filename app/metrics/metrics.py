"""Record the service's metrics: all workers count in one file, so any of them can report all."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from flask import current_app
from prometheus_client import Metric, generate_latest
from prometheus_client.registry import Collector

from app.metrics import families
from app.metrics.definitions import DECILE_COUNT, GAUGES, HISTOGRAMS, LabelValues, cell_names
from app.metrics.shared_counters import CountersFullError, SharedCounters
from app.verdict_file import VerdictFile
from housing.schema import FEATURE_NAMES

MAX_VALUES_WITHOUT_NUMPY = 12  # up to so many values are counted faster by a Python loop


class Metrics(Collector):
    """Count in one worker's slot of the shared file, and report the totals of all workers."""

    def __init__(self, path: Path, verdict_file: VerdictFile | None = None) -> None:
        """verdict_file: of the monitoring, which a scrape reports too."""
        self.shared_counters, self.verdict_file = SharedCounters(path), verdict_file
        self._lock = threading.Lock()
        # a memoryview: to add to one number takes a third of numpy's time
        self._own_values = self.shared_counters.own_values.data
        self._offsets: dict[tuple[str, ...], int] = {}
        self._decile_edges_cache: tuple[np.ndarray, list[list[float]]] | None = None
        for offset, ((name, *_), _) in enumerate(self.shared_counters.values_by_name()):
            if name in GAUGES:  # the value of a former worker in this slot
                self.shared_counters.own_values[offset] = 0

    def count(self, name: str, *labels: str, amount: float = 1) -> None:
        """Add to a counter."""
        offset = self._offset(name, labels)
        with self._lock:
            self._own_values[offset] += amount

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Add a value to a histogram."""
        self.observe_all(name, [value], *labels)

    def observe_all(self, name: str, values: Sequence[float], *labels: str) -> None:
        """Add values to a histogram."""
        offset, bounds = self._offset(name, labels), HISTOGRAMS[name].bucket_bounds
        sum_offset = offset + len(bounds) + 1
        if len(values) <= MAX_VALUES_WITHOUT_NUMPY:
            buckets = [bisect_left(bounds, value) for value in values]
            with self._lock:
                for bucket, value in zip(buckets, values, strict=True):
                    self._own_values[offset + bucket] += 1
                    self._own_values[sum_offset] += value
            return
        counts = np.bincount(np.searchsorted(bounds, values), minlength=len(bounds) + 1)
        with self._lock:
            self.shared_counters.own_values[offset:sum_offset] += counts
            self._own_values[sum_offset] += float(np.sum(values))

    def count_input_deciles(self, row_batches: list[np.ndarray], decile_edges: np.ndarray) -> None:
        """Count the feature values of rows by decile of the training values.

        row_batches: each (n, 8). decile_edges: (9, 8), the bounds between the deciles.
        """
        offset = self._offset("housing_input_decile", (FEATURE_NAMES[0], "1"))
        if sum(map(len, row_batches)) <= MAX_VALUES_WITHOUT_NUMPY:
            rows = [row for batch in row_batches for row in batch.tolist()]
            self._count_deciles_in_python(rows, decile_edges, offset)
            return
        cells = (np.concatenate(row_batches)[:, None] > decile_edges).sum(1)
        cells += DECILE_COUNT * np.arange(len(FEATURE_NAMES))
        cell_count = DECILE_COUNT * len(FEATURE_NAMES)
        with self._lock:
            self.shared_counters.own_values[offset : offset + cell_count] += np.bincount(
                cells.ravel(), minlength=cell_count
            )

    def _count_deciles_in_python(
        self, rows: list[list[float]], decile_edges: np.ndarray, first_offset: int
    ) -> None:
        if self._decile_edges_cache is None or self._decile_edges_cache[0] is not decile_edges:
            self._decile_edges_cache = decile_edges, decile_edges.T.tolist()
        edges_by_feature = self._decile_edges_cache[1]
        with self._lock:
            for row in rows:
                for feature, (value, edges) in enumerate(zip(row, edges_by_feature, strict=True)):
                    cell = DECILE_COUNT * feature + bisect_left(edges, value)
                    self._own_values[first_offset + cell] += 1

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set this worker's value of a gauge."""
        self._own_values[self._offset(name, labels)] = value

    def clear(self, name: str) -> None:
        """Set this worker's values of a gauge to 0, for all labels."""
        for (metric_name, *_), offset in list(self._offsets.items()):
            if metric_name == name:
                self.shared_counters.own_values[offset] = 0

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        live_pids = self.shared_counters.live_pids()
        named_values = self.shared_counters.values_by_name()
        yield from families.shared_families(named_values, sorted(live_pids))
        yield from families.process_families(live_pids)
        if self.verdict_file:
            yield from families.verdict_families(self.verdict_file.read())

    def _offset(self, name: str, labels: LabelValues) -> int:
        """Return where the metric's first number stands in a worker's slot."""
        key = (name, *labels)
        offset = self._offsets.get(key)
        if offset is None:
            try:
                offset = self.shared_counters.first_offset(cell_names(name, labels))
            except CountersFullError:  # after hundreds of versions, others are counted together
                if "other" in labels:
                    raise
                offset = self._offset(name, ("other",) * len(labels))
            self._offsets[key] = offset
        return offset


def get_metrics() -> Metrics:
    """Return the metrics of the current Flask app."""
    return current_app.extensions["metrics"]
