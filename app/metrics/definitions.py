"""The metrics of the service: their help texts, labels and buckets, and their cells in the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from housing.schema import FEATURE_NAMES, USD_PER_UNIT

LATENCY_BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
DECILE_COUNT = 10

LabelValues = tuple[str, ...]


class MetricDefinition(NamedTuple):
    """A metric's help text and label names, and what only some kinds of metric need."""

    description: str
    label_names: tuple[str, ...] = ()
    bucket_bounds: tuple[float, ...] = ()  # of a histogram: the upper bounds of its buckets
    aggregate: Callable[[np.ndarray], float] = np.max  # of a gauge: over all live workers


COUNTERS = {
    "housing_requests": MetricDefinition("requests answered", ("endpoint", "status")),
    "housing_model_swaps": MetricDefinition("champions loaded, summed over all workers"),
    "housing_log_failures": MetricDefinition("batches of requests that could not be logged"),
    "housing_unlogged_answers": MetricDefinition("responses sent unlogged, as LOG_POLICY allows"),
    "housing_feedback_rows": MetricDefinition(
        "rows with true values: accepted, unchanged, corrected or refused", ("outcome",)
    ),
    "housing_unusual_rows": MetricDefinition("rows unlike those the model was trained on"),
    "housing_shed_requests": MetricDefinition(
        "requests refused because too many waited or an API key's limit was reached", ("why",)
    ),
    "housing_input_decile": MetricDefinition(
        "rows by the decile of the training values", ("feature", "decile")
    ),
}
HISTOGRAMS = {
    "housing_request_seconds": MetricDefinition(
        "seconds to answer a request", ("endpoint",), LATENCY_BUCKETS_SECONDS
    ),
    "housing_prediction_usd": MetricDefinition(
        "predicted house values in dollars",
        ("model", "version"),
        tuple(USD_PER_UNIT * half_units / 2 for half_units in range(1, 12)),
    ),
    "housing_log_commit_seconds": MetricDefinition(
        "seconds to log a batch of responses", (), LATENCY_BUCKETS_SECONDS
    ),
    "housing_group_requests": MetricDefinition(
        "requests answered and logged in one batch", (), (1, 2, 4, 8, 16, 32, 64, 128)
    ),
}
GAUGES = {
    "housing_queue_requests": MetricDefinition(
        "requests that wait to be answered", aggregate=np.sum
    ),
    "housing_model_info": MetricDefinition(
        "the model that is served", ("model", "version", "source")
    ),
    "housing_model_refused": MetricDefinition(
        "1 while the registry answers, and its champion cannot be copied or loaded"
    ),
    "housing_model_swap_timestamp_seconds": MetricDefinition("when a champion was last loaded"),
    "housing_model_load_seconds": MetricDefinition(
        "seconds that loading the champion took, in the background"
    ),
    "housing_registry_reached_timestamp_seconds": MetricDefinition(
        "when the champion's alias was last read"
    ),
}
# of the last monitoring run, read from its verdict; what is not known has no sample
VERDICT_GAUGES = {
    "housing_monitoring_unreadable": MetricDefinition(
        "1 while the verdict of the monitoring cannot be read"
    ),
    "housing_monitoring_timestamp_seconds": MetricDefinition("when the monitoring last ran"),
    "housing_monitoring_verdict": MetricDefinition(
        "1 for the verdict of the last monitoring run, 0 for the others", ("verdict",)
    ),
    "housing_monitoring_alarms": MetricDefinition("alarms that last, by signal", ("signal",)),
    "housing_monitoring_rows": MetricDefinition("predictions in the monitored period"),
    "housing_monitoring_labelled_rows": MetricDefinition(
        "predictions in the monitored period whose true value is known"
    ),
    "housing_monitoring_mean_absolute_error_usd": MetricDefinition(
        "mean absolute error of the labelled rows in dollars"
    ),
    "housing_monitoring_estimated_error_usd": MetricDefinition(
        "mean absolute error of all rows in dollars, as estimated without labels"
    ),
    "housing_monitoring_promised_error_usd": MetricDefinition(
        "mean absolute error of the held-out rows in dollars, which the model was promoted with"
    ),
    "housing_monitoring_coverage_ratio": MetricDefinition(
        "share of the labelled rows whose true value is in its interval"
    ),
}


def cell_names(name: str, labels: LabelValues) -> list[tuple[str, ...]]:
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
