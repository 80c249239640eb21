"""How long `run_pipeline.py logs` takes on a log of a million answers, and how its archiving
disturbs who writes to that log: `python -m benchmarks.service.log_queries [--rows N]`."""

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
from datetime import UTC, datetime, timedelta
from pathlib import Path

from housing.cli import logs
from housing.paths import PROJECT_ROOT
from housing.prediction_log import archive, table
from housing.schema import FEATURES

PROBLEM = "MedInc is -1, expected a number from 0 to 20 (median household income; $10,000 a year)"
WARNING = '["AveRooms is 160, and the model has seen 0.8 to 142 (rooms)"]'
ASKED = [
    [],
    ["--json", "--limit", "1000"],
    ["--since", "2h"],
    ["--status", "4xx"],
    ["--warned", "--version", "2"],
    ["--model", "nobody's"],
    ["--min-usd", "499000", "--since", "1d"],
    ["--place", "37.88,-122.23,5"],
    ["--place", "10,10,5"],
    ["--request", "ID"],
    ["--request", "a caller's"],
    ["--summary", "--since", "1d"],
    ["--summary"],
]
ARCHIVE = [sys.executable, PROJECT_ROOT / "run_pipeline.py", "logs", "--archive", "5d"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOUSING_HOME"] = folder
        file = Path(folder) / "var" / "logs.db"
        file.parent.mkdir()
        some = fill(file, rows)
        print(f"a log of {rows:,} rows, {file.stat().st_size / 1e6:,.0f} MB\n")
        print("| `logs` | seconds |\n|---|---|")
        for arguments in ASKED:
            typed = [some if one == "ID" else one for one in arguments]
            print(f"| {' '.join(arguments)} | {least(typed):.3f} |")
        print("\n| the writer of a row beside it | rows | median, p99, worst, ms |\n|---|---|---|")
        told("nothing", writing(file, lambda: time.sleep(5)))
        started = time.perf_counter()
        told("`logs --archive 5d`", writing(file, lambda: subprocess.run(ARCHIVE, check=True)))
        took, moved = time.perf_counter() - started, rows // 2
        print(f"\narchived: {moved:,} rows in {took:.1f} s, {moved / took:,.0f} rows/s")


def fill(file: Path, rows: int) -> str:
    """Ten days of answers, evenly; gives one's id."""
    chance, start = random.Random(0), datetime.now(UTC) - timedelta(days=10)
    database = sqlite3.connect(file)
    database.execute("PRAGMA journal_mode = WAL")
    database.executescript(table.SCHEMA_FILE.read_text())
    step = timedelta(days=10) / rows
    with database:
        database.executemany(
            insert(), (row(chance, start + step * place, place) for place in range(rows))
        )
    [some] = database.execute("SELECT request_id FROM prediction WHERE status = 200").fetchone()
    database.close()
    return some


def insert() -> str:
    names = ("id, request_id, asked_at, status, input, prediction, model_name, model_version, "
             "latency_ms, problem, low, high, warnings, run_id")  # fmt: skip
    return f"INSERT INTO prediction ({names}) VALUES ({', '.join('?' * 14)})"


def row(chance: random.Random, at: datetime, place: int) -> tuple:
    asked = {name: chance.uniform(it.low, it.high) for name, it in FEATURES.items()}
    asked |= {"Latitude": chance.uniform(32.5, 42), "Longitude": chance.uniform(-124, -114)}
    request, when = (
        uuid.UUID(int=chance.getrandbits(128)).hex,
        at.isoformat(timespec="milliseconds"),
    )
    latency = round(chance.expovariate(2), 3)
    if place % 100 == 0:
        return (request, request, when, 422, json.dumps(asked), None, None, None, latency, PROBLEM,
                None, None, None, None)  # fmt: skip
    value, version = chance.uniform(0.2, 5), str(1 + place % 3)
    return (f"{request}-0", request, when, 200, json.dumps(asked), value, "california-housing",
            version, latency, None, value - 0.5, value + 0.5, WARNING if place % 33 == 0 else "[]",
            "f" * 32)  # fmt: skip


def least(arguments: list[str]) -> float:
    """Seconds of the quickest of three."""
    took = []
    for _ in range(3):
        started = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            logs.logs(arguments)
        took.append(time.perf_counter() - started)
    return min(took)


def writing(file: Path, work) -> list[float]:
    """Seconds that each of the rows took that were written until the work was done."""
    done, took = threading.Event(), []

    def write() -> None:
        chance = random.Random()
        database = sqlite3.connect(file, timeout=1, isolation_level=None)
        database.execute("PRAGMA synchronous = NORMAL")
        while not done.is_set():
            started = time.perf_counter()
            with archive.log_lock(file):
                database.execute(insert(), row(chance, datetime.now(UTC), 1))
            took.append(time.perf_counter() - started)
            time.sleep(0.002)
        database.close()

    writer = threading.Thread(target=write)
    writer.start()
    work()
    done.set()
    writer.join()
    return sorted(took)


def told(beside: str, took: list[float]) -> None:
    median, late = (took[int(len(took) * share)] * 1000 for share in (0.5, 0.99))
    print(f"| {beside} | {len(took):,} | {median:.2f}, {late:.2f}, {took[-1] * 1000:.2f} |")


if __name__ == "__main__":
    main()
