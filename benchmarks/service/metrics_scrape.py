"""What a scrape of /metrics costs, and whether its counts are right, with two workers.

.venv/bin/python -m benchmarks.service.metrics_scrape [--times 200] [--requests N] [--home FOLDER]

The real service first answers thousands of requests: to all endpoints, valid and invalid ones, by
two versions of the champion (a copy is registered in a copy of the home's store).
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import orjson

from benchmarks.service.champion_swap import register_copies
from benchmarks.support import open_loop_load
from benchmarks.support.local_service import (
    Client,
    Service,
    get_request,
    post_request,
    random_block_groups,
    run_service,
    single_row_requests,
    sum_metric,
    wait_until,
)
from housing import paths
from housing.registry import versions
from housing.registry.versions import CHAMPION
from housing.tracking import store

MAX_MEDIAN_MS = 5.0  # of a scrape, without load
LOAD_RATE = 500  # single rows per second
LOAD_SECONDS = 20
N_COMPARED_PAGES = 20  # each on a connection of its own, so that both workers are scraped
N_CONNECTIONS = 8
PAGES = [
    *("/", "/docs", "/health", "/metrics", "/model", "/openapi.json", "/ping", "/predictions"),
    *("/ready", "/version", "/nowhere"),
]
EndpointCounts = Counter[tuple[str, str]]  # (endpoint, status) -> requests


def main() -> int:
    """Print Markdown tables; return 1 if a scrape is slow or one of its counts is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=200, help="scrapes")
    parser.add_argument("--requests", type=int, default=3_000, help="before the scrapes")
    parser.add_argument("--home", type=Path, default=paths.home())
    options = parser.parse_args()
    with TemporaryDirectory() as name:
        _, version = register_copies(options.home, Path(name), 1)
        with run_service(Path(name)) as service, open_loop_load.load_process() as load_process:
            counts = asyncio.run(send_requests(service, options.requests // 2))
            change_champion(service, version)
            counts += asyncio.run(send_requests(service, options.requests // 2))
            differences = compare_counts(service, counts)
            idle, page = asyncio.run(time_scrapes(service, options.times))
            requests = [("one row", request) for request in islice(single_row_requests(), 1_000)]
            load = load_process.submit(
                open_loop_load.run, service.port, requests, N_CONNECTIONS, LOAD_RATE, LOAD_SECONDS
            )
            time.sleep(2)
            loaded, _ = asyncio.run(time_scrapes(service, options.times))
            load.result()
    print("| GET /metrics | scrapes | median, ms | p99, ms |\n|---|---|---|---|")
    for name, times in (("nobody else asks", idle), (f"at {LOAD_RATE} requests/s", loaded)):
        p50, p99 = np.percentile(times, [50, 99])
        print(f"| {name} | {len(times)} | {p50:.1f} | {p99:.1f} |")
    complaints = check_format(page)
    n_series = sum(not line.startswith(b"#") for line in page.splitlines())
    print("\n| bytes | series | promtool finds | requests | pages compared | wrong counts |")
    print("|---|---|---|---|---|---|")
    print(
        f"| {len(page):,} | {n_series:,} | {complaints or 'nothing'} | {counts.total():,} "
        f"| {N_COMPARED_PAGES} | {len(differences)} |"
    )
    for difference in differences:
        print(f"- {difference}")
    malformed = complaints not in ("", "not installed")
    return 1 if differences or malformed or np.median(idle) > MAX_MEDIAN_MS else 0


async def send_requests(service: Service, count: int) -> EndpointCounts:
    """Send `count` requests of all kinds; count the responses."""
    counts: EndpointCounts = Counter()
    table = orjson.dumps({"dataframe_records": random_block_groups(20)})
    requests = [("/predict", post_request(orjson.dumps(row))) for row in random_block_groups(20)]
    requests += [("/invocations", post_request(table, path="/invocations"))]
    requests += [
        (path, post_request(b"no JSON", path=path)) for path in ("/predict", "/invocations")
    ]
    requests += [("/predict", post_request(b"x", "text/html"))]
    requests += [("unknown" if path == "/nowhere" else path, get_request(path)) for path in PAGES]

    async def send_share(first: int) -> None:
        client = Client(service.port)
        for number in range(first, count, N_CONNECTIONS):
            endpoint, request = requests[number % len(requests)]
            status, _, _ = await client.send(request)
            counts[endpoint, str(status)] += 1
        client.close()

    await asyncio.gather(*map(send_share, range(N_CONNECTIONS)))
    return counts


def change_champion(service: Service, version: str) -> None:
    """Make another version the champion; return once both workers have loaded it."""
    store.client().set_registered_model_alias(versions.current_champion().name, CHAMPION, version)
    wait_until(lambda: sum_metric(scrape(service), "housing_model_swaps_total") >= 4, 30)


def scrape(service: Service) -> bytes:
    """Return the metrics page, on a connection of its own."""
    return asyncio.run(Client(service.port).get("/metrics"))[1]


def compare_counts(service: Service, counts: EndpointCounts) -> list[str]:
    """Return a message for each count of the pages that differs from what was sent."""
    # /metrics also counts the scrapes of this comparison, and those before it
    expected = {key: count for key, count in counts.items() if key[0] != "/metrics"}
    differences = []
    for _ in range(N_COMPARED_PAGES):
        page = scrape(service)
        for (endpoint, status), count in expected.items():
            counted = sum_metric(page, "housing_requests_total", endpoint=endpoint, status=status)
            if counted != count:
                differences.append(
                    f"{counted:.0f} requests to {endpoint} with status {status}, not {count}"
                )
        counted = sum_metric(page, "housing_requests_total")
        counted -= sum_metric(page, "housing_requests_total", endpoint="/metrics")
        if counted != sum(expected.values()):
            differences.append(f"{counted:.0f} requests in all, not {sum(expected.values())}")
    return differences


async def time_scrapes(service: Service, times: int) -> tuple[list[float], bytes]:
    """Scrape one after another; return the milliseconds of each, and the last page."""
    client, durations = Client(service.port), []
    for _ in range(times):
        start = time.perf_counter()
        _, _, page = await client.send(get_request("/metrics"))
        durations.append((time.perf_counter() - start) * 1e3)
    client.close()
    return durations, page


def check_format(page: bytes) -> str:
    """Return what promtool, Prometheus' own tool, criticizes in a page."""
    if not shutil.which("promtool"):
        return "not installed"
    result = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True)
    return (result.stdout + result.stderr).decode().strip()


if __name__ == "__main__":
    sys.exit(main())
