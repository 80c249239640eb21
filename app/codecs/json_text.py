"""The character encoding of a JSON body: UTF-8 by RFC 8259, and what clients send nevertheless."""

from __future__ import annotations

import codecs
from functools import lru_cache

from werkzeug.http import parse_options_header

from app.messages import MAX_PARSED_HEADER_CHARS, HttpRequest
from app.problem_details import request_error, shorten
from housing.text import find_byte_order_mark

UTF_8 = "utf-8"
# by which of the first four bytes are null (0)
ENCODINGS_BY_NULL_BYTES = {
    "000x": "utf-32-be",
    "x000": "utf-32-le",
    "0x0x": "utf-16-be",
    "x0x0": "utf-16-le",
}
# Python's names of what a charset may name beside UTF-8, -16 and -32
SINGLE_BYTE_ENCODINGS = ("ascii", "iso8859-1", "iso8859-15", "cp1252")
EXPECTED_CHARSETS = "UTF-8, UTF-16, UTF-32, US-ASCII, ISO-8859-1, ISO-8859-15 or Windows-1252"


def convert_to_utf8(request: HttpRequest) -> None:
    """Convert a request's JSON body to UTF-8 without a byte order mark, in place.

    Raises RequestError: 415 for an unknown charset, 400 for a body that has another one than its
    content type says.
    """
    body, content_type = request.body, request.headers.get("content-type", "")
    if body[:1] in (b"{", b"[", b"") and body[1:2] != b"\0" and ";" not in content_type:
        return  # as nearly all requests are
    charset, declared = _parse_charset(content_type[:MAX_PARSED_HEADER_CHARS])
    mark, detected = _detect_encoding(body)
    encoding = detected
    if declared in SINGLE_BYTE_ENCODINGS and detected == UTF_8 and not mark:
        encoding = declared
    elif declared and not detected.startswith(declared):
        raise request_error(
            400, f"the body is in {detected.upper()}, and its content type says {charset[:40]}"
        )
    if encoding == UTF_8:
        request.body = body[len(mark) :]
        return
    try:
        request.body = body[len(mark) :].decode(encoding).encode()
    except UnicodeDecodeError as error:
        raise request_error(
            400, f"the body is no text in {encoding.upper()}: {error.reason} at byte {error.start}"
        ) from None


@lru_cache(maxsize=64)
def _parse_charset(content_type: str) -> tuple[str, str]:
    """Return the charset of a content type and Python's name of it; both "" if there is none.

    Raises RequestError (415) for a charset that is not read.
    """
    charset = parse_options_header(content_type)[1].get("charset", "").strip("' ")
    return charset, _find_encoding(charset) if charset else ""


def _find_encoding(charset: str) -> str:
    """Return Python's name of a charset. Raises RequestError (415) for one that is not read."""
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):  # a name with a null character
        name = ""
    if name not in (UTF_8, *SINGLE_BYTE_ENCODINGS) and not name.startswith(("utf-16", "utf-32")):
        raise request_error(
            415, f"the charset of the body is {shorten(charset)}, expected {EXPECTED_CHARSETS}"
        )
    return name


def _detect_encoding(body: bytes) -> tuple[bytes, str]:
    """Return a body's byte order mark, maybe empty, and its encoding.

    JSON begins with two ASCII characters, so null bytes show the encoding (RFC 4627, section 3).
    """
    mark, encoding = find_byte_order_mark(body)
    if mark:
        return mark, encoding
    null_pattern = "".join("0" if byte == 0 else "x" for byte in body[:4])
    return b"", ENCODINGS_BY_NULL_BYTES.get(null_pattern, UTF_8)
