"""The metrics of the service: their help texts, labels and buckets, and their cells in the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from housing.schema import FEATURE_NAMES, USD_PER_UNIT

LATENCY_BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
DECILE_COUNT = 10

LabelValues = tuple[str, ...]


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
        "seconds that loading the champion took, in the background", (), np.max
    ),
    "housing_registry_reached_timestamp_seconds": GaugeDefinition(
        "when the champion's alias was last read", (), np.max
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
