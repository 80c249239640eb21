"""The OpenAPI 3.1 document, from the same pydantic models that check and answer."""

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.codecs import tables
from app.codecs.json_body import (
    MAX_EXPLAINED_ROWS,
    MAX_JSON_ROWS,
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
NOT_READY_DESCRIPTION = "Not yet; the problem says why and what to do"
API_DESCRIPTION = (
    "Median house values of 1990 census block groups, from the registered champion. Every answer "
    "is logged under its id before it leaves. An answer carries X-Request-ID, the caller's own if "
    "it sent one, and passes a W3C traceparent on. Where the service asks for an API key, it is "
    "sent as X-API-Key or as a bearer token."
)
SECURITY_SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
INVOCATION_ERRORS = {
    "400": "The body is no such request, or a value is out of range",
    "413": "The body is too large",
    "415": "The content type is another",
    "503": "No champion yet, or the log cannot be written",
}
EXAMPLE_BLOCK_GROUP = {name: feature.example for name, feature in FEATURES.items()}


@cache
def document() -> dict[str, Any]:
    """The whole document."""
    told = (
        BlockGroup,
        Prediction,
        PredictionList,
        LoggedPrediction,
        LoggedPredictionDetail,
        ProblemDetails,
    )
    models = [(one, "validation") for one in told]
    _, schemas = models_json_schema(models, ref_template=SCHEMA_REF_TEMPLATE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "California house values",
            "version": "1",
            "description": API_DESCRIPTION,
        },
        "paths": {
            "/predict": {"post": _predict_operation()},
            "/invocations": {"post": _invocations_operation()},
            "/predictions": {"get": _list_predictions_operation()},
            "/predictions/{id}": {"get": _get_prediction_operation()},
            "/health": {
                "get": _status_operation("health", "Is the process alive?", JSON_OBJECT_CONTENT)
            },
            "/ready": {
                "get": _status_operation(
                    "ready", "Can it answer?", JSON_OBJECT_CONTENT, NOT_READY_DESCRIPTION
                )
            },
            "/model": {
                "get": _status_operation(
                    "model",
                    "What serves, and where it comes from",
                    JSON_OBJECT_CONTENT,
                    NOT_READY_DESCRIPTION,
                )
            },
            "/metrics": {"get": _status_operation("metrics", "For Prometheus", PLAIN_TEXT_CONTENT)},
            "/ping": {"get": _ping_operation()},
            "/version": {
                "get": _status_operation(
                    "version", "The MLflow whose protocol is spoken", PLAIN_TEXT_CONTENT
                )
            },
        },
        "components": {"schemas": schemas["$defs"], "securitySchemes": SECURITY_SCHEMES},
    }


def _predict_operation() -> dict[str, Any]:
    one, answer = _schema_ref(BlockGroup), _schema_ref(Prediction)
    forms = {
        "application/json": {
            "schema": {"anyOf": [one, _array_schema(one)]},
            "example": EXAMPLE_BLOCK_GROUP,
        }
    }
    answers = {"application/json": {"schema": {"anyOf": [answer, _schema_ref(PredictionList)]}}}
    return {
        "operationId": "predict",
        "summary": f"House values of one block group, or of a list of up to {MAX_JSON_ROWS:,}",
        "description": f"A table of up to {tables.MAX_TABLE_ROWS:,} rows is taken too: "
        f"{', '.join(f'{it} ({kind})' for kind, it in tables.TABLE_FORMATS.items())}.",
        "parameters": [
            {
                "name": "explain",
                "in": "query",
                "description": f"what each feature adds, for the first {MAX_EXPLAINED_ROWS} rows",
                "schema": {"type": "boolean", "default": False},
            }
        ],
        "requestBody": {
            "required": True,
            "content": forms,
        },
        "responses": {
            "200": _response(
                "An answer, or a list of them under predictions; a table if that was sent, or "
                "wanted by Accept",
                answers,
            ),
            "400": _problem_response("The body is not JSON"),
            "413": _problem_response("The body is too large"),
            "415": _problem_response("The content type is neither JSON nor a table's"),
            "422": _problem_response(
                "A value is missing, unknown, of a wrong type, or out of range"
            ),
            "503": _problem_response("No champion yet, or the log cannot be written"),
        },
    }


def _invocations_operation() -> dict[str, Any]:
    """MLflow's scoring protocol. Of its forms the schema holds those that are lists of rows."""
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
    predictions = {"type": "object", "required": ["predictions"],
                   "properties": {"predictions": _array_schema({"type": "number"})}}  # fmt: skip
    problem = {"type": "object", "required": ["error_code", "message"]}
    responses = {"200": _response("The predictions, in $100,000",
                                  {"application/json": {"schema": predictions}})}  # fmt: skip
    for status, why in INVOCATION_ERRORS.items():
        responses[status] = _response(why, {"application/json": {"schema": problem}})
    return {
        "operationId": "invocations",
        "summary": "The same in MLflow's scoring protocol",
        "description": "dataframe_split (columns and data), CSV and Parquet are read too. Columns "
        "that the model has not are left out.",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": example}},
        },
        "responses": responses,
    }


def _list_predictions_operation() -> dict[str, Any]:
    logged = {"type": "object", "required": ["predictions"],
              "properties": {"predictions": {"type": "array", "items": _schema_ref(LoggedPrediction)}}}  # fmt: skip
    parameters = {
        "limit": ("how many", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 20}),
        "status": ("of that status only", {"type": "integer", "minimum": 100, "maximum": 599}),
        "request_id": ("of that X-Request-ID only", {"type": "string"}),
    }
    return {
        "operationId": "recent",
        "summary": "The last answers and refusals, newest first",
        "parameters": [
            {"name": name, "in": "query", "description": about, "schema": schema}
            for name, (about, schema) in parameters.items()
        ],
        "responses": {
            "200": _response("The rows", {"application/json": {"schema": logged}}),
            "422": _problem_response("A parameter is no number, or out of range"),
            "503": _problem_response("The log cannot be read"),
        },
    }


def _ping_operation() -> dict[str, Any]:
    responses = {
        "200": _response("A model is loaded", PLAIN_TEXT_CONTENT),
        "404": _response("None is", PLAIN_TEXT_CONTENT),
    }
    return {"operationId": "ping", "summary": "MLflow's way to ask for health",
            "responses": responses}  # fmt: skip


def _array_schema(item_schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item_schema, "minItems": 1, "maxItems": MAX_JSON_ROWS}


def _feature_schema(feature_name: str) -> dict[str, Any]:
    feature = FEATURES[feature_name]
    return {"type": "number", "minimum": feature.low, "maximum": feature.high,
            "description": f"{feature.meaning}, {feature.unit}"}  # fmt: skip


def _get_prediction_operation() -> dict[str, Any]:
    name = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "operationId": "logged",
        "summary": "An answer as it was logged, and what stands behind it",
        "parameters": [name],
        "responses": {
            "200": _response(
                "The row", {"application/json": {"schema": _schema_ref(LoggedPredictionDetail)}}
            ),
            "404": _problem_response("No answer of that id is in the log"),
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


def _problem_response(description: str) -> dict[str, Any]:
    return _response(
        description, {"application/problem+json": {"schema": _schema_ref(ProblemDetails)}}
    )


def _schema_ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": SCHEMA_REF_TEMPLATE.format(model=model.__name__)}
