"""Open-loop load: requests are sent at a given rate, whether or not the server keeps up.

Latency counts from the moment a request was due, so that the requests which a slow server keeps
waiting are slow too. It runs in a process of its own: other work of the benchmark's process would
be counted as the server's.
"""

import multiprocessing
import select
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from benchmarks.support.closed_loop_load import BROKEN, Connection

SILENCE_SECONDS = 30.0  # without an event on any connection, once no request can be sent
VERSION_FIELD = b'"model_version":"'


class TimedResponse(NamedTuple):
    """The outcome of one request; both times are seconds of the monotonic clock."""

    due: float
    received_at: float
    status: int  # BROKEN if no response came
    kind: str
    version: str  # of the model, if the response names it

    @property
    def seconds(self) -> float:
        """Latency, from the moment the request was due."""
        return self.received_at - self.due


def load_process() -> ProcessPoolExecutor:
    """Return an executor with one process, to which `run` can be submitted."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def run(
    port: int, requests: Sequence[tuple[str, bytes]], connections: int, rate: float, seconds: float
) -> list[TimedResponse]:
    """Send the requests, (kind, bytes) each, in turn and evenly spaced, `rate` per second."""
    poll, open_connections = select.epoll(), {}
    idle = deque(Connection(port, poll, open_connections) for _ in range(connections))
    busy: dict[Connection, tuple[float, str]] = {}  # -> when its request was due, and its kind
    responses: list[TimedResponse] = []
    start, n_sent, n_requests = time.monotonic(), 0, int(rate * seconds)
    while n_sent < n_requests or busy:
        current_time = time.monotonic()
        while idle and n_sent < n_requests and start + n_sent / rate <= current_time:
            kind, request = requests[n_sent % len(requests)]
            connection = idle.popleft()
            connection.send_next(request)
            busy[connection] = start + n_sent / rate, kind
            n_sent += 1
            if connection.socket.fileno() not in open_connections:  # nothing accepts a new one
                responses.append(_response(busy.pop(connection), BROKEN))
                idle.append(Connection(port, poll, open_connections))
        can_send = idle and n_sent < n_requests
        wait = start + n_sent / rate - current_time if can_send else SILENCE_SECONDS
        if wait <= 0:
            continue
        # select waits for microseconds, epoll for whole milliseconds
        if not select.select([poll], [], [], wait)[0] and wait == SILENCE_SECONDS:
            responses += [
                TimedResponse(due, current_time, BROKEN, kind, "") for due, kind in busy.values()
            ]
            break
        for descriptor, event in poll.poll(0):
            connection = open_connections[descriptor]
            status = connection.handle_event(event)
            if status is not None:
                version = _model_version(connection.response)
                responses.append(_response(busy.pop(connection), status, version))
                connection.must_close = connection.must_close or status == BROKEN
                idle.append(connection)
    for connection in list(open_connections.values()):
        connection.close()
    poll.close()
    return responses


def _response(request: tuple[float, str], status: int, version: str = "") -> TimedResponse:
    due, kind = request
    return TimedResponse(due, time.monotonic(), status, kind, version)


def _model_version(response: bytearray) -> str:
    position = response.find(VERSION_FIELD)
    if position < 0:
        return ""
    start = position + len(VERSION_FIELD)
    return response[start : response.index(b'"', start)].decode()
