"""How fast the service answers, beside other servers of the same registered model.

.venv/bin/python -m benchmarks.service.throughput [--rounds 3] [--seconds 3] [--only NAME ...] [--quick]
.venv/bin/python -m benchmarks.service.throughput --profile

Serves the champion of HOUSING_HOME's store: `make run` first. Each peer gets an environment below
var/peers/, made at the first use. All run at once and are asked in turn, round after round; the
medians of the rounds are printed. All have OMP_NUM_THREADS=1: with two threads LitServe answers a
quarter as many single rows, and no peer more. A server that takes processor time though nobody
asks it is halted while others are asked. What the service logs is thrown away.
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

from benchmarks.support import closed_loop_load as load
from benchmarks.support import peer_servers as servers
from benchmarks.support import server_process as running
from benchmarks.support.closed_loop_load import Load
from benchmarks.support.peer_servers import FLOORS, MLFLOW, OURS, PEERS, Left, Server
from benchmarks.support.server_process import ARROW, JSON, Case, Running
from housing import paths
from housing.schema import FEATURE_NAMES

CONNECTIONS = {"1 connection": 1, "8 connections": 8, "64 connections": 64}
BATCHES = {"100 rows": 100, "1,000 rows": 1_000, "10,000 rows": 10_000}
BATCH_CONNECTIONS = 2
SINGLE = 500  # different rows that are asked for one by one
CHECKED = 50  # rows
IDLE = 3  # seconds in which nobody asks
RESTLESS = 0.05  # of a core, that a server takes then
WITH_ARROW = "ours, Arrow"
EQUAL = "- {}: its answers differ from the model's by at most {:.0e}"

Results = dict[tuple[str, str], Load]  # server, and what was measured -> medians


class Task(NamedTuple):
    """One thing to measure."""

    name: str
    what: str
    port: int
    requests: Sequence[bytes]
    connections: int
    rows: int = 1  # in a request


def main() -> None:
    """Prints Markdown tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[""], help="or a part of it")
    parser.add_argument("--quick", action="store_true", help="one round of half a second each")
    parser.add_argument("--profile", action="store_true", help="where a request's time goes")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 0.5
    var = paths.PROJECT_ROOT / "var"
    var.mkdir(exist_ok=True)
    with ExitStack() as stack:
        place = tempfile.TemporaryDirectory(dir=var, prefix="serving-")
        case = running.case(Path(stack.enter_context(place)))
        if options.profile:
            profile(case, stack, options)
        else:
            compare(case, stack, options)


def compare(case: Case, stack: ExitStack, options: argparse.Namespace) -> None:
    """All of them, side by side."""
    asked = [one for one in (OURS, *PEERS, *FLOORS)
             if any(part.lower() in one.name.lower() for part in options.only)]  # fmt: skip
    starts = [_started(one, case, stack, max(2, options.rounds)) for one in asked]
    starts = [one for one in starts if one]
    up = [last for *_, last in starts]
    before = [running.busy(one) for one in up]
    time.sleep(IDLE)
    idle = [(running.busy(one) - had) / IDLE for one, had in zip(up, before, strict=True)]
    restless = {one.port: one for one, share in zip(up, idle, strict=True) if share > RESTLESS}
    found = _measured(_tasks(up, case), options, restless)
    names = [one.server.name for one in up if one.server not in FLOORS]
    floors = [one.server.name for one in up if one.server in FLOORS]
    _print_loads("one row: requests/s; p50, p99 in ms", names, CONNECTIONS, found)
    _print_loads("rows/s; p50, p99 in ms", [*names, WITH_ARROW], BATCHES, found)
    _print_processes(starts, idle)
    _print_ratios(found)
    _print_loads("floor: requests/s; p50, p99 in ms", floors, CONNECTIONS, found)


def _started(server: Server, case: Case, stack: ExitStack, count: int) -> list[Running]:
    """So many starts, of which the last goes on; none, and the reason is printed, if it cannot."""
    found = []
    try:
        programs = servers.programs(server, case.model)
        for left in reversed(range(count)):
            found.append(running.start(server, programs, case))
            if left:
                running.stop(found[-1])
        stack.callback(running.stop, found[-1])
        off = running.check(found[-1], case, CHECKED)
    except Left as why:
        print(f"- {server.name}: left out, {why}", flush=True)
        return []
    if server not in FLOORS:
        print(EQUAL.format(servers.version(server, programs), off), flush=True)
    return found


def _tasks(up: Sequence[Running], case: Case) -> list[Task]:
    """In the order of a round: each thing of all servers before the next thing."""
    tasks = []
    for what, connections in CONNECTIONS.items():
        for one in up:
            asks = _singles(one.server, case)
            tasks.append(Task(one.server.name, what, one.port, asks, connections))
    forms = list(_forms(up, case))
    for what, count in BATCHES.items():
        rows = np.resize(case.rows, (count, len(FEATURE_NAMES)))
        for one, name, form in forms:
            ask = load.request(one.server.path, running.body(one.server, rows, form), form)
            tasks.append(Task(name, what, one.port, [ask], BATCH_CONNECTIONS, count))
    return tasks


def _singles(server: Server, case: Case) -> list[bytes]:
    rows = case.rows[:SINGLE, None]
    return [load.request(server.path, running.body(server, one), JSON) for one in rows]


def _forms(up: Sequence[Running], case: Case) -> Iterator[tuple[Running, str, str]]:
    """How each is sent many rows: as JSON, and ours as Arrow too, if it takes that."""
    for one in up:
        if one.server not in FLOORS:
            yield one, one.server.name, JSON
        if one.server is OURS:
            try:
                off = running.check(one, case, CHECKED, ARROW)
            except Left as why:
                print(f"- {WITH_ARROW}: {why}", flush=True)
            else:
                print(EQUAL.format(WITH_ARROW, off), flush=True)
                yield one, WITH_ARROW, ARROW


def _measured(
    tasks: Sequence[Task], options: argparse.Namespace, restless: Mapping[int, Running]
) -> Results:
    """Medians of the rounds; of errors the sum. Who is restless sleeps while others are asked."""
    every = defaultdict(list)
    running.sends(signal.SIGSTOP, restless.values())
    for number in range(options.rounds):
        for name, what, port, asks, connections, rows in tasks:
            mine = [restless[port]] if port in restless else []
            running.sends(signal.SIGCONT, mine)
            if not number:
                load.run(port, asks, connections, options.seconds / 4)  # what it does only once
            found = load.run(port, asks, connections, options.seconds)
            every[name, what].append(found._replace(rate=found.rate * rows))
            running.sends(signal.SIGSTOP, mine)
    running.sends(signal.SIGCONT, restless.values())
    return {
        key: Load(*np.median([one[:3] for one in loads], 0), sum(one.errors for one in loads))
        for key, loads in every.items()
    }


def _print(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    print(f"\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def _print_loads(title: str, names: Iterable[str], columns: Iterable[str], found: Results) -> None:
    rows = []
    for name in names:
        loads = [found.get((name, one)) for one in columns]
        if all(loads):
            cells = [f"{one.rate:,.0f}; {one.p50:.1f}, {one.p99:.1f}" for one in loads]
            rows.append([name, *cells, str(sum(one.errors for one in loads))])
    _print([title, *columns, "errors"], rows)


def _print_processes(starts: Sequence[Sequence[Running]], idle: Sequence[float]) -> None:
    rows = []
    for (first, *later), share in zip(starts, idle, strict=True):
        if first.server in FLOORS:
            continue
        if later[-1].process.poll() is not None:
            rows.append([first.server.name, "has ended"])
            continue
        main, *others = running.memory(later[-1])
        each = " + ".join(f"{one:.0f}" for one in sorted(others, reverse=True))
        again = statistics.median(one.took for one in later)
        sums = f"{main:.0f}", each, f"{main + sum(others):.0f}"
        times = f"{first.took:.1f}", f"{again:.1f}", f"{share:.1%}"
        rows.append([first.server.name, *sums, *times])
    _print(["PSS after the load, MB", "main process", "its children", "sum", "first start, s",
            "later start, s", "processor while idle"], rows)  # fmt: skip


def _print_ratios(found: Results) -> None:
    """Of what is done in a second."""
    rows, others = [], [one.name for one in PEERS if one is not MLFLOW]
    for (mine, what), one in found.items():
        rates = {name: found[name, what].rate for name in others if (name, what) in found}
        plain = found.get((MLFLOW.name, what))
        if mine in (OURS.name, WITH_ARROW) and plain and rates:
            best = max(rates, key=rates.get)
            over = [f"{np.divide(one.rate, rate):.1f}" for rate in (plain.rate, rates[best])]
            rows.append([f"{mine}, {what}", *over, best])
    _print(["how many times as fast", f"as {MLFLOW.name}", "as the best other", "which is"], rows)


def profile(case: Case, stack: ExitStack, options: argparse.Namespace) -> None:
    """A ladder, measured rung by rung in one go: what each adds to the one before it."""
    up, tasks = {}, []
    for server, path in ((FLOORS[0], ""), (FLOORS[1], ""), (OURS, "/health"), (OURS, "")):
        if server.name not in up:
            up[server.name] = _started(server, case, stack, 1)
        asks = [load.request(path, b"", JSON, "GET")] if path else _singles(server, case)
        name = f"{server.name} {path or server.path}"
        tasks += [Task(name, "", one.port, asks, 8) for one in up[server.name]]
    found = _measured(tasks, options, {})
    before, rows = 0.0, []
    for (name, _), one in found.items():
        each = 1e6 / one.rate
        rows.append([name, f"{one.rate:,.0f}", f"{each:.0f}", f"{each - before:+.0f}"])
        before = each
    _print(["8 connections", "requests/s", "us a request", "more than the line above"], rows)


if __name__ == "__main__":
    main()
