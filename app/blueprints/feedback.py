"""The route that takes the true values of predictions."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, current_app, g

from app.blueprints.responses import read_body
from app.codecs import content_encoding, feedback
from app.codecs.feedback import ParsedFeedback
from app.messages import JSON_MEDIA_TYPE
from app.metrics.metrics import get_metrics
from app.prediction_log.writer import PredictionLogError, prediction_log
from app.problem_details import request_error
from housing.prediction_log.feedback import FeedbackReport, take_feedback

LOG_FAILURE_MESSAGE = (
    "the log cannot be written; send the same request again later: what was taken stays taken"
)

bp = Blueprint("feedback", __name__)


@bp.post("/feedback")
def create_feedback() -> Response:
    """Record the true values of predictions, and answer once they are committed.

    Rows with a problem are left out and named; if all have one, the status is 422.
    """
    config = current_app.config
    g.http_request.body = read_body()
    content_encoding.decode_body(g.http_request, config["MAX_CONTENT_LENGTH"])
    parsed = feedback.decode_request(g.http_request, config["MAX_ROWS"], config["MAX_TABLE_ROWS"])
    report = _take_feedback(parsed)
    counts = {outcome.value: count for outcome, count in report.counts.items()}
    for outcome, count in counts.items():
        get_metrics().count("housing_feedback_rows", outcome, amount=count)
    g.log_fields = {"feedback": counts}
    refusal = feedback.refusal(report, parsed)
    if refusal:
        raise refusal
    content = feedback.encode_report(report, parsed).model_dump_json()
    return Response(content, 202, content_type=JSON_MEDIA_TYPE)


def _take_feedback(parsed: ParsedFeedback) -> FeedbackReport:
    """Record the rows. Raises RequestError (503) if the log cannot be read or written."""
    log, http_request = prediction_log(), g.http_request
    try:
        return take_feedback(
            parsed.rows,
            log.database,
            Path(current_app.config["ARCHIVE"]),
            log.exclusive_connection,
            http_request.received_at,
            http_request.api_key_name,
        )
    except (PredictionLogError, RuntimeError) as error:
        current_app.logger.error("feedback cannot be recorded: %s", error)
        get_metrics().count("housing_log_failures")
        raise request_error(503, LOG_FAILURE_MESSAGE) from error
