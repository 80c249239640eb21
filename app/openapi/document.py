"""The OpenAPI document, generated from the table of endpoints and pydantic's JSON schemas."""

import re
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from app.auth.api_keys import PUBLIC_PATHS
from app.messages import JSON_MEDIA_TYPE, PROBLEM_MEDIA_TYPE
from app.openapi.endpoints import ENDPOINTS, Endpoint
from app.problem_details import ProblemDetails

API_DESCRIPTION = (
    "Median house values of 1990 census block groups, predicted by the registered champion. Every "
    "prediction is logged under its id before it is sent. A response carries X-Request-ID, the "
    "client's own if it sent one, and passes a W3C traceparent on. An API key, if the service "
    "needs one, is sent as X-API-Key or as a bearer token."
)
STATUS_DESCRIPTIONS = {
    200: "Success",
    400: "The body cannot be read",
    401: "The API key is missing or unknown",
    404: "There is no such prediction, or no model yet",
    408: "The body did not arrive in time",
    413: "The body is too large",
    415: "The content type is not supported",
    422: "A value is missing, unknown, of a wrong type, or out of range",
    429: "The API key is over its limit; Retry-After says when to try again",
    503: "No champion yet, or the log cannot be used; the problem says which",
}
SECURITY_SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
REF_TEMPLATE = "#/components/schemas/{model}"


@cache
def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    types = [body for row in ENDPOINTS for body in (row.request, row.response, row.error)]
    schemas, definitions = TypeAdapter.json_schemas(
        [(str(body), "validation", TypeAdapter(body)) for body in types if body],
        ref_template=REF_TEMPLATE,
    )
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        operation = _operation(endpoint, {name: schema for (name, _), schema in schemas.items()})
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "California house values", "version": "1", "description": API_DESCRIPTION
        },
        "paths": paths,
        "components": {"schemas": definitions["$defs"], "securitySchemes": SECURITY_SCHEMES},
    }  # fmt: skip


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the operation of an endpoint. schemas: by the name of the type."""
    is_public = endpoint.path in PUBLIC_PATHS
    responses = {200: endpoint.response} | dict.fromkeys(endpoint.errors, endpoint.error)
    if not is_public:
        responses |= dict.fromkeys((401, 429), endpoint.error)
    operation: dict[str, Any] = {
        "operationId": endpoint.operation_id,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "description": endpoint.description,
        "security": [] if is_public else [{}, *({name: []} for name in SECURITY_SCHEMES)],
        "parameters": _parameters(endpoint),
        "responses": {
            str(status): {
                "description": STATUS_DESCRIPTIONS[status],
                "content": {_media_type(body): {"schema": schemas[str(body)]}},
            }
            for status, body in responses.items()
        },
    }
    if endpoint.request:
        media = {"schema": schemas[str(endpoint.request)], "example": endpoint.example}
        operation["requestBody"] = {"required": True, "content": {JSON_MEDIA_TYPE: media}}
    return operation


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    """Return the parameters in the path, which are required, and in the query, which are not."""
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", endpoint.path)
    ]
    if endpoint.query:
        for name, schema in endpoint.query.model_json_schema()["properties"].items():
            parameter = {"name": name, "in": "query", "required": False, "schema": schema}
            parameters.append(parameter | {"description": schema.pop("description")})
    return parameters


def _media_type(body: Any) -> str:
    if body is str:
        return "text/plain"
    return PROBLEM_MEDIA_TYPE if body is ProblemDetails else JSON_MEDIA_TYPE
