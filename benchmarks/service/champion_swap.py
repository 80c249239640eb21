"""What clients notice when the champion alias moves: latencies with and without a move.

.venv/bin/python -m benchmarks.service.champion_swap [--times 10] [--share 0.7] [--home FOLDER]

First the highest throughput of two workers for single rows is measured. Then a share of it is sent
as open-loop load, while the alias moves to a version that the workers have not loaded, back again,
to the next one, and so on. All versions are copies of the home's champion, registered in a copy of
its store.
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

from benchmarks.support import closed_loop_load, open_loop_load
from benchmarks.support.local_service import Service, run_service, single_row_requests, wait_until
from benchmarks.support.open_loop_load import TimedResponse
from housing import paths
from housing.registry import versions as model_versions
from housing.registry.versions import CHAMPION
from housing.tracking import store

CAPACITY_SECONDS = 5  # for measuring the highest throughput
QUIET_SECONDS = 4.0  # before a move
SWAP_SECONDS = 2.0  # after the workers can see a move; responses due in them belong to the swap
MAX_P99_RATIO = 3.0  # of the p99 during swaps to the usual one
MAX_SWAP_SECONDS = 5.0  # from a move until every worker answers with the champion
NEW, BACK = "to a new version", "back to one that was loaded"


class AliasMove(NamedTuple):
    """One move of the alias; both times are seconds of the monotonic clock."""

    kind: str
    version: str
    moved_at: float
    visible_at: float  # to the workers


def main() -> int:
    """Print Markdown tables.

    Returns 1 if a request failed, the p99 is above MAX_P99_RATIO, or a swap took longer than
    MAX_SWAP_SECONDS.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=10, help="moves of the alias")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--share", type=float, default=0.7, help="of the highest throughput")
    parser.add_argument("--home", type=Path, default=paths.home())
    options = parser.parse_args()
    with TemporaryDirectory() as name:
        versions = register_copies(options.home, Path(name), (options.times + 1) // 2)
        with run_service(Path(name)) as service, open_loop_load.load_process() as load_process:
            start_time, requests = time.time(), list(islice(single_row_requests(), 1_000))
            registry_file = service.folder / "serving" / "registry.json"
            # the process that follows the registry has imported MLflow
            wait_until(lambda: registry_file.stat().st_mtime > start_time, 30)
            capacity = load_process.submit(
                closed_loop_load.run, service.port, requests, options.connections, CAPACITY_SECONDS
            )
            rate = capacity.result().rate * options.share
            labelled_requests = [("one row", request) for request in requests]
            seconds = (options.times + 1) * (QUIET_SECONDS + 2 * SWAP_SECONDS)
            responses = load_process.submit(
                open_loop_load.run,
                service.port,
                labelled_requests,
                options.connections,
                rate,
                seconds,
            )
            moves = move_alias(service, versions, options.times)
            return report(responses.result(), moves, rate)


def register_copies(home: Path, folder: Path, count: int) -> list[str]:
    """Copy the home's store to `folder`; register `count` copies of its champion there.

    Returns the version numbers of the champion and of its copies. From then on this process uses
    the store in `folder`.
    """
    (folder / "var").mkdir()
    shutil.copy(home / "var" / "mlflow.db", folder / "var")
    os.environ["HOUSING_HOME"] = str(folder)
    champion, client = model_versions.current_champion(), store.client()
    original = client.get_model_version(champion.name, champion.version)
    copies = [
        client.create_model_version(
            champion.name,
            original.source,
            champion.run_id,
            tags=champion.tags,
            model_id=original.model_id,
        )
        for _ in range(count)
    ]
    return [champion.version, *(str(copy.version) for copy in copies)]


def move_alias(service: Service, versions: Sequence[str], times: int) -> list[AliasMove]:
    """Move the alias `times` times: to the next version and back again in turn."""
    pointer, client = service.folder / "serving" / "current.json", store.client()
    name = model_versions.current_champion().name
    moves: list[AliasMove] = []
    for number in range(times):
        kind = BACK if number % 2 else NEW
        version = versions[number // 2 + (kind == NEW)]
        time.sleep(QUIET_SECONDS)
        inode = pointer.stat().st_ino
        client.set_registered_model_alias(name, CHAMPION, version)
        moved_at = time.monotonic()
        wait_until(lambda inode=inode: pointer.stat().st_ino != inode, 60)
        moves.append(AliasMove(kind, version, moved_at, time.monotonic()))
        time.sleep(SWAP_SECONDS)
    return moves


def report(responses: Sequence[TimedResponse], moves: Sequence[AliasMove], rate: float) -> int:
    """Print the tables; return the exit code."""
    p99 = print_latencies(responses, moves, rate)
    ends = [*(move.moved_at for move in moves[1:]), np.inf]
    seconds = [
        seconds_of_old_version(responses, move, end) for move, end in zip(moves, ends, strict=True)
    ]
    failed = sum(response.status != 200 for response in responses)
    print(
        "\n| swaps | from the alias' move to the last answer of the old version: median | worst "
        "| failed requests |\n|---|---|---|---|"
    )
    print(f"| {len(moves)} | {np.median(seconds):.2f} s | {max(seconds):.2f} s | {failed} |")
    slow = max(p99.values()) > MAX_P99_RATIO * p99["usual seconds"]
    return 1 if failed or slow or max(seconds) > MAX_SWAP_SECONDS else 0


def print_latencies(
    responses: Sequence[TimedResponse], moves: Sequence[AliasMove], rate: float
) -> dict[str, float]:
    """Print latencies by period; return the p99 of each in ms."""
    due = np.array([response.due for response in responses])
    latencies = np.array([response.seconds for response in responses]) * 1e3
    near_a_move = np.zeros(len(due), bool)
    periods = {NEW: near_a_move.copy(), BACK: near_a_move.copy()}
    for move in moves:
        end = move.visible_at + SWAP_SECONDS
        near_a_move |= (due >= move.moved_at - 0.1) & (due < end)
        periods[move.kind] |= (due >= move.visible_at) & (due < end)
    print(f"| at {rate:,.0f} requests/s | requests | p50, ms | p99, ms | max, ms |")
    print("|---|---|---|---|---|")
    p99 = {}
    for name, selected in {"usual seconds": ~near_a_move, **periods}.items():
        if selected.any():
            p50, p99[name] = np.percentile(latencies[selected], [50, 99])
            print(
                f"| {name} | {selected.sum():,} | {p50:.1f} | {p99[name]:.1f} "
                f"| {latencies[selected].max():.1f} |"
            )
    return p99


def seconds_of_old_version(
    responses: Sequence[TimedResponse], move: AliasMove, end: float
) -> float:
    """Return the seconds from a move to the last response of another version, until `end`."""
    times = [
        response.received_at
        for response in responses
        if move.moved_at < response.received_at < end and response.version != move.version
    ]
    return max(times, default=move.moved_at) - move.moved_at


if __name__ == "__main__":
    sys.exit(main())
