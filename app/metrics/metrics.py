"""What Prometheus reads. Every worker counts in cells that all share, so any of them can answer."""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

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
MAX_VALUES_WITHOUT_NUMPY = 12  # values that are faster counted one by one

# kind, help, labels, and of a histogram the upper ends of its buckets
COUNTERS = {
    "housing_requests": ("requests answered", ("endpoint", "status")),
    "housing_model_swaps": ("champions taken over, by all workers together", ()),
    "housing_log_failures": ("groups of requests that could not be logged", ()),
    "housing_unlogged_answers": ("answers that left unlogged, as LOG_POLICY allows", ()),
    "housing_unusual_rows": ("rows unlike those the model learnt from", ()),
    "housing_shed_requests": ("requests refused as too many waited or a key's limit was reached",
                              ("why",)),
    "housing_input_decile": ("rows, by the decile of the training values", ("feature", "decile")),
}  # fmt: skip
HISTOGRAMS = {
    "housing_request_seconds": ("time to answer", ("endpoint",), LATENCY_BUCKETS_SECONDS),
    "housing_prediction_usd": ("predicted house values in dollars", ("model", "version"),
                               tuple(USD_PER_UNIT * half / 2 for half in range(1, 12))),
    "housing_log_commit_seconds": ("time to log a group of answers", (), LATENCY_BUCKETS_SECONDS),
    "housing_group_requests": ("requests answered and logged together", (),
                               (1, 2, 4, 8, 16, 32, 64, 128)),
}  # fmt: skip
GAUGES = {  # of the workers that live: the sum, or the largest
    "housing_queue_requests": ("requests that wait to be answered", (), np.sum),
    "housing_model_info": ("the model that serves", ("model", "version", "source"), np.max),
    "housing_model_refused": ("1 while a new champion cannot be taken over", (), np.max),
    "housing_model_swap_timestamp_seconds": ("when a champion was last taken over", (), np.max),
    "housing_model_load_seconds": ("how long that took, beside the requests", (), np.max),
    "housing_registry_reached_timestamp_seconds": ("when the alias was last read", (), np.max),
}


class Metrics:
    """One worker's view of what all count."""

    def __init__(self, path: Path) -> None:
        self.shared_counters = SharedCounters(path)
        self._lock = threading.Lock()
        self._own_values = (
            self.shared_counters.own_values.data
        )  # one number at a time: a third of numpy's time
        self._names_lock = (
            threading.Lock()
        )  # two threads that read new names would enter them twice
        self._offsets: dict[tuple[str, ...], int] = {}
        self._decile_edges_cache: tuple[np.ndarray, list[list[float]]] | None = None
        self._collector_registry = CollectorRegistry()
        self._collector_registry.register(
            _SharedCountersCollector(self.shared_counters, self._names_lock)
        )
        for place, ((name, *_), _) in enumerate(self.shared_counters.values_by_name()):
            if name in GAUGES:  # what the worker before it in this slot held
                self.shared_counters.own_values[place] = 0

    def count(self, name: str, *labels: str, amount: float = 1) -> None:
        """Adds to a counter."""
        place = self._offset(name, labels)
        with self._lock:
            self._own_values[place] += amount

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Adds a value to a histogram."""
        self.observe_all(name, [value], *labels)

    def observe_all(self, name: str, values: Sequence[float], *labels: str) -> None:
        """Adds values to a histogram."""
        place, tops = self._offset(name, labels), HISTOGRAMS[name][2]
        if len(values) <= MAX_VALUES_WITHOUT_NUMPY:
            found = [bisect_left(tops, value) for value in values]
            with self._lock:
                for bucket, value in zip(found, values, strict=True):
                    self._own_values[place + bucket] += 1
                    self._own_values[place + len(tops) + 1] += value
            return
        found = np.bincount(np.searchsorted(tops, values), minlength=len(tops) + 1)
        with self._lock:
            self.shared_counters.own_values[place : place + len(found)] += found
            self._own_values[place + len(found)] += float(np.sum(values))

    def count_input_deciles(self, row_batches: list[np.ndarray], decile_edges: np.ndarray) -> None:
        """Counts rows, each (n, 8), by decile; borders: (9, 8), between the training values'."""
        place = self._offset("housing_input_decile", (FEATURE_NAMES[0], "1"))
        if sum(map(len, row_batches)) <= MAX_VALUES_WITHOUT_NUMPY:
            self._count_deciles_in_python(
                [row for rows in row_batches for row in rows.tolist()], decile_edges, place
            )
            return
        found = (np.concatenate(row_batches)[:, None] > decile_edges).sum(1)
        found += DECILE_COUNT * np.arange(len(FEATURE_NAMES))
        with self._lock:
            mine = self.shared_counters.own_values[
                place : place + DECILE_COUNT * len(FEATURE_NAMES)
            ]
            mine += np.bincount(found.ravel(), minlength=len(mine))

    def _count_deciles_in_python(
        self, rows: list[list[float]], decile_edges: np.ndarray, first_offset: int
    ) -> None:
        if self._decile_edges_cache is None or self._decile_edges_cache[0] is not decile_edges:
            self._decile_edges_cache = decile_edges, decile_edges.T.tolist()
        with self._lock:
            for row in rows:
                for at, (value, mine) in enumerate(
                    zip(row, self._decile_edges_cache[1], strict=True)
                ):
                    self._own_values[
                        first_offset + DECILE_COUNT * at + bisect_left(mine, value)
                    ] += 1

    def set(self, name: str, value: float, *labels: str) -> None:
        """Sets this worker's value of a gauge."""
        self._own_values[self._offset(name, labels)] = value

    def clear(self, name: str) -> None:
        """Sets this worker's values of a gauge to 0, whatever their labels."""
        for (one, *_), place in list(self._offsets.items()):
            if one == name:
                self.shared_counters.own_values[place] = 0

    def exposition(self) -> bytes:
        """The text that a scrape gets."""
        return generate_latest(self._collector_registry)

    def _offset(self, name: str, labels: tuple[str, ...]) -> int:
        key = (name, *labels)
        place = self._offsets.get(key)
        if place is None:
            with self._names_lock:
                place = self._offsets[key] = self._allocate_offsets(name, labels)
        return place

    def _allocate_offsets(self, name: str, labels: tuple[str, ...]) -> int:
        try:
            if name in HISTOGRAMS:
                parts = [f"{top:g}" for top in HISTOGRAMS[name][2]] + ["+Inf", "sum"]
                return self.shared_counters.first_offset([(name, *labels, part) for part in parts])
            if name == "housing_input_decile":
                parts = [str(one + 1) for one in range(DECILE_COUNT)]
                return self.shared_counters.first_offset(
                    [(name, one, part) for one in FEATURE_NAMES for part in parts]
                )
            return self.shared_counters.first_offset([(name, *labels)])
        except CountersFullError:  # after hundreds of versions: counted still, but no longer apart
            if "other" in labels:
                raise
            return self._allocate_offsets(name, ("other",) * len(labels))


class _SharedCountersCollector(Collector):
    """What the cells hold, as prometheus_client writes it."""

    def __init__(self, shared_counters: SharedCounters, names_lock: threading.Lock) -> None:
        self._shared_counters, self._names_lock = shared_counters, names_lock

    def collect(self) -> Iterator[Metric]:
        living = self._shared_counters.live_pids()
        found: dict[str, list[tuple[tuple[str, ...], np.ndarray]]] = {}
        with self._names_lock:
            totals = self._shared_counters.values_by_name()
        for (name, *labels), numbers in totals:
            found.setdefault(name, []).append((tuple(labels), numbers))
        for name, (about, labels) in COUNTERS.items():
            counter = CounterMetricFamily(name, about, labels=labels)
            for given, numbers in found.get(name, [((), np.zeros(1))] if not labels else []):
                counter.add_metric(given, numbers.sum())
            yield counter
        for name, (about, labels, tops) in HISTOGRAMS.items():
            yield _fill_histogram(HistogramMetricFamily(name, about, labels=labels),
                             found.get(name, []), len(tops) + 2)  # fmt: skip
        alive = sorted(living)
        for name, (about, labels, together) in GAUGES.items():
            gauge = GaugeMetricFamily(name, about, labels=labels)
            is_zero = not labels and not name.endswith("_timestamp_seconds")  # no time is 1970
            for given, numbers in found.get(name, [((), np.zeros(1))] if is_zero else []):
                value = together(numbers[alive] if len(numbers) > 1 else numbers)
                if value or not labels:
                    gauge.add_metric(given, value)
            yield gauge
        yield from _process_metrics(living)


def _fill_histogram(
    family: HistogramMetricFamily,
    samples: list[tuple[tuple[str, ...], np.ndarray]],
    samples_per_histogram: int,
) -> HistogramMetricFamily:
    for at in range(0, len(samples), samples_per_histogram):
        labels = samples[at][0][:-1]
        numbers = [one.sum() for _, one in samples[at : at + samples_per_histogram]]
        counts = np.cumsum(numbers[:-1])
        tops = [given[-1] for given, _ in samples[at : at + samples_per_histogram - 1]]
        family.add_metric(labels, list(zip(tops, counts, strict=True)), numbers[-1])
    return family


def _process_metrics(live_pids: dict[int, int]) -> Iterator[Metric]:
    """What each worker takes, as client libraries name it; read from /proc where there is one."""
    told = (
        GaugeMetricFamily("process_resident_memory_bytes", "memory", labels=["worker"]),
        CounterMetricFamily("process_cpu_seconds", "time on a processor", labels=["worker"]),
        GaugeMetricFamily("process_open_fds", "open files and connections", labels=["worker"]),
        GaugeMetricFamily("process_max_fds", "how many there may be", labels=["worker"]),
        GaugeMetricFamily("process_start_time_seconds", "when it started", labels=["worker"]),
        GaugeMetricFamily("process_threads", "threads", labels=["worker"]),
    )
    for slot, pid in live_pids.items():
        for one, value in zip(told, _read_process_stats(pid) or (), strict=False):
            one.add_metric([str(slot)], value)
    yield from told


def _read_process_stats(pid: int) -> tuple[float, ...] | None:
    folder, tick = Path(f"/proc/{pid}"), os.sysconf("SC_CLK_TCK")
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        limits = (folder / "limits").read_text().partition("Max open files")[2].split()
        handles = len(os.listdir(folder / "fd"))  # noqa: PTH208, a third of the time of Path's
    except OSError:
        return None
    memory = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    started = _boot_time() + int(fields[19]) / tick
    spent = (int(fields[11]) + int(fields[12])) / tick
    most = float("inf") if limits[0] == "unlimited" else int(limits[0])
    return memory, spent, handles, most, started, int(fields[17])


def _boot_time() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def get_metrics() -> Metrics:
    """The current app's."""
    return current_app.extensions["metrics"]
