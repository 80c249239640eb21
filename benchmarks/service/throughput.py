"""Throughput and latency of the service, beside other servers of the same registered model.

.venv/bin/python -m benchmarks.service.throughput [--rounds 10] [--seconds 1] [--only NAME ...]
.venv/bin/python -m benchmarks.service.throughput {--quick,--profile}
.venv/bin/python -m benchmarks.service.throughput --against ../older --only "ours"

Serves the champion of HOUSING_HOME's store: `make run` first. Each peer gets an environment below
var/peers/, created at its first use. All servers run at the same time and get closed-loop load in
turn, round after round; the means of the rounds are printed. Each round opens new connections: one
of a server's two processes may get them all, so that a single round says little. All servers have
OMP_NUM_THREADS=1: with two threads LitServe answers a quarter as many single rows, and no peer
more. A server that uses processor time while idle is paused while others are measured. The
service's logs are discarded.
--against measures the service of another checkout too, with that checkout's environment; both serve
the same store, so the older of the two must have made it.
"""

import argparse
import signal
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.support import closed_loop_load, peer_servers, server_process
from benchmarks.support.closed_loop_load import LoadResult, encode_request
from benchmarks.support.peer_servers import FLOORS, MLFLOW, OURS, PEERS, Server, ServerError
from benchmarks.support.server_process import ARROW, JSON, RunningServer, Workload
from housing import paths
from housing.schema import FEATURE_NAMES

CONNECTIONS = {"1 connection": 1, "8 connections": 8, "64 connections": 64}
BATCHES = {"100 rows": 100, "1,000 rows": 1_000, "10,000 rows": 10_000}
BATCH_CONNECTIONS = 2
MIN_WARM_UP_CONNECTIONS = 16  # so that each process of a server gets some
PROFILE_CONNECTIONS = 8
N_SINGLES = 500  # different single rows
N_CHECKED_ROWS = 50
N_STARTS = 3  # of each server
IDLE_SECONDS = 3
MAX_IDLE_SHARE = 0.05  # of a core; a server that uses more while idle is paused

Results = dict[tuple[str, str], LoadResult]  # (server, scenario) -> means


class Measurement(NamedTuple):
    """A load on one server."""

    name: str
    scenario: str
    port: int
    requests: Sequence[bytes]
    connections: int
    rows: int = 1  # in a request


def main() -> None:
    """Print Markdown tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1, help="of each measurement")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[""], help="or a part of it")
    parser.add_argument("--quick", action="store_true", help="one round of half a second each")
    parser.add_argument("--profile", action="store_true", help="where a request's time goes")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="an older commit's")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 0.5
    var = paths.PROJECT_ROOT / "var"
    var.mkdir(exist_ok=True)
    with ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(dir=var, prefix="serving-")
        workload = server_process.prepare_workload(Path(stack.enter_context(folder)))
        if options.profile:
            profile(workload, stack, options)
        else:
            compare(workload, stack, options)


def compare(workload: Workload, stack: ExitStack, options: argparse.Namespace) -> None:
    """Measure all servers side by side."""
    older = [peer_servers.ours_of_checkout(options.against)] if options.against else []
    selected = [
        server
        for server in (OURS, *older, *PEERS, *FLOORS)
        if any(pattern.lower() in server.name.lower() for pattern in options.only)
    ]
    starts = [_start(server, workload, stack, N_STARTS) for server in selected]
    starts = [runs for runs in starts if runs]
    running = [runs[-1] for runs in starts]
    idle_shares = _measure_idle(running)
    restless = {
        server.port: server
        for server, share in zip(running, idle_shares, strict=True)
        if share > MAX_IDLE_SHARE
    }
    results = _measure(_list_measurements(running, workload), options, restless)
    servers = [run.server for run in running]
    names = [server.name for server in servers if server not in FLOORS]
    floors = [server.name for server in servers if server in FLOORS]
    _print_loads("one row: requests/s; p50, p99 in ms", names, CONNECTIONS, results)
    arrow_names = [_arrow_name(server) for server in servers if server.checkout]
    _print_loads("rows/s; p50, p99 in ms", [*names, *arrow_names], BATCHES, results)
    _print_processes(starts, idle_shares)
    _print_ratios(results)
    for server in older:
        _print_ratios_to_checkout(server, results)
    _print_loads("floor: requests/s; p50, p99 in ms", floors, CONNECTIONS, results)


def _start(server: Server, workload: Workload, stack: ExitStack, count: int) -> list[RunningServer]:
    """Start a server `count` times; the last run goes on until the stack closes.

    Returns an empty list, and prints the reason, if the server cannot be measured.
    """
    runs: list[RunningServer] = []
    try:
        programs = peer_servers.install(server, workload.model)
        for number in range(1, count + 1):
            runs.append(server_process.start(server, programs, workload))
            if number < count:
                server_process.stop(runs[-1])
        stack.callback(server_process.stop, runs[-1])
        difference = server_process.check_predictions(runs[-1], workload, N_CHECKED_ROWS)
    except ServerError as error:
        print(f"- {server.name}: left out, {error}", flush=True)
        return []
    if server not in FLOORS:
        _print_difference(peer_servers.versioned_name(server, programs), difference)
    return runs


def _print_difference(name: str, difference: float) -> None:
    print(f"- {name}: its answers differ from the model's by at most {difference:.0e}", flush=True)


def _measure_idle(running: Sequence[RunningServer]) -> list[float]:
    """Return the share of a core that each server uses without requests."""
    start_seconds = [server_process.cpu_seconds(server) for server in running]
    time.sleep(IDLE_SECONDS)
    return [
        (server_process.cpu_seconds(server) - seconds) / IDLE_SECONDS
        for server, seconds in zip(running, start_seconds, strict=True)
    ]


def _list_measurements(running: Sequence[RunningServer], workload: Workload) -> list[Measurement]:
    """Return the measurements of a round: each scenario on all servers before the next one."""
    measurements = []
    for scenario, connections in CONNECTIONS.items():
        for run in running:
            requests = _single_row_requests(run.server, workload)
            measurements.append(
                Measurement(run.server.name, scenario, run.port, requests, connections)
            )
    formats = list(_batch_formats(running, workload))
    for scenario, count in BATCHES.items():
        rows = np.resize(workload.rows, (count, len(FEATURE_NAMES)))
        for run, name, media_type in formats:
            body = server_process.encode_rows(run.server, rows, media_type)
            requests = [encode_request(run.server.path, body, media_type)]
            measurements.append(
                Measurement(name, scenario, run.port, requests, BATCH_CONNECTIONS, count)
            )
    return measurements


def _single_row_requests(server: Server, workload: Workload) -> list[bytes]:
    return [
        encode_request(server.path, server_process.encode_rows(server, row), JSON)
        for row in workload.rows[:N_SINGLES, None]
    ]


def _batch_formats(
    running: Sequence[RunningServer], workload: Workload
) -> Iterator[tuple[RunningServer, str, str]]:
    """Yield (server, name, media type): JSON for each, and Arrow for ours if it accepts that."""
    for run in running:
        if run.server not in FLOORS:
            yield run, run.server.name, JSON
        if run.server.checkout:
            name = _arrow_name(run.server)
            try:
                difference = server_process.check_predictions(run, workload, N_CHECKED_ROWS, ARROW)
            except ServerError as error:
                print(f"- {name}: {error}", flush=True)
            else:
                _print_difference(name, difference)
                yield run, name, ARROW


def _arrow_name(server: Server) -> str:
    return f"{server.name}, Arrow"


def _measure(
    measurements: Sequence[Measurement],
    options: argparse.Namespace,
    restless: Mapping[int, RunningServer],
) -> Results:
    """Return the means of the rounds, and the sum of their errors.

    restless: port -> server that is paused while others are measured.
    """
    rounds: dict[tuple[str, str], list[LoadResult]] = defaultdict(list)
    server_process.send_signal(signal.SIGSTOP, restless.values())
    for number in range(options.rounds):
        # in turn forwards and backwards: who comes after whom is no advantage
        in_order = measurements if number % 2 == 0 else measurements[::-1]
        for name, scenario, port, requests, connections, rows in in_order:
            resumed = [restless[port]] if port in restless else []
            server_process.send_signal(signal.SIGCONT, resumed)
            if not number:  # what a process does only once, such as starting a reader of tables
                warm_up_connections = max(connections, MIN_WARM_UP_CONNECTIONS)
                closed_loop_load.run(port, requests, warm_up_connections, options.seconds / 4)
            result = closed_loop_load.run(port, requests, connections, options.seconds)
            rounds[name, scenario].append(result._replace(rate=result.rate * rows))
            server_process.send_signal(signal.SIGSTOP, resumed)
    server_process.send_signal(signal.SIGCONT, restless.values())
    return {key: _summarize_rounds(results) for key, results in rounds.items()}


def _summarize_rounds(results: Sequence[LoadResult]) -> LoadResult:
    means = np.mean([(result.rate, result.p50, result.p99) for result in results], 0)
    return LoadResult(*means, sum(result.errors for result in results))


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    print(f"\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def _print_loads(
    title: str, names: Iterable[str], scenarios: Iterable[str], results: Results
) -> None:
    rows = []
    for name in names:
        loads = [results.get((name, scenario)) for scenario in scenarios]
        if all(loads):
            cells = [f"{load.rate:,.0f}; {load.p50:.1f}, {load.p99:.1f}" for load in loads]
            rows.append([name, *cells, str(sum(load.errors for load in loads))])
    _print_table([title, *scenarios, "errors"], rows)


def _print_processes(
    starts: Sequence[Sequence[RunningServer]], idle_shares: Sequence[float]
) -> None:
    """Print memory, start times and idle processor time of each server."""
    rows = []
    for (first, *later), idle_share in zip(starts, idle_shares, strict=True):
        name, running = first.server.name, later[-1]
        if first.server in FLOORS:
            continue
        if running.process.poll() is not None:
            rows.append([name, "has ended"])
            continue
        main_memory, *child_memory = server_process.memory_by_process(running)
        children = " + ".join(f"{memory:.0f}" for memory in sorted(child_memory, reverse=True))
        later_start = statistics.median(run.start_seconds for run in later)
        rows.append(
            [
                name,
                f"{main_memory:.0f}",
                children,
                f"{main_memory + sum(child_memory):.0f}",
                f"{first.start_seconds:.1f}",
                f"{later_start:.1f}",
                f"{idle_share:.1%}",
            ]
        )
    header = ["PSS after the load, MB", "main process", "its children", "sum", "first start, s"]
    _print_table([*header, "later start, s", "processor while idle"], rows)


def _print_ratios(results: Results) -> None:
    """Print how many times our throughput is that of MLflow, and of the best other peer."""
    rows, peers = [], [server.name for server in PEERS if server is not MLFLOW]
    for (name, scenario), ours in results.items():
        rates = {
            peer: results[peer, scenario].rate for peer in peers if (peer, scenario) in results
        }
        mlflow = results.get((MLFLOW.name, scenario))
        if name in (OURS.name, _arrow_name(OURS)) and mlflow and rates:
            best = max(rates, key=rates.get)
            ratios = [np.divide(ours.rate, rate) for rate in (mlflow.rate, rates[best])]
            rows.append([f"{name}, {scenario}", *(f"{ratio:.1f}" for ratio in ratios), best])
    _print_table(
        ["how many times as fast", f"as {MLFLOW.name}", "as the best other", "which is"], rows
    )


def _print_ratios_to_checkout(server: Server, results: Results) -> None:
    """Print our throughput and latencies as a share of those of another checkout."""
    older_names = {OURS.name: server.name, _arrow_name(OURS): _arrow_name(server)}
    rows = []
    for (name, scenario), ours in results.items():
        older = results.get((older_names.get(name, ""), scenario))
        if older:
            ratios = (ours.rate / older.rate, ours.p50 / older.p50, ours.p99 / older.p99)
            rows.append([f"{name}, {scenario}", *(f"{ratio:.2f}" for ratio in ratios)])
    _print_table([f"ratio to {server.name}", "throughput", "p50", "p99"], rows)


def profile(workload: Workload, stack: ExitStack, options: argparse.Namespace) -> None:
    """Measure servers that do more and more, in one go: what each adds to the one before it."""
    runs: dict[str, list[RunningServer]] = {}
    measurements: list[Measurement] = []
    for server, path in ((FLOORS[0], ""), (FLOORS[1], ""), (OURS, "/health"), (OURS, "")):
        if server.name not in runs:
            runs[server.name] = _start(server, workload, stack, 1)
        if path:
            requests = [encode_request(path, b"", JSON, "GET")]
        else:
            requests = _single_row_requests(server, workload)
        name = f"{server.name} {path or server.path}"
        measurements += [
            Measurement(name, "", run.port, requests, PROFILE_CONNECTIONS)
            for run in runs[server.name]
        ]
    results = _measure(measurements, options, {})
    previous, rows = 0.0, []
    for (name, _), load in results.items():
        duration = 1e6 / load.rate
        rows.append([name, f"{load.rate:,.0f}", f"{duration:.0f}", f"{duration - previous:+.0f}"])
        previous = duration
    _print_table(["8 connections", "requests/s", "us a request", "more than the line above"], rows)


if __name__ == "__main__":
    main()
