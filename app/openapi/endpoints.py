"""The endpoints of the API: one table, from which the OpenAPI document is generated."""

from typing import Any, NamedTuple

from pydantic import BaseModel

from app.codecs.json_body import (
    MAX_JSON_ROWS,
    BlockGroup,
    LoggedPredictionDetail,
    Prediction,
    PredictionList,
)
from app.codecs.tables import MAX_TABLE_ROWS, TABLE_FORMATS
from app.openapi import models
from app.problem_details import ProblemDetails
from housing.schema import FEATURES

PREDICTIONS, MODEL, OPERATIONS = "predictions", "model", "operations"  # tags
EXAMPLE_BLOCK_GROUP = {name: feature.example for name, feature in FEATURES.items()}
TABLE_DESCRIPTION = (
    f"A list gets a list under `predictions`. Tables of up to {MAX_TABLE_ROWS:,} rows are accepted "
    "too, and returned if one was sent or if Accept names one: "
) + ", ".join(f"{name} ({media_type})" for media_type, name in TABLE_FORMATS.items())
INVOCATIONS_DESCRIPTION = (
    "`dataframe_split` (columns and data), CSV and Parquet are accepted too. Columns that the "
    "model does not use are ignored."
)


class Endpoint(NamedTuple):
    """A method of a path, with the types of its JSON; str stands for plain text."""

    operation_id: str
    method: str
    path: str
    tag: str
    summary: str
    response: Any  # the body of a 200
    errors: tuple[int, ...] = ()  # statuses beside those of the API keys
    error: Any = ProblemDetails  # the body of these
    request: Any = None  # the body of the request
    example: Any = None  # for the body of the request
    query: type[BaseModel] | None = None  # a parameter without a default may be absent too
    description: str = ""


# what identifies an endpoint stands on one line
# fmt: off
ENDPOINTS = (
    Endpoint(
        "predict", "POST", "/predict", PREDICTIONS,
        f"Predict the house values of one block group, or of up to {MAX_JSON_ROWS:,}",
        Prediction | PredictionList, (400, 408, 413, 415, 422, 503),
        request=BlockGroup | models.BlockGroups,
        example=EXAMPLE_BLOCK_GROUP,
        query=models.ExplainQuery,
        description=TABLE_DESCRIPTION,
    ),
    Endpoint(
        "invocations", "POST", "/invocations", PREDICTIONS,
        "Predict house values by MLflow's scoring protocol",
        models.InvocationOutput, (400, 408, 413, 415, 503),
        models.InvocationError,
        request=models.InvocationInput,
        example={"dataframe_records": [EXAMPLE_BLOCK_GROUP]},
        description=INVOCATIONS_DESCRIPTION,
    ),
    Endpoint(
        "recent", "GET", "/predictions", PREDICTIONS,
        "The last predictions and rejected requests, newest first",
        models.LoggedPredictionList, (422, 503),
        query=models.LogQuery,
    ),
    Endpoint(
        "logged", "GET", "/predictions/{id}", PREDICTIONS,
        "A prediction as it was logged, and where its model comes from",
        LoggedPredictionDetail, (404, 503),
    ),
    Endpoint(
        "model", "GET", "/model", MODEL,
        "The model that serves, and where it comes from",
        models.ModelDetails, (503,),
    ),
    Endpoint(
        "health", "GET", "/health", OPERATIONS,
        "Report that the process is alive", models.Health,
    ),
    Endpoint(
        "ready", "GET", "/ready", OPERATIONS,
        "Report whether the service can answer",
        models.Readiness, (503,),
    ),
    Endpoint(
        "ping", "GET", "/ping", OPERATIONS,
        "Report health as MLflow's scoring server does",
        str, (404,), str,
    ),
    Endpoint(
        "version", "GET", "/version", OPERATIONS,
        "The version of MLflow whose scoring protocol is implemented",
        str,
    ),
    Endpoint(
        "metrics", "GET", "/metrics", OPERATIONS,
        "Metrics for Prometheus", str,
    ),
    Endpoint(
        "openapi", "GET", "/openapi.json", OPERATIONS,
        "This document", dict[str, Any],
    ),
)
# fmt: on
