"""What a scrape of /metrics costs, and whether it is right: the real service with two workers.

.venv/bin/python -m benchmarks.service.metrics_scrape [--times 200] [--requests 3000] [--home FOLDER]

The service answers thousands of requests first: to all endpoints, right and wrong ones, by two
versions of the champion, which is registered again in a copy of the home's store.
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import orjson

from benchmarks.service.champion_swap import twins
from benchmarks.support import local_service as service
from benchmarks.support import open_loop_load as paced
from benchmarks.support.local_service import Client, Running, post, running, total, until
from housing import paths
from housing.registry import versions
from housing.registry.versions import CHAMPION
from housing.tracking import store

AIM = 5.0  # ms, the median when nobody else asks
LOAD, LOAD_SECONDS = 500, 20  # single rows a second
PAGES_COMPARED = 20  # each by a connection of its own, so that both workers are asked
PAGES = ["/", "/docs", "/health", "/metrics", "/model", "/openapi.json", "/ping", "/predictions",
         "/ready", "/version", "/nowhere"]  # fmt: skip


def main() -> int:
    """Prints Markdown tables; exit code 1 if a scrape is slow, or says what is not so."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--requests", type=int, default=3_000)
    parser.add_argument("--home", type=Path, default=paths.home())
    options = parser.parse_args()
    with TemporaryDirectory() as name:
        _, version = twins(options.home, Path(name), 1)
        with running(Path(name)) as serving, paced.client() as client:
            sent = asyncio.run(asked(serving, options.requests // 2))
            moved(serving, version)
            sent += asyncio.run(asked(serving, options.requests // 2))
            wrong = compared(serving, sent)
            idle, page = asyncio.run(scraped(serving, options.times))
            rows = [("one row", one) for one in singles(1_000)]
            loading = client.submit(paced.run, serving.port, rows, 8, LOAD, LOAD_SECONDS)
            time.sleep(2)
            loaded, _ = asyncio.run(scraped(serving, options.times))
            loading.result()
    print("| GET /metrics | scrapes | median, ms | p99, ms |\n|---|---|---|---|")
    for name, took in (("nobody else asks", idle), (f"at {LOAD} requests/s", loaded)):
        print(f"| {name} | {len(took)} | {np.median(took):.1f} | {np.percentile(took, 99):.1f} |")
    checked = promtool(page)
    print("\n| bytes | series | promtool finds | requests | pages compared | wrong counts |")
    print("|---|---|---|---|---|---|")
    series = sum(not one.startswith(b"#") for one in page.splitlines())
    print(f"| {len(page):,} | {series:,} | {checked or 'nothing'} | {sent.total():,} "
          f"| {PAGES_COMPARED} | {len(wrong)} |")  # fmt: skip
    for one in wrong:
        print(f"- {one}")
    return 1 if wrong or checked not in ("", "not installed") or np.median(idle) > AIM else 0


def singles(count: int) -> list[bytes]:
    """Requests about one row each."""
    return [post(orjson.dumps(one)) for one in service.rows(count)]


async def asked(serving: Running, count: int) -> Counter[tuple[str, str]]:
    """(endpoint, status) -> how many were answered so, of about as many requests."""
    sent: Counter[tuple[str, str]] = Counter()
    table = orjson.dumps({"dataframe_records": service.rows(20)})
    bodies = [("/predict", one) for one in singles(20)]
    bodies += [("/invocations", post(table, path="/invocations"))]
    bodies += [(path, post(b"no JSON", path=path)) for path in ("/predict", "/invocations")]
    bodies += [("/predict", post(b"x", "text/html"))]
    bodies += [("unknown" if path == "/nowhere" else path, get(path)) for path in PAGES]
    clients = [Client(serving.port) for _ in range(8)]

    async def ask(place: int) -> None:
        for at in range(place, count, len(clients)):
            endpoint, request = bodies[at % len(bodies)]
            status, _, _ = await clients[place].ask(request)
            sent[endpoint, str(status)] += 1

    await asyncio.gather(*map(ask, range(len(clients))))
    for one in clients:
        one.close()
    return sent


def get(path: str) -> bytes:
    """A request for a page."""
    return f"GET {path} HTTP/1.1\r\nhost: here\r\n\r\n".encode()


def moved(serving: Running, version: str) -> None:
    """Makes another version champion; returns once both workers have taken it over."""
    store.client().set_registered_model_alias(versions.current_champion().name, CHAMPION, version)
    until(lambda: total(scrape(serving), "housing_model_swaps_total") >= 4, 30)


def scrape(serving: Running) -> bytes:
    """The page, by a connection of its own."""
    return asyncio.run(Client(serving.port).get("/metrics"))[1]


def compared(serving: Running, sent: Counter[tuple[str, str]]) -> list[str]:
    """What is not as it was sent, on pages of either worker."""
    wrong = []
    for _ in range(PAGES_COMPARED):
        page = scrape(serving)
        for (endpoint, status), count in sent.items():
            if endpoint == "/metrics":  # it counts those who wait and compare, too
                continue
            said = total(page, "housing_requests_total", endpoint=endpoint, status=status)
            if said != count:
                wrong.append(f"{said:.0f} requests to {endpoint} with status {status}, not {count}")
        told = sum(count for (endpoint, _), count in sent.items() if endpoint != "/metrics")
        every = total(page, "housing_requests_total")
        every -= total(page, "housing_requests_total", endpoint="/metrics")
        if every != told:
            wrong.append(f"{every:.0f} requests in all, not {told}")
    return wrong


async def scraped(serving: Running, times: int) -> tuple[list[float], bytes]:
    """What each of so many scrapes took, in ms, one after the other; and the last page."""
    client, took = Client(serving.port), []
    for _ in range(times):
        begun = time.perf_counter()
        _, _, page = await client.ask(get("/metrics"))
        took.append((time.perf_counter() - begun) * 1e3)
    client.close()
    return took, page


def promtool(page: bytes) -> str:
    """What Prometheus' own tool has to say of a page."""
    if not shutil.which("promtool"):
        return "not installed"
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True)
    return (done.stdout + done.stderr).decode().strip()


if __name__ == "__main__":
    sys.exit(main())
