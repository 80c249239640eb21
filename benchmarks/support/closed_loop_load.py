"""Asks a server in a closed loop: each connection asks again as soon as its answer is there.

One process, raw sockets and epoll: some 10 us a request, so that it is the server that is measured.
"""

import select
import socket
import time
from collections.abc import Sequence
from itertools import cycle
from typing import NamedTuple

import numpy as np

PATIENCE = 30  # seconds without a word from any connection: then what is open counts as errors
PIECE = 1 << 18  # bytes read at once
BROKEN = 0  # instead of a status


class Load(NamedTuple):
    """What a run of requests met."""

    rate: float  # right answers a second
    p50: float  # ms, of the right answers
    p99: float
    errors: int  # answers other than 200, and connections that broke before their answer


def run(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Asks the requests in turn for that long, and waits for the answers that are then due."""
    poll, opened, given = select.epoll(), {}, cycle(requests)
    times, errors = [], 0
    begun = last = time.perf_counter()
    try:
        for one in [Connection(port, poll, opened) for _ in range(connections)]:
            one.ask(next(given))
    except OSError:
        return Load(0, np.nan, np.nan, connections)
    while opened:
        ready = poll.poll(PATIENCE)
        if not ready:
            errors += len(opened)
            break
        for number, event in ready:
            one = opened[number]
            status = one.turn(event)
            if status is None:
                continue
            last = time.perf_counter()
            if status == 200:
                times.append(last - one.begun)
            else:
                errors += 1
            if last - begun < seconds:
                one.again(next(given))
            else:
                one.close()
    for one in list(opened.values()):
        one.close()
    poll.close()
    p50, p99 = np.percentile(times, [50, 99]) * 1e3 if times else (np.nan, np.nan)
    return Load(len(times) / (last - begun), p50, p99, errors)


def request(path: str, body: bytes, content_type: str, method: str = "POST") -> bytes:
    """As it is sent."""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class Connection:
    """Kept alive, with one request under way."""

    def __init__(self, port: int, poll: select.epoll, opened: dict[int, "Connection"]) -> None:
        self.port, self.poll, self.opened = port, poll, opened
        self.data = bytearray()
        self.connect()

    def connect(self) -> None:
        """Raises OSError if nobody listens."""
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.poll.register(self.socket, select.EPOLLIN)
        self.opened[self.socket.fileno()] = self
        self.rest, self.ending = memoryview(b""), False

    def close(self) -> None:
        """Leaves the poll and the others, too."""
        del self.opened[self.socket.fileno()]
        self.poll.unregister(self.socket)
        self.socket.close()

    def ask(self, request: bytes) -> None:
        """Begins a request; what the socket has no room for goes when it has."""
        self.data.clear()
        self.size = self.chunk = 0  # where the answer, and its next chunk, is known to end
        self.begun = time.perf_counter()
        try:
            sent = self.socket.send(request)
        except OSError:  # the poll will tell
            sent = 0
        self.rest = memoryview(request)[sent:]
        if self.rest:
            self.poll.modify(self.socket, select.EPOLLIN | select.EPOLLOUT)

    def again(self, request: bytes) -> None:
        """Asks, on a new connection where the old one is of no more use, or leaves for good."""
        if self.ending or self.rest:  # closed, or answered before it had read the request
            self.close()
            try:
                self.connect()
            except OSError:
                return
        self.ask(request)

    def turn(self, event: int) -> int | None:
        """Sends and reads what it can; the status of a whole answer, BROKEN, or None: not yet."""
        try:
            if event & select.EPOLLOUT:
                self.rest = self.rest[self.socket.send(self.rest) :]
                if not self.rest:
                    self.poll.modify(self.socket, select.EPOLLIN)
            if event == select.EPOLLOUT:
                return None
            piece = self.socket.recv(PIECE)
        except OSError:
            piece = b""
        self.data += piece
        if self._whole():
            return int(self.data[9:12])
        self.ending = self.ending or not piece
        return None if piece else BROKEN

    def _whole(self) -> bool:
        if not self.size and not self.chunk and not self._headers():
            return False
        return len(self.data) >= self.size if self.size else self._last_chunk()

    def _headers(self) -> bool:
        """Learns where the answer ends, once its headers are there."""
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.data[:end]).lower()
        self.ending = b"\r\nconnection: close" in head
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            self.size = end + 4 + int(head[at + 17 :].split(b"\r\n", 1)[0])
        else:
            self.chunk = end + 4
        return True

    def _last_chunk(self) -> bool:
        """Walks over the chunks that are there; whether the empty one is among them."""
        while (line := self.data.find(b"\r\n", self.chunk)) >= 0:
            length = int(self.data[self.chunk : line].split(b";")[0], 16)
            after = line + 2 + length + 2
            if after > len(self.data):
                return False
            if not length:
                return True
            self.chunk = after
        return False
