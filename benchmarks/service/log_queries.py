"""How long `run_pipeline.py logs` takes on a large log, and how archiving delays writers.

.venv/bin/python -m benchmarks.service.log_queries [--rows 1000000]
"""

import argparse
import contextlib
import io
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from housing.cli import logs
from housing.paths import PROJECT_ROOT
from housing.prediction_log import lock, table
from housing.schema import FEATURES

PROBLEM = "MedInc is -1, expected a number from 0 to 20 (median household income; $10,000 a year)"
WARNING = '["AveRooms is 160, and the model has seen 0.8 to 142 (rooms)"]'
LOGGED_DAYS = 10
EXISTING_ID = "ID"  # replaced by an id that is in the log
QUERIES = [
    [],
    ["--json", "--limit", "1000"],
    ["--since", "2h"],
    ["--status", "4xx"],
    ["--warned", "--version", "2"],
    ["--model", "nobody's"],
    ["--min-usd", "499000", "--since", "1d"],
    ["--place", "37.88,-122.23,5"],
    ["--place", "10,10,5"],
    ["--request", EXISTING_ID],
    ["--request", "a caller's"],
    ["--summary", "--since", "1d"],
    ["--summary"],
]
ARCHIVE = [sys.executable, PROJECT_ROOT / "run_pipeline.py", "logs", "--archive", "5d"]
COLUMNS = (
    "id, request_id, asked_at, status, input, prediction, model_name, model_version, "
    "latency_ms, problem, low, high, warnings, run_id"
)
INSERT = f"INSERT INTO prediction ({COLUMNS}) VALUES ({', '.join('?' * 14)})"


def main() -> None:
    """Print Markdown tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    n_rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOUSING_HOME"] = folder
        database = Path(folder) / "var" / "logs.db"
        database.parent.mkdir()
        existing_id = fill_log(database, n_rows)
        print(f"a log of {n_rows:,} rows, {database.stat().st_size / 1e6:,.0f} MB\n")
        print("| `logs` | seconds |\n|---|---|")
        for query in QUERIES:
            arguments = [existing_id if word == EXISTING_ID else word for word in query]
            print(f"| {' '.join(query)} | {time_query(arguments):.3f} |")
        print("\n| the writer of a row beside it | rows | median, p99, worst, ms |\n|---|---|---|")
        print_write_times("nothing", time_writes(database, lambda: time.sleep(5)))
        start = time.perf_counter()
        archive_times = time_writes(database, lambda: subprocess.run(ARCHIVE, check=True))
        print_write_times("`logs --archive 5d`", archive_times)
        seconds, n_archived = time.perf_counter() - start, n_rows // 2
        print(
            f"\narchived: {n_archived:,} rows in {seconds:.1f} s, "
            f"{n_archived / seconds:,.0f} rows/s"
        )


def fill_log(database: Path, n_rows: int) -> str:
    """Write a log of LOGGED_DAYS, evenly spaced; return the id of one of its requests."""
    period = timedelta(days=LOGGED_DAYS)
    generator, start, interval = random.Random(0), datetime.now(UTC) - period, period / n_rows
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(table.SCHEMA_FILE.read_text())
    with connection:
        connection.executemany(
            INSERT,
            (log_row(generator, start + interval * number, number) for number in range(n_rows)),
        )
    query = "SELECT request_id FROM prediction WHERE status = 200"
    [request_id] = connection.execute(query).fetchone()
    connection.close()
    return request_id


def log_row(generator: random.Random, logged_at: datetime, number: int) -> tuple:
    """Return the values of COLUMNS: each hundredth row is an error, each 33rd has a warning."""
    features = {
        name: generator.uniform(feature.low, feature.high) for name, feature in FEATURES.items()
    }
    features |= {
        "Latitude": generator.uniform(32.5, 42),
        "Longitude": generator.uniform(-124, -114),
    }
    body, timestamp = json.dumps(features), logged_at.isoformat(timespec="milliseconds")
    request_id = uuid.UUID(int=generator.getrandbits(128)).hex
    latency = round(generator.expovariate(2), 3)
    if number % 100 == 0:
        request = (request_id, request_id, timestamp, 422, body)
        return (*request, None, None, None, latency, PROBLEM, None, None, None, None)
    prediction, version = generator.uniform(0.2, 5), str(1 + number % 3)
    request = (f"{request_id}-0", request_id, timestamp, 200, body)
    model = ("california-housing", version)
    interval = (prediction - 0.5, prediction + 0.5)
    warnings = WARNING if number % 33 == 0 else "[]"
    return (*request, prediction, *model, latency, None, *interval, warnings, "f" * 32)


def time_query(arguments: list[str]) -> float:
    """Return the seconds of the fastest of three calls of `logs`."""
    parser, durations = argparse.ArgumentParser(), []
    logs.add_arguments(parser)
    options = vars(parser.parse_args(arguments))
    for _ in range(3):
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            logs.logs(**options)
        durations.append(time.perf_counter() - start)
    return min(durations)


def time_writes(database: Path, work: Callable[[], object]) -> list[float]:
    """Write rows, one after another, while `work` runs; return the seconds of each, sorted."""
    stop_event, durations = threading.Event(), []

    def write() -> None:
        generator = random.Random()
        connection = sqlite3.connect(database, timeout=1, isolation_level=None)
        connection.execute("PRAGMA synchronous = NORMAL")
        while not stop_event.is_set():
            start = time.perf_counter()
            with lock.log_lock(database):
                connection.execute(INSERT, log_row(generator, datetime.now(UTC), 1))
            durations.append(time.perf_counter() - start)
            time.sleep(0.002)
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    work()
    stop_event.set()
    writer.join()
    return sorted(durations)


def print_write_times(work: str, durations: list[float]) -> None:
    """Print a row: what ran meanwhile, the number of written rows, and their sorted durations."""
    median, p99 = (durations[int(len(durations) * share)] * 1000 for share in (0.5, 0.99))
    worst = durations[-1] * 1000
    print(f"| {work} | {len(durations):,} | {median:.2f}, {p99:.2f}, {worst:.2f} |")


if __name__ == "__main__":
    main()
