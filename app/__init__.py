"""The service: a small Flask app that answers with the registered champion and logs each answer."""

import os
from pathlib import Path
from typing import Any

from flask import Flask

# read by OpenMP when it is loaded: to find a row's neighbours is not worth a second thread, and on
# a busy machine two wait for each other, 16 ms instead of 0.05
os.environ.setdefault("OMP_NUM_THREADS", "1")
from app import response_headers
from app.auth import api_keys
from app.blueprints import reports, views
from app.metrics import metrics
from app.model import champion
from app.prediction_log import writer
from app.prediction_log.access_log import AccessLog
from app.prediction_service import PredictionService
from app.settings import load_settings, validate_settings


def create_app(config: dict[str, Any] | None = None) -> Flask:
    """The app; the defaults of config.py, then HOUSING_* from the environment, then `config`."""
    app = Flask(__name__)
    app.config.update(load_settings())
    app.config.update(config or {})
    validate_settings(app.config)
    app.extensions["metrics"] = metrics.Metrics(Path(app.config["COUNTS"]))
    writer.init_app(app)
    champion.init_app(app)
    app.extensions["access"] = AccessLog(app.config["ACCESS_LOG"], app.config["LOG_BYTES"])
    parts = (app.extensions[one] for one in ("log", "champion", "metrics", "access"))
    app.extensions["service"] = PredictionService(*parts, app.config)
    app.register_blueprint(views.bp)
    app.register_blueprint(reports.bp)
    api_keys.init_app(app)
    response_headers.init_app(app)
    return app
