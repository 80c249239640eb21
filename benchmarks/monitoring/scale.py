"""How long the monitoring takes to read a large log, the first time and again, and in what memory.

.venv/bin/python -m benchmarks.monitoring.scale [--rows 10000000] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from housing.data import loading, splitting
from housing.evaluation.calibration import IntervalPrediction
from housing.monitoring.daily import store as daily_store
from housing.monitoring.reference.held_out import Reference, build_reference
from housing.paths import PROJECT_ROOT
from housing.prediction_log import months, table
from housing.schema import FEATURE_NAMES, TARGET

LOGGED_DAYS = 90
LOG_DAYS = 40  # in the log itself; older months are archived
MODEL_NAME = "california-housing"
N_VERSIONS = 3
N_CALLERS = 5
REFUSED_EVERY = 50  # rows
LABELLED_EVERY = 10
ERROR_STD = 0.3  # of the predictions, in $100,000: what a prediction is does not matter here
NEW_ROWS = 1_000  # for the third refresh
LOG_NAME, STORE_NAME, REFERENCE_FILE = "logs.db", "daily.db", "reference.pickle"
DAY_MS = 24 * 3_600_000
# Rows of the held-out part, with another income each, so that no two are equal. The numbers of the
# rows in the file go from :first to :last, those of the whole log to :total.
INSERT_PREDICTIONS = f"""
WITH RECURSIVE counter (number) AS (
  SELECT :first UNION ALL SELECT number + 1 FROM counter WHERE number < :last
), request AS (
  SELECT number, :start_ms + number * {LOGGED_DAYS * DAY_MS} / :total AS ms,
    number % {REFUSED_EVERY} = 7 AS is_refused, random() & 0xfffffff AS noise FROM counter
)
INSERT INTO {{schema}}.prediction (id, request_id, asked_at, status, input, prediction, model_name,
  model_version, latency_ms, problem, low, high, warnings, run_id, caller)
SELECT printf('%012x7%03x8%015x-0', ms, number % 4096, noise),
  printf('%012x7%03x8%015x', ms, number % 4096, noise),
  strftime('%Y-%m-%dT%H:%M:%f+00:00', ms / 1000.0, 'unixepoch'),
  iif(is_refused, 422, 200),
  iif(is_refused, '{{{{"MedInc": -1',
    '{{{{"MedInc":' || round(income + noise / 1e10, 6) || ',' || others),
  iif(is_refused, NULL, price), iif(is_refused, NULL, '{MODEL_NAME}'),
  iif(is_refused, NULL, 1 + number * {N_VERSIONS} / :total), 0.2 + noise % 1000 / 100.0,
  iif(is_refused, 'MedInc is -' || noise || ', expected a number from 0 to 20 (median income)',
    NULL),
  iif(is_refused, NULL, price - 0.5), iif(is_refused, NULL, price + 0.5),
  iif(is_refused, NULL, iif(number % 33, '[]', '["AveRooms is 160"]')),
  iif(is_refused, NULL, '{"f" * 32}'), 'key-' || noise % {N_CALLERS}
FROM request JOIN block_group ON block_group.id = noise % :n_block_groups
"""
INSERT_FEEDBACK = f"""
INSERT INTO main.feedback (prediction_id, truth, received_at)
SELECT id, prediction + {ERROR_STD} * (random() % 1000) / 1000,
  strftime('%Y-%m-%dT%H:%M:%f+00:00', asked_at, '+3 days')
FROM {{schema}}.prediction WHERE status = 200 AND rowid % {LABELLED_EVERY} = 0
"""


class FilePart(NamedTuple):
    """The rows that are in one file, by their numbers in the order of time."""

    file: Path
    first: int
    end: int


def main() -> None:
    """Print a Markdown table; or, in a process of its own, do what is measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, help="for the log; by default a temporary one")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.folder)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        last_day = datetime.now(UTC).date() - timedelta(days=4)  # true values come 3 days later
        fill_log(folder, options.rows, last_day)
        print_sizes(folder, options.rows)
        print("\n| | refresh, s | of it processor | read, s | days read | memory, MB |")
        print("|---|---|---|---|---|---|")
        print_measurement("first refresh", folder)
        print_measurement("nothing new", folder)
        add_rows(folder / LOG_NAME, NEW_ROWS)
        print_measurement(f"{NEW_ROWS:,} new rows", folder)
        print(f"\ndaily.db: {(folder / STORE_NAME).stat().st_size / 1e6:,.1f} MB")


def fill_log(folder: Path, n_rows: int, last_day: date) -> None:
    """Write a log and its archived months, and build the reference that the rows are counted by."""
    first_day = last_day - timedelta(days=LOGGED_DAYS - 1)
    rows = build_traffic_rows(folder)
    with closing(sqlite3.connect(folder / LOG_NAME, isolation_level=None)) as connection:
        table.create_or_migrate(connection)
        prepare(connection)
        connection.execute(
            "CREATE TEMP TABLE block_group "
            "(id INTEGER PRIMARY KEY, income REAL, others TEXT, price REAL)"
        )
        connection.executemany("INSERT INTO block_group VALUES (?, ?, ?, ?)", rows)
        start_ms = int(datetime.combine(first_day, datetime.min.time(), UTC).timestamp() * 1000)
        for part in divide_among_files(folder, first_day, n_rows):
            write_file(connection, part, start_ms, n_rows)
    with closing(sqlite3.connect(folder / LOG_NAME)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def prepare(connection: sqlite3.Connection, schema: str = "main") -> None:
    """Let nothing of a database that is being filled wait for the disk."""
    connection.execute(f"PRAGMA {schema}.journal_mode = OFF")
    connection.execute(f"PRAGMA {schema}.synchronous = OFF")


def build_traffic_rows(folder: Path) -> list[tuple[Any, ...]]:
    """Save a reference; return the held-out rows: number, income, the rest of the JSON, price."""
    frame = loading.load_dataset().frame
    train, test = splitting.split_train_test(frame, 0.2, 42)
    prices = test[TARGET].to_numpy() + np.random.default_rng(0).normal(0, ERROR_STD, len(test))
    predictions = IntervalPrediction(prices, prices - 0.5, prices + 0.5)
    reference = build_reference(test, predictions, train, MODEL_NAME)
    pd.to_pickle(reference, folder / REFERENCE_FILE)
    rows = []
    for number, values in enumerate(test[FEATURE_NAMES].to_numpy().tolist()):
        texts = [f'"{name}":{value}' for name, value in zip(FEATURE_NAMES, values, strict=True)]
        rows.append((number, values[0], f"{','.join(texts[1:])}}}", prices[number]))
    return rows


def divide_among_files(folder: Path, first_day: date, n_rows: int) -> list[FilePart]:
    """Return which rows are in which file: the last months in the log, the others archived."""
    days = pd.Series(pd.date_range(first_day, periods=LOGGED_DAYS))
    month_names = days.dt.strftime("%Y-%m").where(days.index < LOGGED_DAYS - LOG_DAYS, "")
    parts = []
    for month, numbers in days.index.groupby(month_names).items():
        file = months.month_file(folder / "archive", month) if month else folder / LOG_NAME
        bounds = (n_rows * day // LOGGED_DAYS for day in (numbers[0], numbers[-1] + 1))
        parts.append(FilePart(file, *bounds))
    return parts


def write_file(connection: sqlite3.Connection, part: FilePart, start_ms: int, n_rows: int) -> None:
    """Add the rows of a file, and to the log the true values of some of them."""
    schema = "main"
    if part.file.name != LOG_NAME:
        schema = "month"
        part.file.parent.mkdir(exist_ok=True)
        with closing(sqlite3.connect(part.file)) as month:
            table.create_or_migrate(month)
        connection.execute("ATTACH ? AS month", (str(part.file),))
        prepare(connection, "month")
    [[n_block_groups]] = connection.execute("SELECT count(*) FROM block_group")
    values = {"first": part.first, "last": part.end - 1, "total": n_rows, "start_ms": start_ms}
    connection.execute("BEGIN")
    connection.execute(
        INSERT_PREDICTIONS.format(schema=schema), values | {"n_block_groups": n_block_groups}
    )
    connection.execute(INSERT_FEEDBACK.format(schema=schema))
    connection.execute("COMMIT")
    if schema == "month":
        connection.execute("DETACH month")


def add_rows(log: Path, n_rows: int) -> None:
    """Add new rows of today: copies of the last ones."""
    today = datetime.now(UTC).date().isoformat()
    with closing(sqlite3.connect(log)) as connection, connection:
        columns = ", ".join(table.COLUMN_NAMES)
        values = columns.replace("id,", "'new-' || rowid,", 1)
        values = values.replace("asked_at", f"'{today}' || substr(asked_at, 11)")
        connection.execute(
            f"INSERT INTO prediction ({columns}) SELECT {values} FROM prediction "
            "ORDER BY rowid DESC LIMIT ?",
            (n_rows,),
        )


def print_sizes(folder: Path, n_rows: int) -> None:
    """Print what the log takes up."""
    files = [folder / LOG_NAME, *(folder / "archive").iterdir()]
    size = sum(file.stat().st_size for file in files) / 1e6
    print(f"{n_rows:,} rows of {LOGGED_DAYS} days in {len(files)} files, {size:,.0f} MB")


def print_measurement(title: str, folder: Path) -> None:
    """Refresh and read in a process of its own, and print a row."""
    command = [sys.executable, "-m", "benchmarks.monitoring.scale", "--measure"]
    output = subprocess.run(
        [*command, "--folder", folder], cwd=PROJECT_ROOT, check=True, stdout=subprocess.PIPE
    ).stdout
    result = json.loads(output)
    print(
        f"| {title} | {result['refresh']:.1f} | {result['cpu']:.1f} | {result['read']:.1f} | "
        f"{result['days_read']} | {result['memory_mb']:,.0f} |",
        flush=True,
    )


def measure(folder: Path) -> dict[str, float]:
    """Return seconds and memory of a refresh and of reading the counts."""
    reference: Reference = pd.read_pickle(folder / REFERENCE_FILE)
    store, archive_folder = folder / STORE_NAME, folder / "archive"
    start, cpu_start = time.perf_counter(), time.process_time()
    summary = daily_store.refresh(
        store,
        folder / LOG_NAME,
        lambda name, version: reference,
        lambda: months.archive_paths(archive_folder),
    )
    refreshed, cpu_end = time.perf_counter(), time.process_time()
    counts = daily_store.read(store, MODEL_NAME)
    read = time.perf_counter()
    assert counts.requests.rows.sum() > 0
    return {
        "refresh": refreshed - start,
        "cpu": cpu_end - cpu_start,
        "read": read - refreshed,
        "days_read": summary.days_read,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


if __name__ == "__main__":
    main()
