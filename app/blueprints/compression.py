"""Pack responses by gzip, where the client takes it and it pays."""

from __future__ import annotations

from flask import Flask, Response, request

from app.blueprints.responses import is_prediction_request
from app.codecs import content_encoding

MIN_PACKED_BYTES = 1_000  # a shorter response fits into one or two packets anyway
MAX_PACKED_BYTES = 50_000_000  # of a file: it is packed in memory
TEXT_MEDIA_TYPES = (
    "text/",
    "application/json",
    "application/problem+json",
    "application/javascript",
    "application/xml",
    "image/svg+xml",
)


def init_app(app: Flask) -> None:
    """Pack the responses of the Flask app; those to predictions are packed by their service."""
    app.after_request(_pack_response)


def _pack_response(response: Response) -> Response:
    if is_prediction_request(request):
        return response
    if response.status_code == 304:
        return _match_validator(response)
    size = response.content_length or response.calculate_content_length() or 0
    if not (response.mimetype or "").startswith(TEXT_MEDIA_TYPES) or size < MIN_PACKED_BYTES:
        return response
    response.vary.add("Accept-Encoding")
    is_whole = response.status_code != 206 and "content-encoding" not in response.headers
    if (
        is_whole
        and size <= MAX_PACKED_BYTES
        and content_encoding.accepts_gzip(request.headers.get("Accept-Encoding", ""))
    ):
        response.direct_passthrough = False  # a file is read now
        response.set_data(content_encoding.pack(response.get_data()))
        response.headers["Content-Encoding"] = "gzip"
        response.headers.pop("Accept-Ranges", None)  # a part would be one of the unpacked file
        _weaken_etag(response)
    return response


def _match_validator(response: Response) -> Response:
    """Name the packed variant where the client has that one: a cache would keep no other."""
    response.vary.add("Accept-Encoding")
    etag, _ = response.get_etag()
    if etag and request.if_none_match.is_weak(etag):
        _weaken_etag(response)
    return response


def _weaken_etag(response: Response) -> None:
    """Say that the packed file has the same content, and not the same bytes."""
    etag, is_weak = response.get_etag()
    if etag and not is_weak:
        response.set_etag(etag, weak=True)
