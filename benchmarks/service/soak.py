"""Whether the service stays as it is while it is asked for long: memory, open files, latencies.

.venv/bin/python -m benchmarks.service.soak [--minutes 30] [--share 0.7] [--home FOLDER]

Two workers are asked at a share of the most that they answer, which is found first: single rows
mostly, lists of 100 rows as JSON and as Arrow, and pages. A line a minute. Beside the log, which
grows by design, nothing may: the exit code says so.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson
import pyarrow as pa

from benchmarks.support import closed_loop_load as load
from benchmarks.support import local_service as service
from benchmarks.support import open_loop_load as paced
from benchmarks.support.local_service import Running, post, requests, running
from benchmarks.support.open_loop_load import Answer
from housing import paths

FIND = 20  # seconds, in which the most that it answers is found
CONNECTIONS = 8
SETTLES = 5  # minutes in which memory may grow: caches, the allocator's pools
GROWS = 5.0  # MB an hour, and as much from the first third to the last, that count as flat
HANDLES = 2  # open files more than at first, that count as flat
ARROW = "application/vnd.apache.arrow.stream"
PAGES = ("/", "/metrics", "/predictions", "/ready")


class Minute(NamedTuple):
    """What was seen at its end."""

    answers: list[Answer]
    processes: tuple[int, ...]  # the main one and each worker
    memory: list[float]  # MB, of each
    files: list[int]  # open, of each
    log: float  # MB


def main() -> int:
    """Prints Markdown tables; exit code 1 if a request failed, or memory or files grow."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--share", type=float, default=0.7)
    parser.add_argument("--home", type=Path, default=paths.home())
    options = parser.parse_args()
    with running(options.home.resolve()) as serving, paced.client() as client:
        asked = mixed()
        every = [one for _, one in asked]
        most = client.submit(load.run, serving.port, every, CONNECTIONS, FIND).result()
        rate = most.rate * options.share
        print(f"{rate:,.0f} requests/s of {most.rate:,.0f}\n")
        print("| minute | requests | errors | p50, ms | p99, ms | memory of main and workers, MB "
              "| open files | log, MB |")  # fmt: skip
        print("|---|---|---|---|---|---|---|---|", flush=True)
        minutes: list[Minute] = []
        for _ in range(options.minutes):
            answers = client.submit(paced.run, serving.port, asked, CONNECTIONS, rate, 60).result()
            minutes.append(Minute(answers, *taken(serving)))
            print(line(len(minutes), minutes[-1]), flush=True)
    return told(minutes)


def mixed() -> list[tuple[str, bytes]]:
    """(kind, request): of a hundred, 92 single rows, 2 lists, 2 tables and 4 pages."""
    lists = [post(orjson.dumps(service.rows(100, seed))) for seed in range(20)]
    tables = [post(arrow(service.rows(100, seed)), ARROW) for seed in range(20)]
    pages = [f"GET {path} HTTP/1.1\r\nhost: here\r\n\r\n".encode() for path in PAGES]
    singles = list(islice(requests(1_000), 920))
    hundreds = [
        [("row", one) for one in singles[92 * at : 92 * at + 92]]
        + [("list", one) for one in lists[2 * at : 2 * at + 2]]
        + [("table", one) for one in tables[2 * at : 2 * at + 2]]
        + [("page", one) for one in pages]
        for at in range(10)
    ]
    order = np.random.default_rng(0).permutation(1_000)
    every = list(chain.from_iterable(hundreds))
    return [every[at] for at in order]


def arrow(rows: Sequence[dict[str, float]]) -> bytes:
    """The rows as a stream."""
    table, stream = pa.Table.from_pylist(list(rows)), BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return stream.getvalue()


def taken(serving: Running) -> tuple[tuple[int, ...], list[float], list[int], float]:
    """Who runs, with what memory and open files, and the size of the log."""
    time.sleep(0.5)  # until it knows that the connections of the last minute are closed
    page, memory, files = os.sysconf("SC_PAGE_SIZE"), [], []
    processes = serving.process.pid, *sorted(serving.workers())
    for pid in processes:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
        memory.append(int(fields[1]) * page / 1e6)
        files.append(len(list(Path(f"/proc/{pid}/fd").iterdir())))
    log = sum(one.stat().st_size for one in serving.folder.glob("logs.db*")) / 1e6
    return processes, memory, files, log


def line(number: int, minute: Minute) -> str:
    """Of the table."""
    took = np.array([one.at - one.due for one in minute.answers]) * 1e3
    p50, p99 = np.percentile(took, [50, 99])
    memory = ", ".join(f"{one:.1f}" for one in minute.memory)
    files = ", ".join(map(str, minute.files))
    return (f"| {number} | {len(took):,} | {errors(minute)} | {p50:.1f} | {p99:.1f} | {memory} "
            f"| {files} | {minute.log:,.0f} |")  # fmt: skip


def errors(minute: Minute) -> int:
    """Requests without a right answer."""
    return sum(one.status != 200 for one in minute.answers)


def told(minutes: Sequence[Minute]) -> int:
    """Prints what has grown; the exit code."""
    failed = sum(map(errors, minutes))
    if len({one.processes for one in minutes}) > 1:
        print("\na worker died and was replaced")
        return 1
    enough = len(minutes) >= 2 * SETTLES
    settled = minutes[SETTLES:] if enough else minutes
    memory = np.array([one.memory for one in settled])
    files = np.array([one.files for one in settled])
    third = max(1, len(settled) // 3)
    slope = np.zeros(memory.shape[1])
    if len(settled) > 1:
        slope = np.polyfit(np.arange(len(settled)) / 60, memory, 1)[0]
    grown = memory[-third:].mean(0) - memory[:third].mean(0)
    more = files[-third:].max(0) - files[:third].max(0)
    print("\n| process | memory, MB an hour | last third minus first, MB | open files more |")
    print("|---|---|---|---|")
    names = ["main", *(f"worker {at + 1}" for at in range(len(slope) - 1))]
    for row in zip(names, slope, grown, more, strict=True):
        print("| {} | {:+.1f} | {:+.1f} | {:+d} |".format(*row))
    steady = (slope < GROWS).all() and (grown < GROWS).all()
    memory_is = ("flat" if steady else "NOT flat") if enough else "not told by so few minutes"
    same = (more <= HANDLES).all()
    print(f"\n{failed} requests failed; memory is {memory_is}, "
          f"open files are {'flat' if same else 'NOT flat'}")  # fmt: skip
    return 0 if same and not failed and (steady or not enough) else 1


if __name__ == "__main__":
    sys.exit(main())
