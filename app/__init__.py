"""The service: a Flask app that serves the registered champion and logs each prediction."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask


def create_app(config: dict[str, Any] | None = None) -> Flask:
    """Create the Flask app.

    config: overrides the HOUSING_* environment variables, which override the defaults in
    `app/settings.py`. Raises ValueError for an invalid setting.
    """
    limit_openmp_threads()
    from flask import Flask

    # only now, as some of these modules load OpenMP
    from app import cors, forwarding, response_headers
    from app.auth.api_keys import ApiKeyAuth
    from app.blueprints import compression, feedback, hooks, operations, pages, predictions, reports
    from app.metrics.metrics import Metrics
    from app.model.champion import ChampionLoader
    from app.prediction_log.writer import open_prediction_log
    from app.prediction_service import PredictionService
    from app.settings import load_settings, validate_settings
    from app.verdict_file import VerdictFile

    app = Flask(__name__)
    app.config.update(load_settings())
    app.config.update(config or {})
    validate_settings(app.config)
    verdict_file = VerdictFile(Path(app.config["VERDICT"]))
    metrics = Metrics(Path(app.config["COUNTS"]), verdict_file)
    log = open_prediction_log(app.config)
    champion_loader = ChampionLoader(Path(app.config["SERVING"]), metrics)
    champion_loader.reload_if_changed()  # the champion answers from the first request on
    app.extensions |= {
        "metrics": metrics,
        "log": log,
        "champion": champion_loader,
        "service": PredictionService(log, champion_loader, metrics, app.config),
        "api_key_auth": ApiKeyAuth(Path(app.config["KEYS"])),
        "verdict_file": verdict_file,
        "cors": cors.parse_origins(app.config["CORS_ORIGINS"]),
    }
    for blueprint in (
        predictions.bp,
        feedback.bp,
        operations.bp,
        pages.bp,
        pages.swagger_ui,
        reports.bp,
    ):
        app.register_blueprint(blueprint)
    hooks.init_app(app)
    response_headers.init_app(app)
    compression.init_app(app)
    proxies = forwarding.proxy_settings(app.config)
    if proxies.are_set:
        wrapped_app: Any = forwarding.wrap_wsgi_app(app.wsgi_app, proxies)
        app.wsgi_app = wrapped_app  # type: ignore[method-assign]  # as Flask has it
    return app


def limit_openmp_threads() -> None:
    """Let OpenMP use one thread in this process and its children, unless OMP_NUM_THREADS is set.

    Call before pykdtree is imported: OpenMP reads the variable when it is loaded. To find the
    neighbors of a row is not worth a second thread, and on a busy machine two threads wait for
    each other: 16 ms instead of 0.05.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
