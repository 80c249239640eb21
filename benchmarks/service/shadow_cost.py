"""What a challenger beside the champion costs: throughput and latencies without and with it.

.venv/bin/python -m benchmarks.service.shadow_cost [--rounds 6] [--seconds 5] [--home FOLDER]

Two services run side by side, with HOUSING_SHADOW_SHARE 0 and 1; the challenger is a copy of the
home's champion, registered in a copy of its store. They are measured in turn, and the idle one has
nothing to do. Each round has a closed loop (the highest throughput) and an open loop at half of it.
"""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from benchmarks.service.champion_swap import register_copies
from benchmarks.support import closed_loop_load, open_loop_load
from benchmarks.support.local_service import (
    Client,
    Service,
    run_coroutine,
    run_service,
    single_row_requests,
    sum_metric,
    wait_until,
)
from housing import paths
from housing.registry.versions import CHALLENGER, current_champion
from housing.tracking import store

SHARES = {"without a challenger": 0, "with a challenger": 1}
OPEN_LOOP_SHARE = 0.5  # of the highest throughput of the first round
CATCH_UP_SECONDS = 3.0  # after a measurement, so that the challenger's work ends within its own
START_SECONDS = 120  # until the challenger answers


class Load(NamedTuple):
    """What one service did in one round."""

    rate: float  # requests/s of the closed loop
    closed_p99: float  # ms
    open_p50: float
    open_p99: float
    failed: int  # requests


def main() -> int:
    """Print a Markdown table; return 1 if a request failed or no row was shadowed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=5, help="of each of a round's two loads")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--home", type=Path, default=paths.home())
    options = parser.parse_args()
    with TemporaryDirectory() as name, ExitStack() as stack:
        home = Path(name)
        [_, challenger] = register_copies(options.home, home, 1)
        model_name = current_champion().name
        store.client().set_registered_model_alias(model_name, CHALLENGER, challenger)
        services = {}
        for label, share in SHARES.items():
            services[label] = stack.enter_context(run_service(home, SHADOW_SHARE=share))
        shadowed = services["with a challenger"]
        wait_until(lambda: is_answering(shadowed), START_SECONDS)
        loads = measure(services, options)
        print_table(loads)
        rows, dropped = (shadow_count(shadowed, field) for field in ("rows", "dropped_rows"))
        print(f"\nthe challenger answered {rows:,.0f} rows and skipped {dropped:,.0f}")
        failed = sum(load.failed for label_loads in loads.values() for load in label_loads)
    return int(failed > 0 or not rows)


def is_answering(service: Service) -> bool:
    """Return whether the challenger of a service is loaded."""
    page = run_coroutine(Client(service.port).get("/metrics"))[1]
    return sum_metric(page, "housing_shadow_info", state="answering") == 1


def shadow_count(service: Service, field: str) -> float:
    """Return a counter of the challenger's process once it has been written."""
    time.sleep(CATCH_UP_SECONDS)
    page = run_coroutine(Client(service.port).get("/metrics"))[1]
    return sum_metric(page, f"housing_shadow_{field}_total")


def measure(services: dict[str, Service], options: argparse.Namespace) -> dict[str, list[Load]]:
    """Return the loads of all rounds, the services in turn forwards and backwards."""
    requests = list(islice(single_row_requests(), 1_000))
    loads: dict[str, list[Load]] = defaultdict(list)
    open_rate = 0.0
    with open_loop_load.load_process() as load_process:
        for number in range(options.rounds):
            labels = list(services) if number % 2 == 0 else list(services)[::-1]
            for label in labels:
                port = services[label].port
                closed = load_process.submit(
                    closed_loop_load.run, port, requests, options.connections, options.seconds
                ).result()
                open_rate = open_rate or closed.rate * OPEN_LOOP_SHARE
                labelled_requests = [("one row", request) for request in requests]
                responses = load_process.submit(
                    open_loop_load.run, port, labelled_requests, options.connections, open_rate,
                    options.seconds,
                ).result()  # fmt: skip
                latencies = [response.seconds * 1e3 for response in responses]
                p50, p99 = np.percentile(latencies, [50, 99])
                failed = closed.errors + sum(response.status != 200 for response in responses)
                loads[label].append(Load(closed.rate, closed.p99, p50, p99, failed))
                time.sleep(CATCH_UP_SECONDS)
    print(f"open loop at {open_rate:,.0f} requests/s, {options.rounds} rounds\n")
    return loads


def print_table(loads: dict[str, Sequence[Load]]) -> None:
    """Print the medians of the rounds, and the ratio of the two services."""
    print("| | requests/s | p99, ms | p50 at half of that, ms | p99, ms | failed |")
    print("|---|---|---|---|---|---|")
    medians = {}
    for label, label_loads in loads.items():
        medians[label] = np.median([load[:4] for load in label_loads], axis=0)
        rate, *latencies = medians[label]
        cells = " | ".join(f"{latency:.2f}" for latency in latencies)
        failed = sum(load.failed for load in label_loads)
        print(f"| {label} | {rate:,.0f} | {cells} | {failed} |")
    without, with_challenger = (medians[label] for label in SHARES)
    cells = " | ".join(f"{ratio:.2f}" for ratio in with_challenger / without)
    print(f"| ratio | {cells} | |")


if __name__ == "__main__":
    sys.exit(main())
