"""What Prometheus scrapes: the numbers of all workers in the shared file, as metric families."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from app.metrics.definitions import (
    COUNTERS,
    GAUGES,
    HISTOGRAMS,
    CounterDefinition,
    GaugeDefinition,
    HistogramDefinition,
    LabelValues,
)
from app.metrics.process_collector import process_families
from app.metrics.shared_counters import SharedCounters

LabelledSamples = list[tuple[LabelValues, np.ndarray]]  # labels, and one number per worker slot


class SharedCountersCollector(Collector):
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
        yield from process_families(live_pids)

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
    """Return the histogram. samples: those of each label set in the order of `cell_names`."""
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
