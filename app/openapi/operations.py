"""The operations of the OpenAPI document, one function for each."""

from typing import Any

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
from app.openapi.components import (
    EXAMPLE_BLOCK_GROUP,
    PLAIN_TEXT_CONTENT,
    array_schema,
    feature_schema,
    json_content,
    problem_response,
    response,
    schema_ref,
)
from housing.schema import FEATURE_NAMES

PREDICT_ERRORS = {
    "400": "The body is not JSON",
    "413": "The body is too large",
    "415": "The content type is neither JSON nor that of a table",
    "422": "A value is missing, unknown, of a wrong type, or out of range",
    "503": "No champion yet, or the log cannot be written",
}
INVOCATION_ERRORS = {
    "400": "The body is not a valid request, or a value is out of range",
    "413": "The body is too large",
    "415": "The content type is not supported",
    "503": "No champion yet, or the log cannot be written",
}


def predict_operation() -> dict[str, Any]:
    """Describe POST /predict. The content of requests and responses is that of JSON only."""
    block_group = schema_ref(BlockGroup)
    request_schema = {"anyOf": [block_group, array_schema(block_group)]}
    request_content = {
        "application/json": {"schema": request_schema, "example": EXAMPLE_BLOCK_GROUP}
    }
    response_schema = {"anyOf": [schema_ref(Prediction), schema_ref(PredictionList)]}
    table_formats = ", ".join(
        f"{name} ({media_type})" for media_type, name in tables.TABLE_FORMATS.items()
    )
    explain_parameter = {
        "name": "explain",
        "in": "query",
        "description": "add what each feature contributes, for the first "
        f"{MAX_EXPLAINED_ROWS} rows",
        "schema": {"type": "boolean", "default": False},
    }
    success = response(
        "A prediction, or a list of them under predictions; a table if one was sent, or if Accept "
        "names one",
        json_content(response_schema),
    )
    errors = {
        status: problem_response(description) for status, description in PREDICT_ERRORS.items()
    }
    return {
        "operationId": "predict",
        "summary": f"Predict the house values of one block group, or of up to {MAX_JSON_ROWS:,}",
        "description": f"Tables of up to {tables.MAX_TABLE_ROWS:,} rows are accepted too: "
        f"{table_formats}.",
        "parameters": [explain_parameter],
        "requestBody": {"required": True, "content": request_content},
        "responses": {"200": success} | errors,
    }


def invocations_operation() -> dict[str, Any]:
    """Describe MLflow's scoring protocol. The schema has only the forms that are lists of rows."""
    row = {
        "type": "object",
        "required": FEATURE_NAMES,
        "properties": {name: feature_schema(name) for name in FEATURE_NAMES},
    }
    schema = {
        "oneOf": [
            {
                "type": "object",
                "required": [name],
                "properties": dict.fromkeys(INPUT_KEYS, False) | {name: array_schema(row)},
            }
            for name in INPUT_KEYS[1:]
        ]
    }
    example = {"dataframe_records": [EXAMPLE_BLOCK_GROUP]}
    predictions = {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": array_schema({"type": "number"})},
    }
    error = {"type": "object", "required": ["error_code", "message"]}
    responses = {"200": response("The predictions, in $100,000", json_content(predictions))}
    for status, description in INVOCATION_ERRORS.items():
        responses[status] = response(description, json_content(error))
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


def list_predictions_operation() -> dict[str, Any]:
    """Describe GET /predictions."""
    logged = {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": {"type": "array", "items": schema_ref(LoggedPrediction)}},
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
            "200": response("The rows of the log", json_content(logged)),
            "422": problem_response("A parameter is not a number, or out of range"),
            "503": problem_response("The log cannot be read"),
        },
    }


def get_prediction_operation() -> dict[str, Any]:
    """Describe GET /predictions/{id}."""
    id_parameter = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "operationId": "logged",
        "summary": "A prediction as it was logged, and where its model comes from",
        "parameters": [id_parameter],
        "responses": {
            "200": response("The row of the log", json_content(schema_ref(LoggedPredictionDetail))),
            "404": problem_response("The log has no prediction of that id"),
            "503": problem_response("The log cannot be read"),
        },
    }


def ping_operation() -> dict[str, Any]:
    """Describe GET /ping."""
    responses = {
        "200": response("A model is loaded", PLAIN_TEXT_CONTENT),
        "404": response("No model is loaded", PLAIN_TEXT_CONTENT),
    }
    return {
        "operationId": "ping",
        "summary": "Report health as MLflow's scoring server does",
        "responses": responses,
    }


def status_operation(
    operation_id: str,
    summary: str,
    content: dict[str, Any],
    unavailable_description: str | None = None,
) -> dict[str, Any]:
    """Describe a GET request without parameters.

    unavailable_description: what a 503 means; None if there is none.
    """
    responses = {"200": response(summary, content)}
    if unavailable_description:
        responses["503"] = problem_response(unavailable_description)
    return {"operationId": operation_id, "summary": summary, "responses": responses}
