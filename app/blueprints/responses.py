"""Read requests and build Flask responses, in the forms that several blueprints need."""

from __future__ import annotations

import json
from typing import Any

from flask import Request, Response, current_app, request

from app.messages import JSON_MEDIA_TYPE, HttpResponse
from app.prediction_service import CODECS
from app.problem_details import body_too_large_error


def is_prediction_request(http_request: Request) -> bool:
    """Return whether the prediction service answers, logs, counts and packs by itself."""
    return http_request.method == "POST" and http_request.path in CODECS


def read_body() -> bytes:
    """Return the body of the current request. Raises RequestError (413) if it is too large."""
    max_body_bytes = current_app.config["MAX_CONTENT_LENGTH"]
    # a body in chunks that is longer than this is cut there without an error, see LimitedStream
    request.max_content_length = max_body_bytes + 1
    body = request.get_data()
    if len(body) > max_body_bytes:
        raise body_too_large_error(max_body_bytes)
    return body


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
