"""The OpenAPI 3.1 document, from the same pydantic models that check and answer."""

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.contract import MOST_EXPLAINED, MOST_ROWS, Answer, Answers, BlockGroup, Logged, Problem
from housing.schema import FEATURES

PLACE = "#/components/schemas/{model}"
JSON = {"application/json": {"schema": {"type": "object"}}}
TEXT = {"text/plain": {"schema": {"type": "string"}}}
NOT_YET = "Not yet; the problem says why and what to do"
EXAMPLE = {name: feature.example for name, feature in FEATURES.items()}


@cache
def document() -> dict[str, Any]:
    """The whole document."""
    told = (BlockGroup, Answer, Answers, Logged, Problem)
    models = [(one, "validation") for one in told]
    _, schemas = models_json_schema(models, ref_template=PLACE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "California house values",
            "version": "1",
            "description": "Median house values of 1990 census block groups, from the registered "
            "champion. Every answer is logged under its id.",
        },
        "paths": {
            "/predict": {"post": _predict()},
            "/predictions/{id}": {"get": _logged()},
            "/health": {"get": _get("health", "Is the process alive?", JSON)},
            "/ready": {"get": _get("ready", "Can it answer?", JSON, NOT_YET)},
            "/model": {"get": _get("model", "What serves, and where it comes from", JSON, NOT_YET)},
            "/metrics": {"get": _get("metrics", "For Prometheus", TEXT)},
        },
        "components": {"schemas": schemas["$defs"]},
    }


def _predict() -> dict[str, Any]:
    one, answer = _ref(BlockGroup), _ref(Answer)
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": MOST_ROWS}
    return {
        "operationId": "predict",
        "summary": f"House values of one block group, or of a list of up to {MOST_ROWS:,}",
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
            "content": {"application/json": {"schema": {"anyOf": [one, many]}, "example": EXAMPLE}},
        },
        "responses": {
            "200": _response(
                "An answer, or a list of them under predictions",
                {"application/json": {"schema": {"anyOf": [answer, _ref(Answers)]}}},
            ),
            "400": _problem("The body is not JSON"),
            "413": _problem("The body is too large"),
            "415": _problem("The content type is not application/json"),
            "422": _problem("A value is missing, unknown, of a wrong type, or out of range"),
            "503": _problem("No champion yet, or the log cannot be written"),
        },
    }


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
