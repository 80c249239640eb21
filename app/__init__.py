"""The service: a small Flask app that answers with the registered champion and logs each answer."""

import os
from pathlib import Path
from typing import Any

from flask import Flask

# read by OpenMP when it is loaded: to find a row's neighbours is not worth a second thread, and on
# a busy machine two wait for each other, 16 ms instead of 0.05
os.environ.setdefault("OMP_NUM_THREADS", "1")
from app import champion, guard, headers, log, metrics, reports, views
from app.access import Access
from app.config import check, told
from app.service import Service


def create_app(config: dict[str, Any] | None = None) -> Flask:
    """The app; the defaults of config.py, then HOUSING_* from the environment, then `config`."""
    app = Flask(__name__)
    app.config.update(told())
    app.config.update(config or {})
    check(app.config)
    app.extensions["metrics"] = metrics.Metrics(Path(app.config["COUNTS"]))
    log.init_app(app)
    champion.init_app(app)
    app.extensions["access"] = Access(app.config["ACCESS_LOG"], app.config["LOG_BYTES"])
    parts = (app.extensions[one] for one in ("log", "champion", "metrics", "access"))
    app.extensions["service"] = Service(*parts, app.config)
    app.register_blueprint(views.bp)
    app.register_blueprint(reports.bp)
    guard.init_app(app)
    headers.init_app(app)
    return app
