"""Give each request of the Flask app an id, record it, and answer errors as problem details."""

from __future__ import annotations

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge

from app import cors
from app.auth.api_keys import PUBLIC_PATHS, ApiKeyAuth
from app.blueprints.responses import flask_response, is_prediction_request
from app.codecs import predict
from app.messages import HttpRequest
from app.metrics.metrics import get_metrics
from app.prediction_log import records
from app.prediction_log.writer import PredictionLogError, prediction_log
from app.prediction_service import LOG_UNAVAILABLE_MESSAGE, PredictionService
from app.problem_details import RequestError, body_too_large_error, request_error


def init_app(app: Flask) -> None:
    """Register the hooks and the error handlers of the Flask app."""
    app.before_request(_admit_request)
    app.after_request(_record_request)
    app.after_request(_finish_headers)
    app.register_error_handler(RequestError, _handle_request_error)
    app.register_error_handler(HTTPException, _handle_http_exception)
    app.register_error_handler(PredictionLogError, _handle_log_error)
    app.register_error_handler(Exception, _handle_unexpected_error)


def _admit_request() -> Response | None:
    """Give the request an id, check its API key and then the length of its body.

    Raises RequestError if it is refused; that response has the id, too. What the ASGI application
    has found out about a request comes with it. A browser that asks whether a page may send a
    request has no key yet.
    """
    state = request.environ.get("asgi.scope", {}).get("state", {})
    if "request" in state:
        g.http_request = state["request"]
        # the key of a prediction was checked, or is the error
        if state["error"] and is_prediction_request(request):
            raise state["error"]
    else:
        headers = {name.lower(): value for name, value in request.headers.items()}
        query_string = request.query_string.decode("latin-1")
        g.http_request = HttpRequest(
            request.method,
            request.path,
            query_string,
            headers,
            b"",
            request.remote_addr or "",
            path_prefix=request.script_root,
        )
    policy: cors.CorsPolicy | None = current_app.extensions["cors"]
    if policy and cors.is_preflight(policy, request.method, g.http_request.headers):
        return Response(status=204, headers=cors.preflight_headers())
    if request.path not in PUBLIC_PATHS:
        auth: ApiKeyAuth = current_app.extensions["api_key_auth"]
        g.http_request.api_key_name = auth.authenticate(g.http_request.headers)
    if state.get("error"):
        raise state["error"]
    if (request.content_length or 0) > _max_body_bytes():
        raise body_too_large_error(_max_body_bytes())
    return None


def _max_body_bytes() -> int:
    return current_app.config["MAX_CONTENT_LENGTH"]


def _record_request(response: Response) -> Response:
    """Count and log a request and add its tracing headers."""
    if is_prediction_request(request):
        return response
    endpoint = request.url_rule.rule if request.url_rule else "unknown"
    get_metrics().count("housing_requests", endpoint, str(response.status_code))
    get_metrics().observe("housing_request_seconds", g.http_request.latency_ms() / 1000, endpoint)
    line = records.request_line(g.http_request, response.status_code, g.get("log_fields", {}))
    prediction_log().write_line(line)
    for name, value in g.http_request.tracing_headers():
        response.headers[name] = value
    return response


def _finish_headers(response: Response) -> Response:
    """Say which pages may read a response, and leave the host out of a redirect.

    A proxy may have sent a host to the service that clients do not know.
    """
    policy: cors.CorsPolicy | None = current_app.extensions["cors"]
    if policy:
        for name, value in cors.response_headers(policy, request.headers.get("Origin", "")):
            if name == "vary":
                response.vary.add(value)
            else:
                response.headers[name] = value
    if response.location:
        response.location = response.location.removeprefix(request.host_url.rstrip("/"))
    return response


def _handle_request_error(error: RequestError) -> Response:
    if is_prediction_request(request):
        service: PredictionService = current_app.extensions["service"]
        return flask_response(service.reject_request(g.http_request, error))
    if error.status == 429:
        get_metrics().count("housing_shed_requests", "limit")
    return flask_response(predict.encode_error(g.http_request, error))


def _handle_http_exception(error: HTTPException) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        return _handle_request_error(body_too_large_error(_max_body_bytes()))
    if isinstance(error, ClientDisconnected):
        return _handle_request_error(request_error(400, "the body ends before its Content-Length"))
    response = _handle_request_error(request_error(error.code or 500, error.description or ""))
    response.headers.extend((name, value) for name, value in error.get_headers() if name == "Allow")
    return response


def _handle_log_error(error: PredictionLogError) -> Response:
    current_app.logger.error("the log cannot be used: %s", error)
    return _handle_request_error(request_error(503, LOG_UNAVAILABLE_MESSAGE))


def _handle_unexpected_error(error: Exception) -> Response:
    request_id = g.http_request.id
    current_app.logger.exception("request %s failed", request_id)
    return _handle_request_error(
        request_error(500, f"the service failed; its log has the reason under {request_id}")
    )
