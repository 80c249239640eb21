"""Connections that ask the real service without a pause, and what they were answered."""

import asyncio
import json
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager
from typing import NamedTuple

import orjson

from benchmarks import service as running


class Reply(NamedTuple):
    """One answer; at: seconds of the monotonic clock, when it had come."""

    at: float
    took: float
    status: int
    head: str
    answer: dict
    asked: dict


class Load:
    """What came back so far."""

    def __init__(self):
        self.replies, self.broken = [], []
        self.over = threading.Event()

    def statuses(self):
        return Counter(one.status for one in self.replies)

    def since(self, at):
        return [one for one in self.replies if one.at - one.took >= at]

    def answered(self):
        """id -> prediction, of every 200."""
        good = [one.answer for one in self.replies if one.status == 200]
        return {one["id"]: one["prediction"] for one in good}


@contextmanager
def load(service, connections=8, rows=500, seed=0):
    """Asks in a thread of its own until the block ends."""
    asked = running.rows(rows, seed)
    told = Load()

    async def ask(place):
        client, at = running.Client(service.port), place
        while not told.over.is_set():
            row, sent, at = asked[at % rows], time.monotonic(), at + connections
            try:
                status, head, body = await client.ask(running.post(orjson.dumps(row)))
            except ConnectionError as gone:
                told.broken.append(gone)
                await asyncio.sleep(0.05)
                continue
            now = time.monotonic()
            told.replies.append(Reply(now, now - sent, status, head, json.loads(body), row))
        client.close()

    async def everybody():
        await asyncio.gather(*(ask(place) for place in range(connections)))

    thread = threading.Thread(target=asyncio.run, args=(everybody(),))
    thread.start()
    try:
        yield told
    finally:
        told.over.set()
        thread.join()


def get(service, path):
    """Status and parsed or plain body of a page."""
    status, body = running.finished(running.Client(service.port).get(path))
    return status, json.loads(body) if body[:1] == b"{" else body


def logged(database):
    """id -> prediction of every answer in a log."""
    with closing(sqlite3.connect(database)) as log:
        wanted = "SELECT id, prediction FROM prediction WHERE status = 200"
        return dict(log.execute(wanted))


def lines(folder, name="api.log"):
    """Every line of a file and of those it was rotated to, parsed: a torn one is an error."""
    return [json.loads(line) for file in sorted(folder.glob(f"{name}*")) if file.suffix != ".lock"
            for line in file.read_text().splitlines()]  # fmt: skip


def answers(folder):
    """The id of every answer that the lines tell of, a line a request."""
    return [f"{one['request_id']}-{place}"
            for one in lines(folder) for place in range(len(one["answers"]))]  # fmt: skip
