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

from benchmarks.support import local_service as running


class TimedResponse(NamedTuple):
    """One answer; at: seconds of the monotonic clock, when it had come."""

    received_at: float
    duration_seconds: float
    status: int
    headers: str
    body: dict
    block_group: dict


class LoadResults:
    """What came back so far."""

    def __init__(self):
        self.responses, self.connection_errors = [], []
        self.stop_event = threading.Event()

    def count_statuses(self):
        return Counter(one.status for one in self.responses)

    def responses_since(self, start_time):
        return [one for one in self.responses if one.at - one.took >= start_time]

    def predictions_by_id(self):
        """id -> prediction, of every 200."""
        good = [one.answer for one in self.responses if one.status == 200]
        return {one["id"]: one["prediction"] for one in good}


@contextmanager
def generate_load(service, connections=8, row_count=500, seed=0):
    """Asks in a thread of its own until the block ends."""
    asked = running.rows(row_count, seed)
    told = LoadResults()

    async def ask(client_number):
        client, at = running.Client(service.port), client_number
        while not told.stop_event.is_set():
            row, sent, at = asked[at % row_count], time.monotonic(), at + connections
            try:
                status, head, body = await client.ask(running.post(orjson.dumps(row)))
            except ConnectionError as gone:
                told.connection_errors.append(gone)
                await asyncio.sleep(0.05)
                continue
            now = time.monotonic()
            told.responses.append(
                TimedResponse(now, now - sent, status, head, json.loads(body), row)
            )
        client.close()

    async def everybody():
        await asyncio.gather(*(ask(place) for place in range(connections)))

    thread = threading.Thread(target=asyncio.run, args=(everybody(),))
    thread.start()
    try:
        yield told
    finally:
        told.stop_event.set()
        thread.join()


def get_page(service, path):
    """Status and parsed or plain body of a page."""
    status, body = running.run_coroutine(running.Client(service.port).get(path))
    return status, json.loads(body) if body[:1] == b"{" else body


def logged_predictions(database):
    """id -> prediction of every answer in a log."""
    with closing(sqlite3.connect(database)) as log:
        wanted = "SELECT id, prediction FROM prediction WHERE status = 200"
        return dict(log.execute(wanted))


def read_json_lines(folder, file_name="api.log"):
    """Every line of a file and of those it was rotated to, parsed: a torn one is an error."""
    return [json.loads(line) for file in sorted(folder.glob(f"{file_name}*")) if file.suffix != ".lock"
            for line in file.read_text().splitlines()]  # fmt: skip


def prediction_ids(folder):
    """The id of every answer that the lines tell of, a line a request."""
    return [f"{one['request_id']}-{place}"
            for one in read_json_lines(folder) for place in range(len(one["answers"]))]  # fmt: skip
