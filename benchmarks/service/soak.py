"""Check that the service stays as it is under long load: memory, open files, latencies.

.venv/bin/python -m benchmarks.service.soak [--minutes 30] [--share 0.7] [--home FOLDER]

First the highest throughput of two workers is measured, then a share of it is sent as open-loop
load: mostly single rows, also lists of 100 rows as JSON and as Arrow, and pages. One line is
printed per minute. Only the log may grow, as designed; the exit code tells whether that holds.
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

from benchmarks.support import closed_loop_load, open_loop_load
from benchmarks.support.local_service import (
    Service,
    get_request,
    post_request,
    random_block_groups,
    run_service,
    single_row_requests,
)
from benchmarks.support.open_loop_load import TimedResponse
from housing import paths

CAPACITY_SECONDS = 20  # for measuring the highest throughput
MINUTE_SECONDS = 60
CONNECTIONS = 8
WARM_UP_MINUTES = 5  # in which memory may grow: caches, the allocator's pools
MAX_GROWTH_MB = 5.0  # an hour, and as much from the first third to the last
MAX_NEW_FILES = 2  # open files more than in the first third
ARROW = "application/vnd.apache.arrow.stream"
PAGES = ("/", "/metrics", "/predictions", "/ready")
N_HUNDREDS = 10  # different hundreds of requests
N_SINGLES, N_LISTS = 92, 2  # of a hundred


class Resources(NamedTuple):
    """What the service uses; one item for the main process and for each worker."""

    processes: tuple[int, ...]
    memory: list[float]  # MB
    files: list[int]  # open ones
    log_size: float  # MB


class Minute(NamedTuple):
    """The responses of one minute, and the resources at its end."""

    responses: list[TimedResponse]
    resources: Resources

    def count_errors(self) -> int:
        """Return the number of requests without a 200."""
        return sum(response.status != 200 for response in self.responses)


def main() -> int:
    """Print Markdown tables; return 1 if a request failed, or memory or open files grow."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--share", type=float, default=0.7, help="of the highest throughput")
    parser.add_argument("--home", type=Path, default=paths.home())
    options = parser.parse_args()
    with (
        run_service(options.home.resolve()) as service,
        open_loop_load.load_process() as load_process,
    ):
        requests = mixed_requests()
        contents = [request for _, request in requests]
        capacity = load_process.submit(
            closed_loop_load.run, service.port, contents, CONNECTIONS, CAPACITY_SECONDS
        ).result()
        rate = capacity.rate * options.share
        print(f"{rate:,.0f} requests/s of {capacity.rate:,.0f}\n")
        print(
            "| minute | requests | errors | p50, ms | p99, ms | memory of main and workers, MB "
            "| open files | log, MB |"
        )
        print("|---|---|---|---|---|---|---|---|", flush=True)
        minutes: list[Minute] = []
        for number in range(1, options.minutes + 1):
            responses = load_process.submit(
                open_loop_load.run, service.port, requests, CONNECTIONS, rate, MINUTE_SECONDS
            ).result()
            minutes.append(Minute(responses, measure_resources(service)))
            print(format_minute(number, minutes[-1]), flush=True)
    return report(minutes)


def mixed_requests() -> list[tuple[str, bytes]]:
    """Return shuffled (kind, request): of a hundred, 92 single rows, 2 lists, 2 tables, 4 pages."""
    n_lists = N_LISTS * N_HUNDREDS
    lists = [post_request(orjson.dumps(random_block_groups(100, seed))) for seed in range(n_lists)]
    tables = [
        post_request(encode_arrow(random_block_groups(100, seed)), ARROW) for seed in range(n_lists)
    ]
    pages = [get_request(path) for path in PAGES]
    singles = list(islice(single_row_requests(), N_SINGLES * N_HUNDREDS))
    requests = list(
        chain(
            (("row", request) for request in singles),
            (("list", request) for request in lists),
            (("table", request) for request in tables),
            (("page", request) for request in pages * N_HUNDREDS),
        )
    )
    order = np.random.default_rng(0).permutation(len(requests))
    return [requests[position] for position in order]


def encode_arrow(records: Sequence[dict[str, float]]) -> bytes:
    """Return the records as an Arrow stream."""
    table, stream = pa.Table.from_pylist(list(records)), BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return stream.getvalue()


def measure_resources(service: Service) -> Resources:
    """Measure the processes of the service and its log."""
    time.sleep(0.5)  # until it has noticed that the connections of the last minute are closed
    page_size, memory, files = os.sysconf("SC_PAGE_SIZE"), [], []
    processes = service.process.pid, *sorted(service.workers())
    for pid in processes:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
        memory.append(int(fields[1]) * page_size / 1e6)
        files.append(len(list(Path(f"/proc/{pid}/fd").iterdir())))
    log_size = sum(path.stat().st_size for path in service.folder.glob("logs.db*")) / 1e6
    return Resources(processes, memory, files, log_size)


def format_minute(number: int, minute: Minute) -> str:
    """Return a line of the table."""
    latencies = np.array([response.seconds for response in minute.responses]) * 1e3
    p50, p99 = np.percentile(latencies, [50, 99])
    memory = ", ".join(f"{megabytes:.1f}" for megabytes in minute.resources.memory)
    files = ", ".join(map(str, minute.resources.files))
    return (
        f"| {number} | {len(latencies):,} | {minute.count_errors()} | {p50:.1f} | {p99:.1f} "
        f"| {memory} | {files} | {minute.resources.log_size:,.0f} |"
    )


def report(minutes: Sequence[Minute]) -> int:
    """Print the growth of memory and open files; return the exit code."""
    n_failed = sum(minute.count_errors() for minute in minutes)
    if len({minute.resources.processes for minute in minutes}) > 1:
        print("\na worker died and was replaced")
        return 1
    is_long_enough = len(minutes) >= 2 * WARM_UP_MINUTES
    measured = minutes[WARM_UP_MINUTES:] if is_long_enough else minutes
    memory = np.array([minute.resources.memory for minute in measured])
    files = np.array([minute.resources.files for minute in measured])
    third = max(1, len(measured) // 3)
    slopes = np.zeros(memory.shape[1])
    if len(measured) > 1:
        slopes = np.polyfit(np.arange(len(measured)) / 60, memory, 1)[0]
    growth = memory[-third:].mean(0) - memory[:third].mean(0)
    new_files = files[-third:].max(0) - files[:third].max(0)
    print("\n| process | memory, MB an hour | last third minus first, MB | open files more |")
    print("|---|---|---|---|")
    names = ["main", *(f"worker {number}" for number in range(1, len(slopes)))]
    for row in zip(names, slopes, growth, new_files, strict=True):
        print("| {} | {:+.1f} | {:+.1f} | {:+d} |".format(*row))
    memory_is_flat = (slopes < MAX_GROWTH_MB).all() and (growth < MAX_GROWTH_MB).all()
    files_are_flat = (new_files <= MAX_NEW_FILES).all()
    memory_verdict = "flat" if memory_is_flat else "NOT flat"
    if not is_long_enough:
        memory_verdict = f"not judged in less than {2 * WARM_UP_MINUTES} minutes"
    print(
        f"\n{n_failed} requests failed; memory is {memory_verdict}, "
        f"open files are {'flat' if files_are_flat else 'NOT flat'}"
    )
    memory_passes = memory_is_flat or not is_long_enough
    return 0 if files_are_flat and memory_passes and not n_failed else 1


if __name__ == "__main__":
    sys.exit(main())
