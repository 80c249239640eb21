"""What Prometheus scrapes of the challenger, from the status that its process writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from app.shadow.status import ShadowStatus, read_status, status_path

COUNTER_DESCRIPTIONS = {  # field of the status -> help text of housing_shadow_<field>
    "rows": "rows that the challenger answered beside the champion",
    "failed_rows": "rows for which the challenger raised an error or returned no number",
    "dropped_rows": "rows that the challenger was to answer and skipped, as it was behind",
    "starts": "starts of the challenger's process; more than one for each start of the service "
    "means that it crashed",
}


class ShadowMetrics(Collector):
    """The metrics of one status."""

    def __init__(self, status: ShadowStatus) -> None:
        self.status = status

    def collect(self) -> Iterator[Metric]:
        status = self.status
        for field, description in COUNTER_DESCRIPTIONS.items():
            value = getattr(status, field)
            yield CounterMetricFamily(f"housing_shadow_{field}", description, value)
        yield GaugeMetricFamily(
            "housing_shadow_behind_seconds",
            "age of the row that the challenger answered last; 0 if it is up to date",
            status.behind_seconds,
        )
        yield GaugeMetricFamily(
            "housing_shadow_written_timestamp_seconds",
            "when the challenger's process last showed a sign of life",
            status.written_at,
        )
        model_info = GaugeMetricFamily(
            "housing_shadow_info",
            "the challenger and its state: answering, or why it does not",
            labels=("model", "version", "state"),
        )
        model_info.add_metric((status.model_name, status.model_version, status.state), 1)
        yield model_info


def exposition(settings: Mapping[str, Any]) -> bytes:
    """Return the metrics in Prometheus' text format; nothing if no request is to be shadowed."""
    if not settings["SHADOW_SHARE"]:
        return b""
    return generate_latest(ShadowMetrics(read_status(status_path(Path(settings["DATABASE"])))))
