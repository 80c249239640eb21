"""A request and its answer, free of any web framework, and what tells one request from another."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

JSON, PROBLEM = "application/json", "application/problem+json"
# what an id of a caller may be: nothing that could end a line or a header
CALLER_ID = re.compile(r"[!-~]{1,128}")
TRACE_SIZE = 55  # characters of a traceparent; what a later version adds means nothing to us
TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(slots=True)
class Asked:
    """One request, its body read."""

    method: str
    path: str
    query: str  # as in the address, undecoded
    headers: Mapping[str, str]  # lower-case names
    body: bytes
    client: str = ""
    caller: str | None = None  # the name of the API key
    id: str = ""
    asked_at: str = ""  # UTC, ISO 8601
    started: float = field(default_factory=time.perf_counter)
    caller_id: str | None = None
    traceparent: str | None = None

    def __post_init__(self) -> None:
        now = time.time()
        self.asked_at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
        self.id = new_id(now)
        given = self.headers.get("x-request-id")
        if given and CALLER_ID.fullmatch(given):
            self.caller_id = given
        parent = self.headers.get("traceparent")
        if parent and _is_trace(parent):
            self.traceparent = parent[:TRACE_SIZE]

    def latency(self) -> float:
        """Milliseconds since it arrived."""
        return round((time.perf_counter() - self.started) * 1000, 3)

    def traces(self) -> list[tuple[str, str]]:
        """The headers that let a caller find this request again: its own id, or ours."""
        told = [("x-request-id", self.caller_id or self.id)]
        if self.traceparent:  # we are the caller's child, under the caller's trace
            _, trace, _, flags, _ = TRACEPARENT.fullmatch(self.traceparent).groups()
            told.append(("traceparent", f"00-{trace}-{self.id[-16:]}-{flags}"))
        return told


@dataclass(slots=True)
class Reply:
    """What leaves."""

    status: int
    type: str
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)


def reply(content: object, status: int = 200, kind: str = JSON) -> Reply:
    """A reply of JSON."""
    return Reply(status, kind, orjson.dumps(content))


def new_id(now: float) -> str:
    """32 hex digits that sort by time, as a UUID of version 7 (RFC 9562): the log's index grows at
    its end, where a random key would touch a page anywhere for each row."""
    number = int(now * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 7 << 76
    return f"{number & ~(0x3 << 62) | 0x2 << 62:032x}"


def _is_trace(given: str) -> bool:
    """As W3C Trace Context defines it: an invalid one is treated as none."""
    found = TRACEPARENT.fullmatch(given)
    if not found or found[1] == "ff" or (found[1] == "00" and found[5]):
        return False
    return found[2].strip("0") != "" and found[3].strip("0") != ""
