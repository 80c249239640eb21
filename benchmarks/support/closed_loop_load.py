"""Closed-loop load: each connection sends its next request as soon as it has read a response.

One process, raw sockets and epoll: about 10 us a request, so that the server is measured.
"""

import select
import socket
import time
from collections.abc import Sequence
from itertools import cycle
from typing import NamedTuple

import numpy as np

SILENCE_SECONDS = 30  # without an event on any connection; then the open ones count as errors
RECEIVE_BYTES = 1 << 18
BROKEN = 0  # the status of a response that never came
HEADERS_END = b"\r\n\r\n"
CONTENT_LENGTH = b"\r\ncontent-length:"


class LoadResult(NamedTuple):
    """Throughput, latencies and errors of one run."""

    rate: float  # correct responses per second
    p50: float  # ms, of the correct responses
    p99: float
    errors: int  # statuses other than 200, and connections that broke before their response


def run(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> LoadResult:
    """Send the requests in turn for `seconds`, then wait for the outstanding responses."""
    poll, open_connections, pending = select.epoll(), {}, cycle(requests)
    latencies, errors = [], 0
    start = last_response = time.perf_counter()
    try:
        clients = [Connection(port, poll, open_connections) for _ in range(connections)]
        for connection in clients:
            connection.send(next(pending))
    except OSError:
        return LoadResult(0, np.nan, np.nan, connections)
    while open_connections:
        events = poll.poll(SILENCE_SECONDS)
        if not events:
            errors += len(open_connections)
            break
        for descriptor, event in events:
            connection = open_connections[descriptor]
            status = connection.handle_event(event)
            if status is None:
                continue
            last_response = time.perf_counter()
            if status == 200:
                latencies.append(last_response - connection.sent_at)
            else:
                errors += 1
            if last_response - start < seconds:
                connection.send_next(next(pending))
            else:
                connection.close()
    for connection in list(open_connections.values()):
        connection.close()
    poll.close()
    p50, p99 = np.percentile(latencies, [50, 99]) * 1e3 if latencies else (np.nan, np.nan)
    return LoadResult(len(latencies) / (last_response - start), p50, p99, errors)


def encode_request(path: str, body: bytes, content_type: str, method: str = "POST") -> bytes:
    """Return the bytes of an HTTP/1.1 request."""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class Connection:
    """A keep-alive connection with at most one outstanding request."""

    def __init__(
        self, port: int, poll: select.epoll, open_connections: dict[int, "Connection"]
    ) -> None:
        """Connect; open_connections: descriptor -> connection, shared by all of one poll."""
        self.port, self.poll, self.open_connections = port, poll, open_connections
        self.response = bytearray()
        self.connect()

    def connect(self) -> None:
        """Open the socket and register it. Raises OSError if nothing listens on the port."""
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.poll.register(self.socket, select.EPOLLIN)
        self.open_connections[self.socket.fileno()] = self
        self.unsent, self.must_close = memoryview(b""), False

    def close(self) -> None:
        """Close the socket; remove it from the poll and from the open connections."""
        del self.open_connections[self.socket.fileno()]
        self.poll.unregister(self.socket)
        self.socket.close()

    def send(self, request: bytes) -> None:
        """Start a request; what does not fit into the socket's buffer follows on EPOLLOUT."""
        self.response.clear()
        # Offsets in the response: its end if it has a content-length, else its next chunk; 0 until
        # the headers have arrived.
        self.response_end = self.next_chunk = 0
        self.sent_at = time.perf_counter()
        try:
            sent_bytes = self.socket.send(request)
        except OSError:  # the poll will report it
            sent_bytes = 0
        self.unsent = memoryview(request)[sent_bytes:]
        if self.unsent:
            self.poll.modify(self.socket, select.EPOLLIN | select.EPOLLOUT)

    def send_next(self, request: bytes) -> None:
        """Send another request, on a new socket if the old one cannot be reused.

        If nothing accepts the new socket, the connection stays closed.
        """
        if self.must_close or self.unsent:  # closed, or answered before it was read entirely
            self.close()
            try:
                self.connect()
            except OSError:
                return
        self.send(request)

    def handle_event(self, event: int) -> int | None:
        """Send and receive what is possible; return the status of a complete response.

        Returns BROKEN if the connection ended, None while the response is incomplete.
        """
        try:
            if event & select.EPOLLOUT:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
                if not self.unsent:
                    self.poll.modify(self.socket, select.EPOLLIN)
            if event == select.EPOLLOUT:
                return None
            received = self.socket.recv(RECEIVE_BYTES)
        except OSError:
            received = b""
        self.response += received
        if self._is_complete():
            return int(self.response[9:12])
        self.must_close = self.must_close or not received
        return None if received else BROKEN

    def _is_complete(self) -> bool:
        if not self.response_end and not self.next_chunk and not self._read_headers():
            return False
        if self.response_end:
            return len(self.response) >= self.response_end
        return self._has_last_chunk()

    def _read_headers(self) -> bool:
        """Find out where the response ends; return False until its headers are complete."""
        headers_end = self.response.find(HEADERS_END)
        if headers_end < 0:
            return False
        headers = bytes(self.response[:headers_end]).lower()
        self.must_close = b"\r\nconnection: close" in headers
        body_start = headers_end + len(HEADERS_END)
        position = headers.find(CONTENT_LENGTH)
        if position >= 0:
            value = headers[position + len(CONTENT_LENGTH) :].split(b"\r\n", 1)[0]
            self.response_end = body_start + int(value)
        else:
            self.next_chunk = body_start
        return True

    def _has_last_chunk(self) -> bool:
        """Skip the chunks received so far; return whether the empty, last one is among them."""
        while (line_end := self.response.find(b"\r\n", self.next_chunk)) >= 0:
            length = int(self.response[self.next_chunk : line_end].split(b";")[0], 16)
            chunk_end = line_end + 2 + length + 2
            if chunk_end > len(self.response):
                return False
            if not length:
                return True
            self.next_chunk = chunk_end
        return False
