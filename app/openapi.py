"""The OpenAPI 3.1 document, made from the pydantic models that validate requests and responses."""

from functools import cache
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.codecs import tables
from app.codecs.json_body import (
    DEFAULT_RECENT_PREDICTIONS,
    MAX_EXPLAINED_ROWS,
    MAX_HTTP_STATUS,
    MAX_JSON_ROWS,
    MAX_RECENT_PREDICTIONS,
    MIN_HTTP_STATUS,
    BlockGroup,
    LoggedPrediction,
    LoggedPredictionDetail,
    Prediction,
    PredictionList,
)
from app.codecs.mlflow_invocations import INPUT_KEYS
from app.problem_details import ProblemDetails
from housing.schema import FEATURE_NAMES, FEATURES

SCHEMA_REF_TEMPLATE = "#/components/schemas/{model}"
JSON_OBJECT_CONTENT = {"application/json": {"schema": {"type": "object"}}}
PLAIN_TEXT_CONTENT = {"text/plain": {"schema": {"type": "string"}}}
NOT_READY_DESCRIPTION = "Not ready yet; the problem says why and what to do"
API_DESCRIPTION = (
    "Median house values of 1990 census block groups, predicted by the registered champion. Every "
    "prediction is logged under its id before it is sent. A response carries X-Request-ID, the "
    "client's own if it sent one, and passes a W3C traceparent on. An API key, if the service "
    "needs one, is sent as X-API-Key or as a bearer token."
)
SECURITY_SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
INVOCATION_ERRORS = {
    "400": "The body is not a valid request, or a value is out of range",
    "413": "The body is too large",
    "415": "The content type is not supported",
    "503": "No champion yet, or the log cannot be written",
}
EXAMPLE_BLOCK_GROUP = {name: feature.example for name, feature in FEATURES.items()}


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "California house values",
            "version": "1",
            "description": API_DESCRIPTION,
        },
        "paths": _paths(),
        "components": {"schemas": _schemas(), "securitySchemes": SECURITY_SCHEMES},
    }


def _schemas() -> dict[str, Any]:
    mode: Literal["validation"] = "validation"
    models: list[type[BaseModel]] = [
        BlockGroup,
        Prediction,
        PredictionList,
        LoggedPrediction,
        LoggedPredictionDetail,
        ProblemDetails,
    ]
    _, schemas = models_json_schema(
        [(model, mode) for model in models], ref_template=SCHEMA_REF_TEMPLATE
    )
    return schemas["$defs"]


def _paths() -> dict[str, Any]:
    return {
        "/predict": {"post": _predict_operation()},
        "/invocations": {"post": _invocations_operation()},
        "/predictions": {"get": _list_predictions_operation()},
        "/predictions/{id}": {"get": _get_prediction_operation()},
        "/health": {
            "get": _status_operation(
                "health", "Report that the process is alive", JSON_OBJECT_CONTENT
            )
        },
        "/ready": {
            "get": _status_operation(
                "ready",
                "Report whether the service can answer",
                JSON_OBJECT_CONTENT,
                NOT_READY_DESCRIPTION,
            )
        },
        "/model": {
            "get": _status_operation(
                "model",
                "The model that serves, and where it comes from",
                JSON_OBJECT_CONTENT,
                NOT_READY_DESCRIPTION,
            )
        },
        "/metrics": {
            "get": _status_operation("metrics", "Metrics for Prometheus", PLAIN_TEXT_CONTENT)
        },
        "/ping": {"get": _ping_operation()},
        "/version": {
            "get": _status_operation(
                "version",
                "The version of MLflow whose scoring protocol is implemented",
                PLAIN_TEXT_CONTENT,
            )
        },
    }


def _predict_operation() -> dict[str, Any]:
    block_group = _schema_ref(BlockGroup)
    request_content = {
        "application/json": {
            "schema": {"anyOf": [block_group, _array_schema(block_group)]},
            "example": EXAMPLE_BLOCK_GROUP,
        }
    }
    response_content = {
        "application/json": {
            "schema": {"anyOf": [_schema_ref(Prediction), _schema_ref(PredictionList)]}
        }
    }
    table_formats = ", ".join(
        f"{name} ({media_type})" for media_type, name in tables.TABLE_FORMATS.items()
    )
    return {
        "operationId": "predict",
        "summary": f"Predict the house values of one block group, or of up to {MAX_JSON_ROWS:,}",
        "description": f"Tables of up to {tables.MAX_TABLE_ROWS:,} rows are accepted too: "
        f"{table_formats}.",
        "parameters": [
            {
                "name": "explain",
                "in": "query",
                "description": "add what each feature contributes, for the first "
                f"{MAX_EXPLAINED_ROWS} rows",
                "schema": {"type": "boolean", "default": False},
            }
        ],
        "requestBody": {
            "required": True,
            "content": request_content,
        },
        "responses": {
            "200": _response(
                "A prediction, or a list of them under predictions; a table if one was sent, or "
                "if Accept names one",
                response_content,
            ),
            "400": _problem_response("The body is not JSON"),
            "413": _problem_response("The body is too large"),
            "415": _problem_response("The content type is neither JSON nor that of a table"),
            "422": _problem_response(
                "A value is missing, unknown, of a wrong type, or out of range"
            ),
            "503": _problem_response("No champion yet, or the log cannot be written"),
        },
    }


def _invocations_operation() -> dict[str, Any]:
    """Describe MLflow's scoring protocol. The schema has only the forms that are lists of rows."""
    row = {
        "type": "object",
        "required": FEATURE_NAMES,
        "properties": {name: _feature_schema(name) for name in FEATURE_NAMES},
    }
    schema = {
        "oneOf": [
            {
                "type": "object",
                "required": [name],
                "properties": dict.fromkeys(INPUT_KEYS, False) | {name: _array_schema(row)},
            }
            for name in INPUT_KEYS[1:]
        ]
    }
    example = {"dataframe_records": [EXAMPLE_BLOCK_GROUP]}
    predictions = {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": _array_schema({"type": "number"})},
    }
    error = {"type": "object", "required": ["error_code", "message"]}
    responses = {"200": _response("The predictions, in $100,000", _json_content(predictions))}
    for status, description in INVOCATION_ERRORS.items():
        responses[status] = _response(description, _json_content(error))
    return {
        "operationId": "invocations",
        "summary": "Predict house values by MLflow's scoring protocol",
        "description": "dataframe_split (columns and data), CSV and Parquet are accepted too. "
        "Columns that the model does not use are ignored.",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": example}},
        },
        "responses": responses,
    }


def _list_predictions_operation() -> dict[str, Any]:
    logged = {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": {"type": "array", "items": _schema_ref(LoggedPrediction)}},
    }
    parameters: dict[str, tuple[str, dict[str, Any]]] = {
        "limit": (
            "how many rows at most",
            {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_RECENT_PREDICTIONS,
                "default": DEFAULT_RECENT_PREDICTIONS,
            },
        ),
        "status": (
            "only rows of this HTTP status",
            {"type": "integer", "minimum": MIN_HTTP_STATUS, "maximum": MAX_HTTP_STATUS},
        ),
        "request_id": ("only rows of this X-Request-ID", {"type": "string"}),
    }
    return {
        "operationId": "recent",
        "summary": "The last predictions and rejected requests, newest first",
        "parameters": [
            {"name": name, "in": "query", "description": description, "schema": schema}
            for name, (description, schema) in parameters.items()
        ],
        "responses": {
            "200": _response("The rows of the log", _json_content(logged)),
            "422": _problem_response("A parameter is not a number, or out of range"),
            "503": _problem_response("The log cannot be read"),
        },
    }


def _ping_operation() -> dict[str, Any]:
    responses = {
        "200": _response("A model is loaded", PLAIN_TEXT_CONTENT),
        "404": _response("No model is loaded", PLAIN_TEXT_CONTENT),
    }
    return {
        "operationId": "ping",
        "summary": "Report health as MLflow's scoring server does",
        "responses": responses,
    }


def _array_schema(item_schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item_schema, "minItems": 1, "maxItems": MAX_JSON_ROWS}


def _feature_schema(feature_name: str) -> dict[str, Any]:
    feature = FEATURES[feature_name]
    return {
        "type": "number",
        "minimum": feature.low,
        "maximum": feature.high,
        "description": f"{feature.meaning}, {feature.unit}",
    }


def _get_prediction_operation() -> dict[str, Any]:
    id_parameter = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "operationId": "logged",
        "summary": "A prediction as it was logged, and where its model comes from",
        "parameters": [id_parameter],
        "responses": {
            "200": _response(
                "The row of the log", _json_content(_schema_ref(LoggedPredictionDetail))
            ),
            "404": _problem_response("The log has no prediction of that id"),
            "503": _problem_response("The log cannot be read"),
        },
    }


def _status_operation(
    operation_id: str,
    summary: str,
    content: dict[str, Any],
    unavailable_description: str | None = None,
) -> dict[str, Any]:
    responses = {"200": _response(summary, content)}
    if unavailable_description:
        responses["503"] = _problem_response(unavailable_description)
    return {"operationId": operation_id, "summary": summary, "responses": responses}


def _response(description: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": content}


def _json_content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _problem_response(description: str) -> dict[str, Any]:
    return _response(
        description, {"application/problem+json": {"schema": _schema_ref(ProblemDetails)}}
    )


def _schema_ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": SCHEMA_REF_TEMPLATE.format(model=model.__name__)}
