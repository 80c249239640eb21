"""Check that every response a client received is in the log, however the service dies.

.venv/bin/python -m benchmarks.service.crash_durability [--times 50] [--home FOLDER]

Connections send single rows one after another and note the responses, while the service is killed
(SIGKILL) at random moments: one worker, all workers, and the whole service, which is then started
again, in turn. At the end each noted response must have its row, and the counts must fit both.
"""

import argparse
import asyncio
import os
import random
import signal
import sqlite3
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

import orjson

from benchmarks.support.local_service import (
    Client,
    Service,
    run_service,
    single_row_requests,
    sum_metric,
    wait_for_workers,
)
from housing import paths

ONE_WORKER, ALL_WORKERS, WHOLE_SERVICE = "one worker", "all workers", "the whole service"
TARGETS = (ONE_WORKER, ALL_WORKERS, WHOLE_SERVICE)
RECOVERY_SECONDS = 60


class ReceivedResponses:
    """What the connections have received."""

    def __init__(self) -> None:
        self.predictions: dict[str, float] = {}  # id -> prediction
        self.repeated_ids: list[str] = []
        self.last_sent_at = 0.0  # of all requests with a response, the time the newest was sent

    def add(self, response_id: str, prediction: float, sent_at: float) -> None:
        """Note one response."""
        if response_id in self.predictions:
            self.repeated_ids.append(response_id)
        self.predictions[response_id] = prediction
        self.last_sent_at = max(self.last_sent_at, sent_at)


class KillResults(NamedTuple):
    """What clients noticed of the kills, and the metrics after them."""

    received: ReceivedResponses
    recovery_seconds: dict[str, list[float]]  # target -> seconds without a response, each kill
    metrics_page: bytes


class LogCheck(NamedTuple):
    """What the service's log and metrics hold at the end."""

    rows: int
    missing: int
    doubled: int
    integrity: str
    counted: int

    def is_correct(self, n_received: int) -> bool:
        """Return whether no response is lost, doubled, damaged or miscounted."""
        intact = (self.missing, self.doubled, self.integrity) == (0, 0, "ok")
        return intact and n_received <= self.counted <= self.rows


def main() -> int:
    """Print Markdown tables; return 1 if a response is not in the log, or the log is damaged."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=50, help="kills")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--home", type=Path, default=paths.home())
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    with run_service(options.home.resolve()) as service:
        results = asyncio.run(kill_under_load(service, options.times, options.connections))
        service.stop()
        log = check_log(service.folder / "logs.db", results)
    print("| killed | kills | first answer after: median | worst |\n|---|---|---|---|")
    for target, seconds in results.recovery_seconds.items():
        if seconds:
            print(f"| {target} | {len(seconds)} | {median(seconds):.2f} s | {max(seconds):.2f} s |")
    n_received = len(results.received.predictions)
    print("\n| answers seen | counted | rows | missing | doubled | integrity |")
    print("|---|---|---|---|---|---|")
    print(
        f"| {n_received:,} | {log.counted:,} | {log.rows:,} | {log.missing} "
        f"| {log.doubled} | {log.integrity} |"
    )
    return 0 if log.is_correct(n_received) and n_received else 1


async def kill_under_load(service: Service, times: int, connections: int) -> KillResults:
    """Kill the targets in turn, `times` kills in all, while the connections send requests."""
    received, stop_event = ReceivedResponses(), asyncio.Event()
    clients = [
        asyncio.create_task(send_requests(service.port, seed, received, stop_event))
        for seed in range(connections)
    ]
    recovery_seconds: dict[str, list[float]] = {target: [] for target in TARGETS}
    for number in range(times):
        await asyncio.sleep(random.uniform(0.05, 0.6))
        target = TARGETS[number % len(TARGETS)]
        recovery_seconds[target].append(await kill(service, target, received))
    await asyncio.sleep(0.5)
    stop_event.set()
    await asyncio.gather(*clients)
    await wait_for_workers(service)
    _, page = await Client(service.port).get("/metrics")
    return KillResults(received, recovery_seconds, page)


async def send_requests(
    port: int, seed: int, received: ReceivedResponses, stop_event: asyncio.Event
) -> None:
    """Send requests on one connection, each after the response to the one before it."""
    client = Client(port)
    for request in single_row_requests(200, seed):
        if stop_event.is_set():
            return
        sent_at = time.monotonic()
        try:
            status, _, body = await client.send(request)
        except ConnectionError:
            await asyncio.sleep(0.05)
            continue
        if status == 200:
            response = orjson.loads(body)
            received.add(response["id"], response["prediction"], sent_at)


async def kill(service: Service, target: str, received: ReceivedResponses) -> float:
    """Kill a target; return the seconds until a request sent after the kill has its response.

    Raises TimeoutError after RECOVERY_SECONDS.
    """
    killed_at = time.monotonic()
    if target == WHOLE_SERVICE:
        service.kill()
        killed_at = time.monotonic()
        service.start()
    else:
        workers = service.workers()
        random.shuffle(workers)
        for pid in workers[:1] if target == ONE_WORKER else workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    while received.last_sent_at < killed_at:
        await asyncio.sleep(0.005)
        if time.monotonic() > killed_at + RECOVERY_SECONDS:
            raise TimeoutError(
                f"no response for {RECOVERY_SECONDS} seconds:\n{service.output()[-3000:]}"
            )
    return time.monotonic() - killed_at


def check_log(database: Path, results: KillResults) -> LogCheck:
    """Compare the received responses with the logged and the counted ones."""
    with closing(sqlite3.connect(database)) as log:
        [[integrity]] = log.execute("PRAGMA integrity_check").fetchall()
        rows = log.execute("SELECT id, prediction FROM prediction WHERE status = 200").fetchall()
    logged, received = dict(rows), results.received
    missing = sum(logged.get(key) != value for key, value in received.predictions.items())
    doubled = len(rows) - len(logged) + len(received.repeated_ids)
    counted = sum_metric(
        results.metrics_page, "housing_requests_total", endpoint="/predict", status="200"
    )
    return LogCheck(len(rows), missing, doubled, integrity, int(counted))


if __name__ == "__main__":
    sys.exit(main())
