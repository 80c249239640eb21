"""Build Flask responses, in the forms that several blueprints need."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, current_app

from app.messages import JSON_MEDIA_TYPE, HttpResponse
from app.problem_details import RequestError, request_error


def flask_response(http_response: HttpResponse) -> Response:
    """Return the framework-free response as one of Flask."""
    response = Response(
        http_response.body, http_response.status, content_type=http_response.media_type
    )
    response.headers.extend(http_response.headers)
    return response


def json_response(content: Any) -> Response:
    """Return a response of status 200 whose body is the content as JSON."""
    return Response(json.dumps(content), content_type=JSON_MEDIA_TYPE)


def body_too_large_error() -> RequestError:
    """Return the error of a request whose body is larger than MAX_CONTENT_LENGTH."""
    limit = current_app.config["MAX_CONTENT_LENGTH"]
    return request_error(
        413, f"the body is larger than {limit:,} bytes; send the rows in several requests"
    )
