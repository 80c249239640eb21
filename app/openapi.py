"""The OpenAPI 3.1 document, from the same pydantic models that check and answer."""

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.codecs import tables
from app.codecs.json_body import (
    MOST_EXPLAINED,
    MOST_ROWS,
    Answer,
    Answers,
    BlockGroup,
    Logged,
    Recent,
)
from app.codecs.mlflow_invocations import KEYS
from app.problem_details import Problem
from housing.schema import FEATURES, NAMES

PLACE = "#/components/schemas/{model}"
JSON = {"application/json": {"schema": {"type": "object"}}}
TEXT = {"text/plain": {"schema": {"type": "string"}}}
NOT_YET = "Not yet; the problem says why and what to do"
ABOUT = (
    "Median house values of 1990 census block groups, from the registered champion. Every answer "
    "is logged under its id before it leaves. An answer carries X-Request-ID, the caller's own if "
    "it sent one, and passes a W3C traceparent on. Where the service asks for an API key, it is "
    "sent as X-API-Key or as a bearer token."
)
SECRETS = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
NOT_SCORED = {
    "400": "The body is no such request, or a value is out of range",
    "413": "The body is too large",
    "415": "The content type is another",
    "503": "No champion yet, or the log cannot be written",
}
EXAMPLE = {name: feature.example for name, feature in FEATURES.items()}


@cache
def document() -> dict[str, Any]:
    """The whole document."""
    told = (BlockGroup, Answer, Answers, Recent, Logged, Problem)
    models = [(one, "validation") for one in told]
    _, schemas = models_json_schema(models, ref_template=PLACE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "California house values",
            "version": "1",
            "description": ABOUT,
        },
        "paths": {
            "/predict": {"post": _predict()},
            "/invocations": {"post": _invocations()},
            "/predictions": {"get": _recent()},
            "/predictions/{id}": {"get": _logged()},
            "/health": {"get": _get("health", "Is the process alive?", JSON)},
            "/ready": {"get": _get("ready", "Can it answer?", JSON, NOT_YET)},
            "/model": {"get": _get("model", "What serves, and where it comes from", JSON, NOT_YET)},
            "/metrics": {"get": _get("metrics", "For Prometheus", TEXT)},
            "/ping": {"get": _ping()},
            "/version": {"get": _get("version", "The MLflow whose protocol is spoken", TEXT)},
        },
        "components": {"schemas": schemas["$defs"], "securitySchemes": SECRETS},
    }


def _predict() -> dict[str, Any]:
    one, answer = _ref(BlockGroup), _ref(Answer)
    forms = {"application/json": {"schema": {"anyOf": [one, _list(one)]}, "example": EXAMPLE}}
    answers = {"application/json": {"schema": {"anyOf": [answer, _ref(Answers)]}}}
    return {
        "operationId": "predict",
        "summary": f"House values of one block group, or of a list of up to {MOST_ROWS:,}",
        "description": f"A table of up to {tables.MOST_ROWS:,} rows is taken too: "
        f"{', '.join(f'{it} ({kind})' for kind, it in tables.KINDS.items())}.",
        "parameters": [
            {
                "name": "explain",
                "in": "query",
                "description": f"what each feature adds, for the first {MOST_EXPLAINED} rows",
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
            "400": _problem("The body is not JSON"),
            "413": _problem("The body is too large"),
            "415": _problem("The content type is neither JSON nor a table's"),
            "422": _problem("A value is missing, unknown, of a wrong type, or out of range"),
            "503": _problem("No champion yet, or the log cannot be written"),
        },
    }


def _invocations() -> dict[str, Any]:
    """MLflow's scoring protocol. Of its forms the schema holds those that are lists of rows."""
    row = {
        "type": "object",
        "required": NAMES,
        "properties": {name: _number(name) for name in NAMES},
    }
    schema = {
        "oneOf": [
            {
                "type": "object",
                "required": [name],
                "properties": dict.fromkeys(KEYS, False) | {name: _list(row)},
            }
            for name in KEYS[1:]
        ]
    }
    example = {"dataframe_records": [EXAMPLE]}
    predictions = {"type": "object", "required": ["predictions"],
                   "properties": {"predictions": _list({"type": "number"})}}  # fmt: skip
    problem = {"type": "object", "required": ["error_code", "message"]}
    responses = {"200": _response("The predictions, in $100,000",
                                  {"application/json": {"schema": predictions}})}  # fmt: skip
    for status, why in NOT_SCORED.items():
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


def _recent() -> dict[str, Any]:
    logged = {"type": "object", "required": ["predictions"],
              "properties": {"predictions": {"type": "array", "items": _ref(Recent)}}}  # fmt: skip
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
            "422": _problem("A parameter is no number, or out of range"),
            "503": _problem("The log cannot be read"),
        },
    }


def _ping() -> dict[str, Any]:
    responses = {"200": _response("A model is loaded", TEXT), "404": _response("None is", TEXT)}
    return {"operationId": "ping", "summary": "MLflow's way to ask for health",
            "responses": responses}  # fmt: skip


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1, "maxItems": MOST_ROWS}


def _number(name: str) -> dict[str, Any]:
    feature = FEATURES[name]
    return {"type": "number", "minimum": feature.low, "maximum": feature.high,
            "description": f"{feature.meaning}, {feature.unit}"}  # fmt: skip


def _logged() -> dict[str, Any]:
    name = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "operationId": "logged",
        "summary": "An answer as it was logged, and what stands behind it",
        "parameters": [name],
        "responses": {
            "200": _response("The row", {"application/json": {"schema": _ref(Logged)}}),
            "404": _problem("No answer of that id is in the log"),
            "503": _problem("The log cannot be read"),
        },
    }


def _get(
    name: str, summary: str, content: dict[str, Any], not_yet: str | None = None
) -> dict[str, Any]:
    responses = {"200": _response(summary, content)}
    if not_yet:
        responses["503"] = _problem(not_yet)
    return {"operationId": name, "summary": summary, "responses": responses}


def _response(description: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": content}


def _problem(description: str) -> dict[str, Any]:
    return _response(description, {"application/problem+json": {"schema": _ref(Problem)}})


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": PLACE.format(model=model.__name__)}
