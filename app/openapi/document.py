"""The OpenAPI document: which operation answers at which path."""

from functools import cache
from typing import Any

from app.openapi import operations
from app.openapi.components import JSON_OBJECT_CONTENT, PLAIN_TEXT_CONTENT, component_schemas

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


@cache
def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "California house values",
            "version": "1",
            "description": API_DESCRIPTION,
        },
        "paths": _paths(),
        "components": {"schemas": component_schemas(), "securitySchemes": SECURITY_SCHEMES},
    }


def _paths() -> dict[str, Any]:
    return {
        "/predict": {"post": operations.predict_operation()},
        "/invocations": {"post": operations.invocations_operation()},
        "/predictions": {"get": operations.list_predictions_operation()},
        "/predictions/{id}": {"get": operations.get_prediction_operation()},
        "/health": {
            "get": operations.status_operation(
                "health", "Report that the process is alive", JSON_OBJECT_CONTENT
            )
        },
        "/ready": {
            "get": operations.status_operation(
                "ready",
                "Report whether the service can answer",
                JSON_OBJECT_CONTENT,
                NOT_READY_DESCRIPTION,
            )
        },
        "/model": {
            "get": operations.status_operation(
                "model",
                "The model that serves, and where it comes from",
                JSON_OBJECT_CONTENT,
                NOT_READY_DESCRIPTION,
            )
        },
        "/metrics": {
            "get": operations.status_operation(
                "metrics", "Metrics for Prometheus", PLAIN_TEXT_CONTENT
            )
        },
        "/ping": {"get": operations.ping_operation()},
        "/version": {
            "get": operations.status_operation(
                "version",
                "The version of MLflow whose scoring protocol is implemented",
                PLAIN_TEXT_CONTENT,
            )
        },
    }
