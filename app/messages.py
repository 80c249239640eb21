"""A request and its answer, free of any web framework, and what tells one request from another."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

JSON_MEDIA_TYPE, PROBLEM_MEDIA_TYPE = "application/json", "application/problem+json"
# what an id of a caller may be: nothing that could end a line or a header
CLIENT_REQUEST_ID_PATTERN = re.compile(r"[!-~]{1,128}")
TRACEPARENT_LENGTH = (
    55  # characters of a traceparent; what a later version adds means nothing to us
)
TRACEPARENT_PATTERN = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(slots=True)
class HttpRequest:
    """One request, its body read."""

    method: str
    path: str
    query_string: str  # as in the address, undecoded
    headers: Mapping[str, str]  # lower-case names
    body: bytes
    client_address: str = ""
    api_key_name: str | None = None  # the name of the API key
    id: str = ""
    received_at: str = ""  # UTC, ISO 8601
    started_at: float = field(default_factory=time.perf_counter)
    client_request_id: str | None = None
    traceparent: str | None = None

    def __post_init__(self) -> None:
        now = time.time()
        self.received_at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
        self.id = generate_request_id(now)
        given = self.headers.get("x-request-id")
        if given and CLIENT_REQUEST_ID_PATTERN.fullmatch(given):
            self.client_request_id = given
        parent = self.headers.get("traceparent")
        if parent and _is_valid_traceparent(parent):
            self.traceparent = parent[:TRACEPARENT_LENGTH]

    def latency_ms(self) -> float:
        """Milliseconds since it arrived."""
        return round((time.perf_counter() - self.started_at) * 1000, 3)

    def tracing_headers(self) -> list[tuple[str, str]]:
        """The headers that let a caller find this request again: its own id, or ours."""
        told = [("x-request-id", self.client_request_id or self.id)]
        if self.traceparent:  # we are the caller's child, under the caller's trace
            _, trace, _, flags, _ = TRACEPARENT_PATTERN.fullmatch(self.traceparent).groups()
            told.append(("traceparent", f"00-{trace}-{self.id[-16:]}-{flags}"))
        return told


@dataclass(slots=True)
class HttpResponse:
    """What leaves."""

    status: int
    media_type: str
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)


def json_response(
    content: object, status: int = 200, media_type: str = JSON_MEDIA_TYPE
) -> HttpResponse:
    """A reply of JSON."""
    return HttpResponse(status, media_type, orjson.dumps(content))


def generate_request_id(timestamp: float) -> str:
    """32 hex digits that sort by time, as a UUID of version 7 (RFC 9562): the log's index grows at
    its end, where a random key would touch a page anywhere for each row."""
    number = int(timestamp * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 7 << 76
    return f"{number & ~(0x3 << 62) | 0x2 << 62:032x}"


def _is_valid_traceparent(header_value: str) -> bool:
    """As W3C Trace Context defines it: an invalid one is treated as none."""
    found = TRACEPARENT_PATTERN.fullmatch(header_value)
    if not found or found[1] == "ff" or (found[1] == "00" and found[5]):
        return False
    return found[2].strip("0") != "" and found[3].strip("0") != ""
