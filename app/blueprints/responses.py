"""Build Flask responses, in the forms that several blueprints need."""

from __future__ import annotations

import json
from typing import Any

from flask import Request, Response

from app.messages import JSON_MEDIA_TYPE, HttpResponse
from app.prediction_service import CODECS


def is_prediction_request(request: Request) -> bool:
    """Return whether the prediction service answers, logs, counts and packs by itself."""
    return request.method == "POST" and request.path in CODECS


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
