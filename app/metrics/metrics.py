"""The metrics that Prometheus scrapes: all workers count in one file, so any of them can report."""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from flask import current_app
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from app.metrics.shared_counters import CountersFullError, SharedCounters
from housing.schema import FEATURE_NAMES, USD_PER_UNIT

PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
DECILE_COUNT = 10
MAX_VALUES_WITHOUT_NUMPY = 12  # up to so many values are counted faster by a Python loop

LabelValues = tuple[str, ...]
LabelledSamples = list[tuple[LabelValues, np.ndarray]]  # labels, and one number per worker slot


class CounterDefinition(NamedTuple):
    """A counter's help text and label names."""

    description: str
    label_names: tuple[str, ...] = ()


class HistogramDefinition(NamedTuple):
    """A histogram's help text, label names and the upper bounds of its buckets."""

    description: str
    label_names: tuple[str, ...]
    bucket_bounds: tuple[float, ...]


class GaugeDefinition(NamedTuple):
    """A gauge's help text, label names, and how the values of the live workers are combined."""

    description: str
    label_names: tuple[str, ...]
    aggregate: Callable[[np.ndarray], float]


COUNTERS = {
    "housing_requests": CounterDefinition("requests answered", ("endpoint", "status")),
    "housing_model_swaps": CounterDefinition("champions loaded, summed over all workers"),
    "housing_log_failures": CounterDefinition("batches of requests that could not be logged"),
    "housing_unlogged_answers": CounterDefinition("responses sent unlogged, as LOG_POLICY allows"),
    "housing_unusual_rows": CounterDefinition("rows unlike those the model was trained on"),
    "housing_shed_requests": CounterDefinition(
        "requests refused because too many waited or an API key's limit was reached", ("why",)
    ),
    "housing_input_decile": CounterDefinition(
        "rows by the decile of the training values", ("feature", "decile")
    ),
}
HISTOGRAMS = {
    "housing_request_seconds": HistogramDefinition(
        "seconds to answer a request", ("endpoint",), LATENCY_BUCKETS_SECONDS
    ),
    "housing_prediction_usd": HistogramDefinition(
        "predicted house values in dollars",
        ("model", "version"),
        tuple(USD_PER_UNIT * half_units / 2 for half_units in range(1, 12)),
    ),
    "housing_log_commit_seconds": HistogramDefinition(
        "seconds to log a batch of responses", (), LATENCY_BUCKETS_SECONDS
    ),
    "housing_group_requests": HistogramDefinition(
        "requests answered and logged in one batch", (), (1, 2, 4, 8, 16, 32, 64, 128)
    ),
}
GAUGES = {
    "housing_queue_requests": GaugeDefinition("requests that wait to be answered", (), np.sum),
    "housing_model_info": GaugeDefinition(
        "the model that is served", ("model", "version", "source"), np.max
    ),
    "housing_model_refused": GaugeDefinition("1 while a new champion cannot be loaded", (), np.max),
    "housing_model_swap_timestamp_seconds": GaugeDefinition(
        "when a champion was last loaded", (), np.max
    ),
    "housing_model_load_seconds": GaugeDefinition(
        "seconds that loading it took, beside the requests", (), np.max
    ),
    "housing_registry_reached_timestamp_seconds": GaugeDefinition(
        "when the champion's alias was last read", (), np.max
    ),
}


class Metrics:
    """Count in one worker's slot of the shared file, and report the totals of all workers."""

    def __init__(self, path: Path) -> None:
        self.shared_counters = SharedCounters(path)
        self._lock = threading.Lock()
        # a memoryview: to add to one number takes a third of numpy's time
        self._own_values = self.shared_counters.own_values.data
        self._names_lock = threading.Lock()  # two threads reading new names would add them twice
        self._offsets: dict[tuple[str, ...], int] = {}
        self._decile_edges_cache: tuple[np.ndarray, list[list[float]]] | None = None
        self._collector_registry = CollectorRegistry()
        self._collector_registry.register(
            _SharedCountersCollector(self.shared_counters, self._names_lock)
        )
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
        return generate_latest(self._collector_registry)

    def _offset(self, name: str, labels: LabelValues) -> int:
        """Return where the metric's first number stands in a worker's slot."""
        key = (name, *labels)
        offset = self._offsets.get(key)
        if offset is None:
            with self._names_lock:
                offset = self._offsets[key] = self._allocate_offsets(name, labels)
        return offset

    def _allocate_offsets(self, name: str, labels: LabelValues) -> int:
        try:
            return self.shared_counters.first_offset(_cell_names(name, labels))
        except CountersFullError:  # after hundreds of versions, further ones are counted together
            if "other" in labels:
                raise
            return self._allocate_offsets(name, ("other",) * len(labels))


def _cell_names(name: str, labels: LabelValues) -> list[tuple[str, ...]]:
    """Return the names of a metric's adjacent cells in the shared file.

    A histogram has a cell for each bucket and one for the sum of its values; the input deciles have
    a cell for each feature and decile.
    """
    if name in HISTOGRAMS:
        bounds = [f"{bound:g}" for bound in HISTOGRAMS[name].bucket_bounds]
        return [(name, *labels, suffix) for suffix in (*bounds, "+Inf", "sum")]
    if name == "housing_input_decile":
        deciles = [str(decile) for decile in range(1, DECILE_COUNT + 1)]
        return [(name, feature, decile) for feature in FEATURE_NAMES for decile in deciles]
    return [(name, *labels)]


class _SharedCountersCollector(Collector):
    """Read the shared file and yield its numbers as prometheus_client's metric families."""

    def __init__(self, shared_counters: SharedCounters, names_lock: threading.Lock) -> None:
        self._shared_counters, self._names_lock = shared_counters, names_lock

    def collect(self) -> Iterator[Metric]:
        live_pids = self._shared_counters.live_pids()
        samples = self._samples_by_metric()
        for name, counter in COUNTERS.items():
            yield _counter_family(name, counter, samples.get(name, []))
        for name, histogram in HISTOGRAMS.items():
            yield _histogram_family(name, histogram, samples.get(name, []))
        for name, gauge in GAUGES.items():
            yield _gauge_family(name, gauge, samples.get(name, []), sorted(live_pids))
        yield from _process_metrics(live_pids)

    def _samples_by_metric(self) -> dict[str, LabelledSamples]:
        samples: dict[str, LabelledSamples] = {}
        with self._names_lock:
            values_by_name = self._shared_counters.values_by_name()
        for (name, *labels), numbers in values_by_name:
            samples.setdefault(name, []).append((tuple(labels), numbers))
        return samples


def _counter_family(
    name: str, definition: CounterDefinition, samples: LabelledSamples
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, definition.description, labels=definition.label_names)
    if not samples and not definition.label_names:
        family.add_metric((), 0)
    for labels, numbers in samples:
        family.add_metric(labels, numbers.sum())
    return family


def _histogram_family(
    name: str, definition: HistogramDefinition, samples: LabelledSamples
) -> HistogramMetricFamily:
    """Return the histogram. samples: those of each label set in the order of `_cell_names`."""
    family = HistogramMetricFamily(name, definition.description, labels=definition.label_names)
    cell_count = len(definition.bucket_bounds) + 2
    for start in range(0, len(samples), cell_count):
        cells = samples[start : start + cell_count]
        labels = cells[0][0][:-1]
        *bucket_counts, value_sum = (numbers.sum() for _, numbers in cells)
        bounds = [cell_labels[-1] for cell_labels, _ in cells[:-1]]
        cumulative_counts = np.cumsum(bucket_counts)
        family.add_metric(labels, list(zip(bounds, cumulative_counts, strict=True)), value_sum)
    return family


def _gauge_family(
    name: str, definition: GaugeDefinition, samples: LabelledSamples, live_slots: list[int]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, definition.description, labels=definition.label_names)
    has_labels = bool(definition.label_names)
    if not samples and not has_labels and not name.endswith("_timestamp_seconds"):
        family.add_metric((), 0)  # but no timestamp, as 0 would mean 1970
    for labels, numbers in samples:
        value = definition.aggregate(numbers[live_slots])
        if value or not has_labels:
            family.add_metric(labels, value)
    return family


def _process_metrics(live_pids: dict[int, int]) -> Iterator[Metric]:
    """Yield the resources of each worker, named as client libraries do; nothing without /proc."""
    memory = GaugeMetricFamily("process_resident_memory_bytes", "memory", labels=["worker"])
    cpu = CounterMetricFamily("process_cpu_seconds", "processor time", labels=["worker"])
    open_fds = GaugeMetricFamily(
        "process_open_fds", "open files and connections", labels=["worker"]
    )
    max_fds = GaugeMetricFamily("process_max_fds", "limit of open files", labels=["worker"])
    start = GaugeMetricFamily("process_start_time_seconds", "when it started", labels=["worker"])
    threads = GaugeMetricFamily("process_threads", "threads", labels=["worker"])
    for slot, pid in live_pids.items():
        stats = _read_process_stats(pid)
        if stats:
            labels = [str(slot)]
            memory.add_metric(labels, stats.memory_bytes)
            cpu.add_metric(labels, stats.cpu_seconds)
            open_fds.add_metric(labels, stats.open_fds)
            max_fds.add_metric(labels, stats.max_fds)
            start.add_metric(labels, stats.start_time_seconds)
            threads.add_metric(labels, stats.threads)
    yield from (memory, cpu, open_fds, max_fds, start, threads)


class _ProcessStats(NamedTuple):
    memory_bytes: int
    cpu_seconds: float
    open_fds: int
    max_fds: float
    start_time_seconds: float  # since 1970
    threads: int


def _read_process_stats(pid: int) -> _ProcessStats | None:
    """Return a process's resources from /proc; None if it has ended, or there is no /proc."""
    folder, ticks_per_second = Path(f"/proc/{pid}"), os.sysconf("SC_CLK_TCK")
    try:
        # proc(5) numbers the fields of `stat` from 1; these begin with the third
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        limits = (folder / "limits").read_text().partition("Max open files")[2].split()
        open_fds = len(os.listdir(folder / "fd"))  # noqa: PTH208, a third of the time of Path's
    except OSError:
        return None
    user_ticks, system_ticks, thread_count, start_ticks, page_count = (
        int(fields[number - 3]) for number in (14, 15, 20, 22, 24)
    )
    return _ProcessStats(
        memory_bytes=page_count * os.sysconf("SC_PAGE_SIZE"),
        cpu_seconds=(user_ticks + system_ticks) / ticks_per_second,
        open_fds=open_fds,
        max_fds=float("inf") if limits[0] == "unlimited" else int(limits[0]),
        start_time_seconds=_boot_time() + start_ticks / ticks_per_second,
        threads=thread_count,
    )


def _boot_time() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def get_metrics() -> Metrics:
    """Return the metrics of the current Flask app."""
    return current_app.extensions["metrics"]
