"""What Prometheus scrapes: the numbers of all workers, as prometheus_client's metric families."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import accumulate, groupby
from typing import Any

from prometheus_client import Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from app.metrics.definitions import (
    COUNTERS,
    GAUGES,
    HISTOGRAMS,
    VERDICT_GAUGES,
    LabelValues,
    MetricDefinition,
)
from app.metrics.shared_counters import NamedValues
from app.verdict_file import VerdictReading
from housing.monitoring.quantities import Signal
from housing.monitoring.verdict import Verdict

LabelledValues = list[tuple[LabelValues, Any]]  # labels, and a number
FAMILY_TYPES: Any = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}


def shared_families(named_values: NamedValues, live_slots: list[int]) -> Iterator[Metric]:
    """Yield the metrics that the workers count in the shared file."""
    samples: dict[str, LabelledValues] = defaultdict(list)
    for (name, *labels), numbers in named_values:
        value = numbers.sum()
        if name in GAUGES:
            value = GAUGES[name].aggregate(numbers[live_slots])
            if labels and not value:  # cleared by `Metrics.clear`
                continue
        samples[name].append((tuple(labels), value))
    for name, definition in COUNTERS.items():
        yield _family("counter", name, definition, samples[name])
    for name, definition in HISTOGRAMS.items():
        yield _histogram_family(name, definition, samples[name])
    for name, definition in GAUGES.items():
        yield _family("gauge", name, definition, samples[name])


def verdict_families(reading: VerdictReading) -> Iterator[Metric]:
    """Yield the metrics of the last monitoring run; one alone if there is none."""
    for name, samples in _verdict_samples(reading).items():
        definition = VERDICT_GAUGES[name]
        family = GaugeMetricFamily(name, definition.description, labels=definition.label_names)
        for labels, value in samples:
            family.add_metric(labels, value)
        yield family


def _verdict_samples(reading: VerdictReading) -> dict[str, LabelledValues]:
    """Return the samples by metric."""
    numbers: dict[str, float | None] = {"unreadable": float(bool(reading.problem))}
    samples: dict[str, LabelledValues] = {}
    verdict = reading.verdict
    if verdict and reading.created_at:
        numbers |= {
            "timestamp_seconds": reading.created_at.timestamp(),
            "rows": verdict.row_count,
            "labelled_rows": verdict.labelled_count,
            "mean_absolute_error_usd": verdict.mean_absolute_error_usd,
            "estimated_error_usd": verdict.estimated_error_usd,
            "promised_error_usd": verdict.promised_error_usd,
            "coverage_ratio": verdict.coverage,
        }
        alarm_counts = Counter(alarm.signal for alarm in reading.current_alarms)
        signals = dict.fromkeys([*Signal, *alarm_counts])  # one of a later version, too
        samples["verdict"] = [((name,), float(name == verdict.verdict)) for name in Verdict]
        samples["alarms"] = [((signal,), alarm_counts[signal]) for signal in signals]
    samples |= {name: [((), value)] for name, value in numbers.items() if value is not None}
    return {f"housing_monitoring_{name}": samples[name] for name in samples}


def process_families(live_pids: dict[int, int]) -> Iterable[Metric]:
    """Return the resources that each worker uses; nothing without /proc."""
    families: dict[str, Any] = {}
    for slot, pid in live_pids.items():
        for metric in _process_metrics(pid):
            if metric.name not in families:
                families[metric.name] = FAMILY_TYPES[metric.type](
                    metric.name, metric.documentation, labels=["worker"]
                )
            families[metric.name].add_metric([str(slot)], metric.samples[0].value)
    return families.values()


def _process_metrics(pid: int) -> Iterable[Metric]:
    return ProcessCollector(pid=lambda: pid, registry=None).collect()


def _family(kind: str, name: str, definition: MetricDefinition, samples: LabelledValues) -> Metric:
    family = FAMILY_TYPES[kind](name, definition.description, labels=definition.label_names)
    if not (samples or definition.label_names or name.endswith("_timestamp_seconds")):
        family.add_metric((), 0)  # but no timestamp, as 0 would mean 1970
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def _histogram_family(name: str, definition: MetricDefinition, samples: LabelledValues) -> Metric:
    """Return the histogram. samples: those of each label set in the order of `cell_names`."""
    family = HistogramMetricFamily(name, definition.description, labels=definition.label_names)
    for labels, cells in groupby(samples, key=lambda cell: cell[0][:-1]):
        *buckets, (_, value_sum) = cells
        bounds = [bucket_labels[-1] for bucket_labels, _ in buckets]
        cumulative_counts = accumulate(count for _, count in buckets)
        family.add_metric(labels, [*zip(bounds, cumulative_counts, strict=True)], value_sum)
    return family
