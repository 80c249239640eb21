"""What Prometheus reads: requests, their time, predictions, and which model serves."""

import time
from typing import Any

from flask import Flask, Response, current_app, g, request
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from housing.schema import USD

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """One app's own, so that tests do not share them."""

    def __init__(self) -> None:
        disable_created_metrics()  # a second series for each one, read by nobody
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        own: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter(
            "housing_requests", "requests answered", ["endpoint", "status"], **own
        )
        self.seconds = Histogram(
            "housing_request_seconds",
            "time to answer",
            ["endpoint"],
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
            **own,
        )
        self.predictions = Histogram(
            "housing_prediction_usd",
            "predicted house values in dollars",
            ["model", "version"],
            buckets=[USD * half / 2 for half in range(1, 12)],
            **own,
        )
        self.model = Gauge(
            "housing_model_info", "the model that serves", ["model", "version", "source"], **own
        )

    def page(self, about: dict[str, Any] | None) -> bytes:
        """The text that a scrape gets."""
        self.model.clear()
        if about:
            self.model.labels(about["name"], about["version"], about["source"]).set(1)
        return generate_latest(self.registry)


def init_app(app: Flask) -> None:
    """Counts every request of the app."""
    app.extensions["metrics"] = Metrics()
    app.before_request(_start)
    app.after_request(_count)


def metrics() -> Metrics:
    """The current app's."""
    return current_app.extensions["metrics"]


def _start() -> None:
    g.started = time.perf_counter()


def _count(response: Response) -> Response:
    endpoint = request.url_rule.rule if request.url_rule else "unknown"
    metrics().requests.labels(endpoint, response.status_code).inc()
    metrics().seconds.labels(endpoint).observe(time.perf_counter() - g.started)
    return response
