"""The HTML pages: the map with its form, and the interactive reference of the API."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from flask import Blueprint, current_app, render_template

from app.blueprints import outline
from app.codecs.predict import SAMPLE_NOTICE
from app.model.champion import champion_loader
from app.verdict_file import describe_verdict, verdict_file
from housing.prediction_log.feedback_rows import MAX_TRUTH, MIN_TRUTH
from housing.schema import FEATURES, USD_PER_UNIT

bp = Blueprint("pages", __name__)
swagger_ui = Blueprint(
    "swagger_ui",
    __name__,
    static_folder=str(files("flask_swagger_ui") / "dist"),
    static_url_path="/static/swagger-ui",
)


@bp.get("/")
def index() -> str:
    """Show a map and a form to ask for a house value."""
    champion = champion_loader().current()
    absence = None if champion else champion_loader().absence()
    reading = verdict_file().read()
    return render_template(
        "page.html",
        features=FEATURES,
        model_details=champion.model_info.details if champion else None,
        map=outline.california_map(champion),
        absence_sentence=absence.sentence if absence else "",
        sample_notice=SAMPLE_NOTICE,
        usd_per_unit=USD_PER_UNIT,
        monitoring=describe_verdict(reading, Path(current_app.config["REPORTS"])),
        monitored_on=_format_day(reading.created_at) if reading.created_at else "",
        truth_limits_usd=[int(limit * USD_PER_UNIT) for limit in (MIN_TRUTH, MAX_TRUTH)],
    )


def _format_day(time: datetime) -> str:
    """Return "30 November 2026", in UTC."""
    return f"{time.astimezone(UTC):%d %B %Y}".lstrip("0")


@bp.get("/docs")
def api_docs() -> str:
    """Show the OpenAPI document in Swagger UI, from which requests can be sent."""
    return render_template("docs.html")
