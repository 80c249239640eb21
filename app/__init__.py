"""The service: a small Flask app that answers with the registered champion and logs each answer."""

import os
from typing import Any

from flask import Flask

# read by OpenMP when it is loaded: to find a row's neighbours is not worth a second thread, and on
# a busy machine two wait for each other, 16 ms instead of 0.05
os.environ.setdefault("OMP_NUM_THREADS", "1")
from app import champion, contract, log, metrics, reports, views
from housing import paths


def create_app(config: dict[str, Any] | None = None) -> Flask:
    """The app; defaults here, then HOUSING_* from the environment, then `config`."""
    app = Flask(__name__)
    var = paths.var()
    app.config.from_mapping(
        DATABASE=str(var / "logs.db"),
        LOG_FILE=str(var / "api.log"),
        SERVING=str(var / "serving"),
        REPORTS=str(paths.home() / "reports"),
        MAX_CONTENT_LENGTH=8_000_000,  # bytes; 10,000 rows with long decimals are 3 MB
        MAX_ROWS=contract.MOST_ROWS,
    )
    app.config.from_prefixed_env("HOUSING")
    app.config.update(config or {})
    log.init_app(app)
    champion.init_app(app)
    metrics.init_app(app)
    app.register_blueprint(views.bp)
    app.register_blueprint(reports.bp)
    return app
