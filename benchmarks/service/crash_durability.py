"""Whether every answer that anybody got is in the log, however the service dies.

.venv/bin/python -m benchmarks.service.crash_durability [--times 50] [--connections 64] [--home FOLDER]

Connections ask about one row after another and note what they are answered, while the service is
killed (SIGKILL) at random moments: one worker, all workers, the whole service, which is then
started again, in turn. Then each noted answer must have its row, and the counts must fit both.
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

from benchmarks.support.local_service import Client, Running, ready, requests, running, total
from housing import paths

WAYS = ("one worker", "all workers", "the whole service")


class Seen(NamedTuple):
    """What the connections know."""

    answers: dict[str, float]  # id -> prediction
    twice: list[str]  # ids that came again
    newest: list[float]  # one number: when the request was sent that was answered last


class Found(NamedTuple):
    """What the service's files say after all."""

    rows: int
    missing: int
    doubled: int
    integrity: str
    counted: int

    def right(self, answers: int) -> bool:
        """Whether nothing is lost, doubled, damaged or counted wrong."""
        whole = (self.missing, self.doubled, self.integrity) == (0, 0, "ok")
        return whole and answers <= self.counted <= self.rows


def main() -> int:
    """Prints Markdown tables; exit code 1 if an answer is not in the log, or anything is torn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--home", type=Path, default=paths.home())
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    with running(options.home.resolve()) as service:
        seen, waits, page = asyncio.run(killed(service, options.times, options.connections))
        service.stop()
        found = checked(service.folder / "logs.db", seen, page)
    print("| killed | kills | first answer after: median | worst |\n|---|---|---|---|")
    for way, took in zip(WAYS, waits, strict=True):
        if took:
            print(f"| {way} | {len(took)} | {median(took):.2f} s | {max(took):.2f} s |")
    print("\n| answers seen | counted | rows | missing | doubled | integrity |")
    print("|---|---|---|---|---|---|")
    print(f"| {len(seen.answers):,} | {found.counted:,} | {found.rows:,} | {found.missing} "
          f"| {found.doubled} | {found.integrity} |")  # fmt: skip
    return 0 if found.right(len(seen.answers)) and seen.answers else 1


async def killed(
    service: Running, times: int, connections: int
) -> tuple[Seen, list[list[float]], bytes]:
    """What was answered, the seconds without an answer by way of killing, and the metrics then."""
    seen, over = Seen({}, [], [0.0]), asyncio.Event()
    asking = [asyncio.create_task(ask(service.port, seed, seen, over))
              for seed in range(connections)]  # fmt: skip
    waits: list[list[float]] = [[] for _ in WAYS]
    for time_ in range(times):
        await asyncio.sleep(random.uniform(0.05, 0.6))
        waits[time_ % len(WAYS)].append(await kill(service, WAYS[time_ % len(WAYS)], seen))
    await asyncio.sleep(0.5)
    over.set()
    await asyncio.gather(*asking)
    await ready(service)
    _, page = await Client(service.port).get("/metrics")
    return seen, waits, page


async def ask(port: int, seed: int, seen: Seen, over: asyncio.Event) -> None:
    """One connection: asks, reads the answer to its end, notes it, asks again."""
    client = Client(port)
    for request in requests(200, seed):
        if over.is_set():
            return
        sent = time.monotonic()
        try:
            status, _, body = await client.ask(request)
        except ConnectionError:
            await asyncio.sleep(0.05)
            continue
        if status == 200:
            answer = orjson.loads(body)
            if answer["id"] in seen.answers:
                seen.twice.append(answer["id"])
            seen.answers[answer["id"]] = answer["prediction"]
            seen.newest[0] = max(seen.newest[0], sent)


async def kill(service: Running, way: str, seen: Seen) -> float:
    """Seconds until a request that was sent after the kill was answered."""
    killed_at = time.monotonic()
    if way == "the whole service":
        service.kill()
        killed_at = time.monotonic()
        service.start()
    else:
        workers = service.workers()
        random.shuffle(workers)
        for one in workers[:1] if way == "one worker" else workers:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
    while seen.newest[0] < killed_at:
        await asyncio.sleep(0.005)
        if time.monotonic() > killed_at + 60:
            raise TimeoutError(f"no answer for a minute:\n{service.said()[-3000:]}")
    return time.monotonic() - killed_at


def checked(database: Path, seen: Seen, page: bytes) -> Found:
    """Compares what was answered with what was logged and counted."""
    with closing(sqlite3.connect(database)) as log:
        [[integrity]] = log.execute("PRAGMA integrity_check").fetchall()
        logged = log.execute("SELECT id, prediction FROM prediction WHERE status = 200").fetchall()
    kept = dict(logged)
    missing = sum(kept.get(one) != value for one, value in seen.answers.items())
    doubled = len(logged) - len(kept) + len(seen.twice)
    counted = total(page, "housing_requests_total", endpoint="/predict", status="200")
    return Found(len(logged), missing, doubled, integrity, int(counted))


if __name__ == "__main__":
    sys.exit(main())
