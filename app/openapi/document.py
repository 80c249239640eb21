"""The OpenAPI document, generated from the table of endpoints and pydantic's JSON schemas."""

import re
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from app.auth.api_keys import PUBLIC_PATHS
from app.openapi.endpoints import ENDPOINTS, TAG_DESCRIPTIONS, Content, Endpoint
from app.openapi.json_schema import OpenApiJsonSchema

API_DESCRIPTION = (
    "Median house values of 1990 census block groups, predicted by the registered champion. Every "
    "prediction is logged under its id before it is sent. A response carries X-Request-ID, the "
    "client's own if it sent one, and passes a W3C traceparent on. A body may be packed by gzip or "
    "deflate, which Content-Encoding says; a response is if Accept-Encoding allows it. An API key, "
    "if the service needs one, is sent as X-API-Key or as a bearer token."
)
STATUS_DESCRIPTIONS = {
    200: "Success",
    202: "The true values are in the log, but for those of the rows that are named",
    400: "The body cannot be read",
    401: "The API key is missing or unknown",
    404: "There is no such prediction, no model yet, or no verdict of the monitoring",
    406: "The header Accept excludes every format that there is",
    408: "The body did not arrive in time",
    413: "The body is too large",
    415: "The content type, its charset or the content encoding is not supported",
    422: "A value is missing, unknown, of a wrong type, or out of range",
    429: "The API key is over its limit; Retry-After says when to try again",
    503: "No champion yet, or the log cannot be used; the problem says which",
}
SECURITY_SCHEMES = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
REQUEST_ID_HEADER, RETRY_HEADER = "X-Request-ID", "Retry-After"
RESPONSE_HEADERS: dict[str, dict[str, Any]] = {
    REQUEST_ID_HEADER: {
        "description": "identifies the request: as the client sent it, else of the service",
        "schema": {"type": "string"},
    },
    RETRY_HEADER: {
        "description": "the seconds after which to try again",
        "schema": {"type": "integer"},
    },
    "WWW-Authenticate": {
        "description": "how to send the API key",
        "schema": {"type": "string"},
    },
}
HEADERS_BY_STATUS = {401: ("WWW-Authenticate",), 429: (RETRY_HEADER,), 503: (RETRY_HEADER,)}
TRACING_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": name,
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": description,
    }
    for name, description in (
        (REQUEST_ID_HEADER, "the client's own id of the request, 1 to 128 visible characters"),
        ("traceparent", "W3C Trace Context"),
    )
]
REF_TEMPLATE = "#/components/schemas/{model}"


@cache
def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document.

    It is of version 3.0, as several generators of clients read no later one.
    """
    contents = [content for row in ENDPOINTS for content in (row.request, row.response, row.error)]
    body_types = {str(body): body for content in contents if content for body in content.values()}
    schemas, definitions = TypeAdapter.json_schemas(
        [(name, "validation", TypeAdapter(body)) for name, body in body_types.items()],
        ref_template=REF_TEMPLATE,
        schema_generator=OpenApiJsonSchema,
    )
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        operation = _operation(endpoint, {name: schema for (name, _), schema in schemas.items()})
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "California house values", "version": "1", "description": API_DESCRIPTION
        },
        "tags": [{"name": tag, "description": text} for tag, text in TAG_DESCRIPTIONS.items()],
        "paths": paths,
        "components": {"schemas": definitions["$defs"], "securitySchemes": SECURITY_SCHEMES},
    }  # fmt: skip


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the operation of an endpoint. schemas: by the name of the type."""
    is_public = endpoint.path in PUBLIC_PATHS
    responses = {endpoint.success: endpoint.response} | dict.fromkeys(
        endpoint.errors, endpoint.error
    )
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
                "headers": _response_headers(status),
                "content": _media_types(content, schemas),
            }
            for status, content in sorted(responses.items())
        },
    }
    if endpoint.request:
        media_types = _media_types(endpoint.request, schemas)
        for media_type, example in (endpoint.examples or {}).items():
            media_types[media_type]["example"] = example
        operation["requestBody"] = {"required": True, "content": media_types}
    return operation


def _media_types(content: Content, schemas: dict[str, Any]) -> dict[str, Any]:
    return {media_type: {"schema": schemas[str(body)]} for media_type, body in content.items()}


def _response_headers(status: int) -> dict[str, Any]:
    names = (REQUEST_ID_HEADER, *HEADERS_BY_STATUS.get(status, ()))
    return {name: RESPONSE_HEADERS[name] | {"required": True} for name in names}


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    """Return the parameters in the path, which are required, and those in query and headers."""
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", endpoint.path)
    ]
    if endpoint.query:
        query_schema = endpoint.query.model_json_schema(schema_generator=OpenApiJsonSchema)
        for name, schema in query_schema["properties"].items():
            parameter = {"name": name, "in": "query", "required": False, "schema": schema}
            parameters.append(parameter | {"description": schema.pop("description")})
    return parameters + (TRACING_PARAMETERS if endpoint.request else [])
