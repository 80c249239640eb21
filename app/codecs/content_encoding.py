"""Content codings (RFC 9110, 8.4.1): unpack the bodies of requests, and pack those of responses."""

from __future__ import annotations

import gzip
import zlib

from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from app.messages import MAX_PARSED_HEADER_CHARS, HttpRequest, HttpResponse
from app.problem_details import RequestError, request_error, shorten

GZIP_MAGIC = b"\x1f\x8b"  # the first bytes of gzip data
GZIP_WBITS, ZLIB_WBITS, RAW_DEFLATE_WBITS = 31, 15, -15  # of zlib
ACCEPTED_CODINGS = "gzip, deflate"
MAX_CODINGS = 3  # of one body, one after the other
MAX_GZIP_MEMBERS = 10_000  # of one body; a client that compresses in blocks has some hundreds
READ_CHUNK_BYTES = 16_384  # of a packed body, at once
GZIP_LEVEL = 1  # a third of the time of 6, and a sixth more bytes
# of predictions: those of a short request are packed on the event loop, and stay below this
MIN_PACKED_BYTES = 10_000
PACKED_MEDIA_TYPES = ("application/vnd.apache.parquet",)  # which gzip makes little smaller


class _DamagedBodyError(Exception):
    """Raised if a body cannot be unpacked; has what was unpacked, and whether it is too large."""

    def __init__(self, unpacked: bytes, problem: str = "") -> None:
        super().__init__(problem)
        self.unpacked, self.problem = unpacked, problem


def decode_body(request: HttpRequest, max_bytes: int) -> None:
    """Unpack a request's body in place; from then on it is as if it had been sent like that.

    If that fails, what could be unpacked is the body, for the log. Raises RequestError: 415 for an
    unknown coding, 400 for a damaged body, 413 for one that has more bytes than allowed.
    """
    if "content-encoding" not in request.headers:
        return
    codings = _parse_codings(request.headers["content-encoding"])
    packed, request.body = request.body, b""
    body = packed
    for layer, coding in reversed([*enumerate(codings)]):
        try:
            body = _unpack(body, coding, max_bytes) if body else body
        except _DamagedBodyError as error:
            request.body = error.unpacked if layer == 0 else b""
            if error.problem:
                raise request_error(400, f"the body {error.problem}") from None
            raise request_error(
                413,
                f"the body is larger than {max_bytes:,} bytes when it is unpacked; "
                "send the rows in several requests",
            ) from None
    _replace_body(request, body)


def try_decode_body(request: HttpRequest, max_bytes: int) -> bool:
    """Unpack a body if it is short, and return whether it was; otherwise it is left as it is."""
    packed = request.body
    try:
        decode_body(request, max_bytes)
    except RequestError:
        request.body = packed
        return False
    return True


def encode_response(request: HttpRequest, response: HttpResponse) -> None:
    """Pack the body of a response in place, if that pays and the client takes it."""
    if len(response.body) < MIN_PACKED_BYTES or response.media_type in PACKED_MEDIA_TYPES:
        return
    response.headers.append(("vary", "Accept-Encoding"))
    if accepts_gzip(request.headers.get("accept-encoding", "")):
        packed = pack(response.body)
        if len(packed) < len(response.body):
            response.body = packed
            response.headers.append(("content-encoding", "gzip"))


def pack(body: bytes) -> bytes:
    """Return a body packed by gzip, the same bytes at any time."""
    return gzip.compress(body, GZIP_LEVEL, mtime=0)


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether a header Accept-Encoding prefers gzip to an unpacked response."""
    codings = Accept(
        [
            (_coding_name(name), quality)
            for name, quality in parse_accept_header(accept_encoding[:MAX_PARSED_HEADER_CHARS])
        ]
    )
    identity_quality = dict(codings).get("identity", 0)
    return codings.quality("gzip") > 0 and codings.quality("gzip") >= identity_quality


def _parse_codings(header: str) -> list[str]:
    """Return the codings in the order in which they were applied. Raises RequestError (415)."""
    names = [_coding_name(name) for name in header.split(",")]
    codings = [name for name in names if name not in ("", "identity")]
    unknown = [name for name in codings if name not in ("gzip", "deflate")]
    if unknown or len(codings) > MAX_CODINGS:
        actual = shorten(unknown[0]) if unknown else f"{len(codings)} codings, one after the other"
        error = request_error(
            415, f"the content encoding is {actual}, expected {ACCEPTED_CODINGS} or none"
        )
        error.headers.append(("accept-encoding", ACCEPTED_CODINGS))
        raise error
    return codings


def _coding_name(name: str) -> str:
    """Return the name of a coding as RFC 9110 has it."""
    name = name.strip().lower()
    return "gzip" if name == "x-gzip" else name


def _replace_body(request: HttpRequest, body: bytes) -> None:
    request.body = body
    request.headers = {
        name: value for name, value in request.headers.items() if name != "content-encoding"
    }


def _unpack(packed: bytes, coding: str, max_bytes: int) -> bytes:
    """Return the unpacked bytes. Raises _DamagedBodyError.

    Stops as soon as there are more bytes than allowed: a small body may hold a huge one.
    """
    wbits = GZIP_WBITS if coding == "gzip" else _deflate_wbits(packed)
    chunks: list[bytes] = []
    size, position = 0, 0
    for _ in range(MAX_GZIP_MEMBERS):
        decompressor = zlib.decompressobj(wbits)
        while not decompressor.eof:
            packed_chunk = packed[position : position + READ_CHUNK_BYTES]
            if not packed_chunk:
                raise _DamagedBodyError(b"".join(chunks), f"ends before its {coding} data does")
            try:
                chunks.append(decompressor.decompress(packed_chunk, max_bytes + 1 - size))
            except zlib.error:
                problem = f"is not {coding} data, which its Content-Encoding says it is"
                raise _DamagedBodyError(b"".join(chunks), problem) from None
            size += len(chunks[-1])
            if size > max_bytes:
                raise _DamagedBodyError(b"".join(chunks))
            position += len(packed_chunk) - len(decompressor.unused_data)
        # gzip files may be padded with null bytes
        if not packed[position : position + 1].strip(b"\0") and not packed[position:].strip(b"\0"):
            return b"".join(chunks)
        if coding != "gzip":
            break  # nothing may follow
    raise _DamagedBodyError(b"".join(chunks), f"goes on after the end of its {coding} data")


def _deflate_wbits(packed: bytes) -> int:
    """Return the window bits of zlib's format, or of raw deflate data, which some clients send."""
    has_zlib_header = packed[0] & 0x0F == zlib.DEFLATED and int.from_bytes(packed[:2]) % 31 == 0
    return ZLIB_WBITS if has_zlib_header else RAW_DEFLATE_WBITS
