"""The endpoints of the API: one table, from which the OpenAPI document is generated."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from pydantic import BaseModel

from app.codecs.feedback_models import Feedback, FeedbackResult
from app.codecs.json_body import (
    MAX_JSON_ROWS,
    BlockGroup,
    LoggedPredictionDetail,
    Prediction,
    PredictionList,
)
from app.codecs.tables import CSV_MEDIA_TYPE, MAX_TABLE_ROWS, MEDIA_TYPE_ALIASES, TABLE_FORMATS
from app.messages import JSON_MEDIA_TYPE, PROBLEM_MEDIA_TYPE
from app.openapi import models
from app.problem_details import ProblemDetails
from housing.schema import FEATURES

Content = dict[str, Any]  # the type of a body by media type: str for text, bytes for a file

PREDICTIONS, MODEL, OPERATIONS = "predictions", "model", "operations"
TAG_DESCRIPTIONS = {
    PREDICTIONS: "Predict house values, and look predictions up",
    MODEL: "The model that serves",
    OPERATIONS: "For monitoring and for tools",
}
TEXT: Content = {"text/plain": str}
PROBLEM: Content = {PROBLEM_MEDIA_TYPE: ProblemDetails}
EXAMPLE_BLOCK_GROUP = {name: feature.example for name, feature in FEATURES.items()}
EXAMPLE_CSV = "".join(
    ",".join(map(str, row)) + "\n"
    for row in (EXAMPLE_BLOCK_GROUP.keys(), EXAMPLE_BLOCK_GROUP.values())
)
TABLE_DESCRIPTION = (
    f"A list gets a list under `predictions`. A table of up to {MAX_TABLE_ROWS:,} rows is answered "
    "by a table of its format, JSON by JSON, unless the header Accept names another one of: "
    + ", ".join(f"{name} ({media_type})" for media_type, name in TABLE_FORMATS.items())
    + f". Understood too: {', '.join(MEDIA_TYPE_ALIASES)}. An index that pandas saved is ignored."
)
INVOCATIONS_DESCRIPTION = (
    "`dataframe_split` (columns and data) is accepted too. Columns that the model does not use are "
    "ignored."
)
EXAMPLE_FEEDBACK: Content = {"id": "01a223f9b9d8751c98e02cdf5ced9afb-0", "truth": 4.526}
EXAMPLE_FEEDBACK_CSV = "id,truth_usd\n01a223f9b9d8751c98e02cdf5ced9afb-0,452600\n"
FEEDBACK_DESCRIPTION = (
    "Each row names a prediction and its true value, which may arrive days later, also for "
    "predictions of archived months. The answer comes once the values are committed: the same "
    "value again changes nothing, another one is a correction and its history is kept. Rows are "
    "taken in their order, so of two values of one prediction the last counts. A row with a "
    "problem is left out and named under `errors`; if all rows have one, the status is 422. A "
    f"table has up to {MAX_TABLE_ROWS:,} rows."
)


class Endpoint(NamedTuple):
    """A method of a path, with the types of its bodies."""

    operation_id: str  # the name of the function in a generated client
    method: str
    path: str
    tag: str
    summary: str
    response: Content  # of a success
    errors: tuple[int, ...] = ()  # statuses beside those of the API keys
    error: Content = PROBLEM  # of these
    request: Content | None = None
    examples: dict[str, Any] | None = None  # of the body of the request, by media type
    query: type[BaseModel] | None = None  # a parameter without a default may be absent too
    description: str = ""
    success: int = 200  # the status of a success


def _json(body_type: Any) -> Content:
    return {JSON_MEDIA_TYPE: body_type}


def _tables(media_types: Iterable[str]) -> Content:
    return {
        media_type: str if media_type == CSV_MEDIA_TYPE else bytes for media_type in media_types
    }


# what identifies an endpoint stands on one line
# fmt: off
ENDPOINTS = (
    Endpoint(
        "predict", "POST", "/predict", PREDICTIONS,
        f"Predict the house values of one block group, or of up to {MAX_JSON_ROWS:,}",
        _json(Prediction | PredictionList) | _tables(TABLE_FORMATS),
        (400, 406, 408, 413, 415, 422, 503),
        request=_json(BlockGroup | models.BlockGroups) | _tables(TABLE_FORMATS),
        examples={JSON_MEDIA_TYPE: EXAMPLE_BLOCK_GROUP, CSV_MEDIA_TYPE: EXAMPLE_CSV},
        query=models.ExplainQuery,
        description=TABLE_DESCRIPTION,
    ),
    Endpoint(
        "invoke", "POST", "/invocations", PREDICTIONS,
        "Predict house values by MLflow's scoring protocol",
        _json(models.InvocationOutput), (400, 408, 413, 415, 503),
        _json(models.InvocationError),
        request=_json(models.InvocationInput) | _tables(TABLE_FORMATS),
        examples={
            JSON_MEDIA_TYPE: {"dataframe_records": [EXAMPLE_BLOCK_GROUP]},
            CSV_MEDIA_TYPE: EXAMPLE_CSV,
        },
        description=INVOCATIONS_DESCRIPTION,
    ),
    Endpoint(
        "list_predictions", "GET", "/predictions", PREDICTIONS,
        "The last predictions and rejected requests, newest first",
        _json(models.LoggedPredictionList), (422, 503),
        query=models.LogQuery,
    ),
    Endpoint(
        "get_prediction", "GET", "/predictions/{id}", PREDICTIONS,
        "A prediction as it was logged, and where its model comes from",
        _json(LoggedPredictionDetail), (404, 503),
    ),
    Endpoint(
        "send_feedback", "POST", "/feedback", PREDICTIONS,
        f"Record the true values of one prediction, or of up to {MAX_JSON_ROWS:,}",
        _json(FeedbackResult), (400, 408, 413, 415, 422, 503),
        request=_json(Feedback | models.FeedbackList) | _tables(TABLE_FORMATS),
        examples={JSON_MEDIA_TYPE: EXAMPLE_FEEDBACK, CSV_MEDIA_TYPE: EXAMPLE_FEEDBACK_CSV},
        description=FEEDBACK_DESCRIPTION,
        success=202,
    ),
    Endpoint(
        "get_model", "GET", "/model", MODEL,
        "The model that serves, and where it comes from",
        _json(models.ModelDetails), (503,),
    ),
    Endpoint(
        "get_monitoring", "GET", "/monitoring", MODEL,
        "Whether the model is still right: the verdict of the last monitoring run",
        _json(models.Monitoring), (404,),
    ),
    Endpoint(
        "health", "GET", "/health", OPERATIONS,
        "Report that the process is alive", _json(models.Health),
    ),
    Endpoint(
        "ready", "GET", "/ready", OPERATIONS,
        "Report whether the service can answer",
        _json(models.Readiness), (503,),
    ),
    Endpoint(
        "ping", "GET", "/ping", OPERATIONS,
        "Report health as MLflow's scoring server does",
        TEXT, (404,), TEXT,
    ),
    Endpoint(
        "version", "GET", "/version", OPERATIONS,
        "The version of MLflow whose scoring protocol is implemented",
        TEXT,
    ),
    Endpoint(
        "metrics", "GET", "/metrics", OPERATIONS,
        "Metrics for Prometheus", TEXT,
    ),
    Endpoint(
        "openapi", "GET", "/openapi.json", OPERATIONS,
        "This document", _json(dict[str, Any]),
    ),
)
# fmt: on
