"""What callers notice of a champion that moves: latencies in usual seconds and while it moves.

.venv/bin/python -m benchmarks.service.champion_swap [--times 10] [--connections 8] [--share 0.7] [--home FOLDER]

Two workers are asked about single rows at a share of the most that they answer, which is found
first, while the alias moves to a version they have never seen, back again, to the next, and so on.
All versions are the home's champion, registered again and again in a copy of its store.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from benchmarks.support import closed_loop_load as load
from benchmarks.support import open_loop_load as paced
from benchmarks.support.local_service import Running, requests, running, until
from benchmarks.support.open_loop_load import Answer
from housing import paths
from housing.registry import versions as model_versions
from housing.registry.versions import CHAMPION
from housing.tracking import store

FIND = 5  # seconds, in which the most that it answers is found
QUIET = 4.0  # seconds before a move
AFTER = 2.0  # seconds from the pointer's move on that count as the swap's
AIM = 3.0  # times the usual p99
WITHIN = 5.0  # seconds from a move until every worker answers with the champion
NEW, BACK = "to a new version", "back to one that was loaded"


class Move(NamedTuple):
    """One of the alias; both times are seconds of the monotonic clock."""

    kind: str
    version: str
    at: float
    copied: float  # when the workers could see it


def main() -> int:
    """Prints Markdown tables; exit code 1 if a request failed, p99 is above the aim, or a
    swap took too long."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--share", type=float, default=0.7)
    parser.add_argument("--home", type=Path, default=paths.home())
    options = parser.parse_args()
    with TemporaryDirectory() as name:
        versions = twins(options.home, Path(name), (options.times + 1) // 2)
        with running(Path(name)) as service, paced.client() as client:
            started, asked = time.time(), list(islice(requests(), 1_000))
            told_of = service.folder / "serving" / "registry.json"
            until(lambda: told_of.stat().st_mtime > started, 30)  # the follower has MLflow imported
            most = client.submit(load.run, service.port, asked, options.connections, FIND)
            rate = most.result().rate * options.share
            singles = [("one row", one) for one in asked]
            seconds = (options.times + 1) * (QUIET + 2 * AFTER)
            answers = client.submit(
                paced.run, service.port, singles, options.connections, rate, seconds
            )
            moves = moved(service, versions, options.times)
            return told(answers.result(), moves, rate)


def twins(home: Path, folder: Path, count: int) -> list[str]:
    """A store in the folder, with the home's champion and so many versions that are the same."""
    (folder / "var").mkdir()
    shutil.copy(home / "var" / "mlflow.db", folder / "var")
    os.environ["HOUSING_HOME"] = str(folder)
    found, client = model_versions.current_champion(), store.client()
    made = client.get_model_version(found.name, found.version)
    given = {"tags": found.tags, "model_id": made.model_id}
    twin = [client.create_model_version(found.name, made.source, found.run_id, **given)
            for _ in range(count)]  # fmt: skip
    return [found.version, *(str(one.version) for one in twin)]


def moved(service: Running, versions: Sequence[str], times: int) -> list[Move]:
    """Moves the alias there and back, so many times in all."""
    pointer, client = service.folder / "serving" / "current.json", store.client()
    name, found = model_versions.current_champion().name, []
    for turn in range(times):
        kind, version = (BACK, versions[turn // 2]) if turn % 2 else (NEW, versions[turn // 2 + 1])
        time.sleep(QUIET)
        before = pointer.stat().st_ino
        client.set_registered_model_alias(name, CHAMPION, version)
        at = time.monotonic()
        until(lambda before=before: pointer.stat().st_ino != before, 60)
        found.append(Move(kind, version, at, time.monotonic()))
        time.sleep(AFTER)
    return found


def told(answers: Sequence[Answer], moves: Sequence[Move], rate: float) -> int:
    """Prints what was found; the exit code."""
    due = np.array([one.due for one in answers])
    took = np.array([one.at - one.due for one in answers]) * 1e3
    failed = sum(one.status != 200 for one in answers)
    moving = np.zeros(len(due), bool)
    during = {NEW: moving.copy(), BACK: moving.copy()}
    for one in moves:
        moving |= (due >= one.at - 0.1) & (due < one.copied + AFTER)
        during[one.kind] |= (due >= one.copied) & (due < one.copied + AFTER)
    print(f"| at {rate:,.0f} requests/s | requests | p50, ms | p99, ms | max, ms |")
    print("|---|---|---|---|---|")
    p99 = {}
    for name, which in {"usual seconds": ~moving, **during}.items():
        if which.any():
            p50, p99[name] = np.percentile(took[which], [50, 99])
            print(f"| {name} | {which.sum():,} | {p50:.1f} | {p99[name]:.1f} "
                  f"| {took[which].max():.1f} |")  # fmt: skip
    waits = [
        until_the_last(answers, one, later.at)
        for one, later in zip(moves, [*moves[1:], Answer(0, np.inf, 0, "", "")], strict=True)
    ]
    print("\n| swaps | from the alias' move to the last answer of the old version: median | worst "
          "| failed requests |\n|---|---|---|---|")  # fmt: skip
    print(f"| {len(moves)} | {np.median(waits):.2f} s | {max(waits):.2f} s | {failed} |")
    slow = max(p99.values()) > AIM * p99["usual seconds"]
    return 1 if failed or slow or max(waits) > WITHIN else 0


def until_the_last(answers: Sequence[Answer], move: Move, end: float) -> float:
    """Seconds from a move until the last answer of another version, before the next move."""
    old = [one.at for one in answers if move.at < one.at < end and one.version != move.version]
    return max(old, default=move.at) - move.at


if __name__ == "__main__":
    sys.exit(main())
