"""Asks a server at a given rate, whether or not it keeps up: what an answer took counts from when
its request was due, so that the requests that a slow one keeps waiting are slow too.

In a process of its own, as what else this one does would count as the server's.
"""

import multiprocessing
import select
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from benchmarks.support.closed_loop_load import BROKEN, Connection

PATIENCE = 30.0  # seconds for what is due at the end
VERSION = b'"model_version":"'


class Answer(NamedTuple):
    """What became of a request; both times are seconds of the monotonic clock."""

    due: float
    at: float
    status: int  # BROKEN if none came
    kind: str
    version: str  # of the model, where the answer begins with it


def client() -> ProcessPoolExecutor:
    """Where `run` can be submitted to."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def run(
    port: int, requests: Sequence[tuple[str, bytes]], connections: int, rate: float, seconds: float
) -> list[Answer]:
    """Asks the requests, (kind, bytes) each, in turn, evenly spaced at so many a second."""
    poll, opened = select.epoll(), {}
    free = deque(Connection(port, poll, opened) for _ in range(connections))
    busy: dict[Connection, tuple[float, str]] = {}
    found: list[Answer] = []
    begun, asked, count = time.monotonic(), 0, int(rate * seconds)
    while asked < count or busy:
        now = time.monotonic()
        while free and asked < count and begun + asked / rate <= now:
            kind, request = requests[asked % len(requests)]
            one = free.popleft()
            one.again(request)
            busy[one] = begun + asked / rate, kind
            asked += 1
            if one.socket.fileno() not in opened:  # nobody takes a new connection
                found.append(Answer(*_done(busy, one), BROKEN, kind, ""))
                free.append(Connection(port, poll, opened))
        wait = begun + asked / rate - now if free and asked < count else PATIENCE
        if wait <= 0:
            continue
        # select waits for microseconds, epoll for whole milliseconds
        if not select.select([poll], [], [], wait)[0] and wait == PATIENCE:
            found += [Answer(due, now, BROKEN, kind, "") for due, kind in busy.values()]
            break
        for number, event in poll.poll(0):
            one = opened[number]
            status = one.turn(event)
            if status is not None:
                kind = busy[one][1]
                found.append(Answer(*_done(busy, one), status, kind, _version(one.data)))
                one.ending = one.ending or status == BROKEN
                free.append(one)
    for one in list(opened.values()):
        one.close()
    poll.close()
    return found


def _done(busy: dict[Connection, tuple[float, str]], one: Connection) -> tuple[float, float]:
    due, _ = busy.pop(one)
    return due, time.monotonic()


def _version(answer: bytearray) -> str:
    at = answer.find(VERSION)
    if at < 0:
        return ""
    begins = at + len(VERSION)
    return answer[begins : answer.index(b'"', begins)].decode()
