"""Connections that send requests to the real service without a pause, and their responses."""

import asyncio
import json
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager
from typing import NamedTuple

import orjson

from benchmarks.support import local_service


class TimedResponse(NamedTuple):
    """A response, its timing, and the block group it predicts.

    received_at: seconds of the monotonic clock.
    """

    received_at: float
    duration_seconds: float
    status: int
    headers: str
    body: dict
    block_group: dict


class LoadResults:
    """The responses and connection errors so far, and the event that stops the load."""

    def __init__(self):
        self.responses, self.connection_errors = [], []
        self.stop_event = threading.Event()

    def count_statuses(self):
        """Return how often each status came."""
        return Counter(response.status for response in self.responses)

    def responses_since(self, start_time):
        """Return the responses to requests sent at or after a time of the monotonic clock."""
        return [
            response
            for response in self.responses
            if response.received_at - response.duration_seconds >= start_time
        ]

    def predictions_by_id(self):
        """Return id -> prediction of every response with status 200."""
        bodies = [response.body for response in self.responses if response.status == 200]
        return {body["id"]: body["prediction"] for body in bodies}


@contextmanager
def generate_load(service, connections=8, row_count=500, seed=0):
    """Send POST /predict on several connections until the block ends; yield the LoadResults."""
    block_groups = local_service.random_block_groups(row_count, seed)
    results = LoadResults()

    async def send_requests(client_number):
        client, row_number = local_service.Client(service.port), client_number
        while not results.stop_event.is_set():
            row, sent_at = block_groups[row_number % row_count], time.monotonic()
            row_number += connections
            try:
                status, headers, body = await client.send(
                    local_service.post_request(orjson.dumps(row))
                )
            except ConnectionError as error:
                results.connection_errors.append(error)
                await asyncio.sleep(0.05)
                continue
            received_at = time.monotonic()
            results.responses.append(
                TimedResponse(
                    received_at, received_at - sent_at, status, headers, json.loads(body), row
                )
            )
        client.close()

    async def run_clients():
        await asyncio.gather(*(send_requests(number) for number in range(connections)))

    thread = threading.Thread(target=asyncio.run, args=(run_clients(),))
    thread.start()
    try:
        yield results
    finally:
        results.stop_event.set()
        thread.join()


def get_page(service, path):
    """Return the status and the body of a page, parsed if it is a JSON object."""
    status, body = local_service.run_coroutine(local_service.Client(service.port).get(path))
    return status, json.loads(body) if body[:1] == b"{" else body


def logged_predictions(database):
    """Return id -> prediction of every logged request with status 200."""
    with closing(sqlite3.connect(database)) as log:
        query = "SELECT id, prediction FROM prediction WHERE status = 200"
        return dict(log.execute(query))


def read_json_lines(folder):
    """Return the parsed lines of the log and of its rotated files.

    Raises ValueError if a line is torn.
    """
    files = sorted(folder.glob("api.log*"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def prediction_ids(folder):
    """Return the id of every prediction in the JSON lines."""
    return [
        f"{line['request_id']}-{index}"
        for line in read_json_lines(folder)
        for index in range(len(line.get("answers", ())))
    ]
