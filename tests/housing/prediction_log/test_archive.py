"""Old rows are archived by the month while the service writes: none is lost, none is doubled."""

import fcntl
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from housing import paths
from housing.paths import PROJECT_ROOT
from housing.prediction_log import archive, filters, lock, reader, table
from tests.support.commands import run_command
from tests.support.logged_predictions import (
    FIRST_LOG_SCHEMA,
    prediction_row,
    refused_row,
    row_ids,
    write_log,
)

BUSY_LOG_ROWS = 6_000


def row_of_month(month, number, day=1, **overrides):
    asked_at = f"2026-{month:02}-{day:02}T00:00:00.000+00:00"
    return prediction_row(number, asked_at=asked_at, **overrides)


def count_ids(home):
    """Return by id how often it is in the log and the months together."""
    months = (home / "var" / "archive").glob("logs-*.db")
    files = [home / "var" / "logs.db", *months]
    return Counter(row_id for file in files for row_id in row_ids(file))


@pytest.fixture
def log(home):
    rows = [row_of_month(month, 10 * month + day, day) for month in (8, 9, 10) for day in (1, 2, 3)]
    return write_log(home / "var" / "logs.db", [*rows, refused_row(170)])


def test_each_month_gets_its_file(log, home, capsys):
    assert run_command("logs", ["--archive", "2026-10-02"]) == 0
    output = capsys.readouterr().out
    folder = home / "var" / "archive"
    months = [folder / f"logs-2026-{month}.db" for month in ("08", "09", "10")]
    assert [len(row_ids(month)) for month in months] == [3, 3, 1]
    assert len(row_ids(log)) == 3
    assert f"{folder / 'logs-2026-08.db'}: 3 answers added\n" in output
    assert f"{log}: 0.0 MB, of which new answers can use 0.0 MB again\n" in output
    assert run_command("logs", ["--from", str(folder / "logs-2026-08.db")]) == 0
    assert capsys.readouterr().out.count("$419,027") == 3
    assert run_command("logs", ["--archive", "2026-10-02"]) == 0
    assert "no answer is older than 2026-10-02T00:00:00.000 UTC" in capsys.readouterr().out


def test_a_row_without_an_id_stays_and_holds_up_nothing(log, home):
    with closing(sqlite3.connect(log)) as database, database:
        database.execute("UPDATE prediction SET id = NULL WHERE rowid = 2")
    assert run_command("logs", ["--archive", "1d"]) == 0
    assert row_ids(log) == [None]
    assert sum(count_ids(home).values()) == 10


def test_a_month_is_the_same_table_as_the_services_with_its_indexes(log, home):
    with closing(sqlite3.connect(log)) as database:
        table.create_or_migrate(database)
    run_command("logs", ["--archive", "1d", "--to", str(home / "months")])
    schemas = []
    for file in (log, home / "months" / "logs-2026-08.db"):
        with closing(sqlite3.connect(file)) as database:
            schemas.append(set(database.execute("SELECT type, name, sql FROM sqlite_master")))
    assert schemas[0] == schemas[1]


def test_an_archived_answer_is_still_found(log, home, capsys):
    from housing.registry.lineage import trace

    run_command("logs", ["--archive", "2026-10-02"])
    [first, *_] = row_ids(home / "var" / "archive" / "logs-2026-08.db")
    assert trace(first, "california-housing")[0].text == f"{first}: $419,027"


def test_a_month_that_an_older_service_began_gets_the_new_columns(home):
    log = write_log(home / "var" / "logs.db", [row_of_month(8, 1)], FIRST_LOG_SCHEMA)
    run_command("logs", ["--archive", "1d"])
    log.unlink()
    write_log(log, [row_of_month(8, 2, warnings='["far"]', run_id="f" * 32)])
    run_command("logs", ["--archive", "1d"])
    [old, new] = reader.read_newest(home / "var/archive/logs-2026-08.db", filters.LogFilters(), 20)
    assert (old["warnings"], new["warnings"], new["run_id"]) == (None, '["far"]', "f" * 32)


def test_the_columns_of_a_newer_service_are_archived_too(home):
    log, row = home / "var" / "logs.db", row_of_month(8, 1, price_index="1990")
    write_log(log, [row], extra_columns=["price_index"])
    run_command("logs", ["--archive", "1d"])
    month = home / "var/archive/logs-2026-08.db"
    [archived_row] = reader.read_newest(month, filters.LogFilters(), 20)
    assert archived_row["price_index"] == "1990"


def test_a_row_that_cannot_be_archived_stays(log, home):
    """A conflict other than that of the id does not mean that the row is archived already."""
    month = write_log(home / "var" / "archive" / "logs-2026-08.db", [], FIRST_LOG_SCHEMA)
    with sqlite3.connect(month) as database:
        database.execute("CREATE UNIQUE INDEX one ON prediction (model_name)")
    assert run_command("logs", ["--archive", "1d"]) == 1
    assert len(row_ids(log)) == 10


def test_a_row_without_a_time_stops_the_archiving(log, capsys):
    write_log(log, [prediction_row(500, asked_at="../../x")])
    assert run_command("logs", ["--archive", "1d"]) == 1
    assert "was asked at '../../x', expected an ISO time" in capsys.readouterr().err


def test_the_lock_of_the_service_is_waited_for(log, monkeypatch, capsys):
    monkeypatch.setattr(lock, "LOG_LOCK_TIMEOUT_SECONDS", 0.2)
    with open(f"{log}.lock", "w") as lock_file:  # noqa: PTH123
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        assert run_command("logs", ["--archive", "1d"]) == 1
    assert "logs.db.lock has been held for 0 s by the service" in capsys.readouterr().err
    assert run_command("logs", ["--archive", "1d"]) == 0
    assert row_ids(log) == []


def test_free_space_is_returned_to_the_disk_on_request(home, capsys):
    log = write_log(home / "var" / "logs.db", [row_of_month(8, number) for number in range(3000)])
    size_before = log.stat().st_size
    run_command("logs", ["--archive", "1d"])
    assert "`--compact` returns that to the disk" in capsys.readouterr().out
    assert archive.measure_log(log).free_bytes > size_before / 2
    run_command("logs", ["--archive", "1d", "--compact"])
    assert archive.measure_log(log).free_bytes == 0
    assert log.stat().st_size < size_before / 10


def test_a_log_with_auto_vacuum_returns_free_space_by_itself(home):
    log = home / "var" / "logs.db"
    log.parent.mkdir()
    with closing(sqlite3.connect(log)) as database:
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.execute("VACUUM")
        database.executescript(FIRST_LOG_SCHEMA)
    write_log(log, [row_of_month(8, number) for number in range(3000)])
    run_command("logs", ["--archive", "1d"])
    assert archive.measure_log(log).free_bytes == 0


def _insert(log, first, stop_event, added_count):
    """Add rows as the service does: under the lock, one a transaction, some asked long ago."""
    with closing(sqlite3.connect(log, timeout=20, isolation_level=None)) as database:
        number = first
        while not stop_event.is_set():
            row = row_of_month(9 if number % 10 == 1 else 12, number)
            row |= {"asked_at": row["asked_at"].replace("2026-12", "2999-12")}
            placeholders = ", ".join("?" * len(row))
            with lock.log_lock(log):
                database.execute(
                    f"INSERT INTO prediction ({', '.join(row)}) VALUES ({placeholders})",
                    tuple(row.values()),
                )
            number += 1
            added_count.value = number - first
            time.sleep(0.001)


class BusyLog(NamedTuple):
    """A log of many rows to which another process adds more."""

    file: Path
    stop_event: Event
    added_count: Any
    writer: Any

    def stop(self):
        """Stop the process; return how many rows it has added."""
        self.stop_event.set()
        self.writer.join(20)
        assert self.writer.exitcode == 0
        return self.added_count.value


@pytest.fixture
def busy_log(home):
    rows = [row_of_month(8 + number % 3, number) for number in range(BUSY_LOG_ROWS)]
    log = write_log(home / "var" / "logs.db", rows)
    context = multiprocessing.get_context("spawn")
    stop_event, added_count = context.Event(), context.Value("i", 0)
    writer = context.Process(target=_insert, args=(log, BUSY_LOG_ROWS, stop_event, added_count))
    writer.start()
    while not added_count.value:
        assert writer.is_alive()
        time.sleep(0.01)
    yield BusyLog(log, stop_event, added_count, writer)
    stop_event.set()
    writer.join(20)


def expected_counts(added_rows):
    return {f"{number:032x}-0": 1 for number in range(BUSY_LOG_ROWS + added_rows)}


def test_nothing_is_lost_or_doubled_while_the_service_writes(busy_log, home):
    added_before = busy_log.added_count.value
    assert run_command("logs", ["--archive", "1d"]) == 0
    added_meanwhile = busy_log.added_count.value - added_before
    added_rows = busy_log.stop()
    assert added_meanwhile > 10
    assert count_ids(home) == expected_counts(added_rows)
    run_command("logs", ["--archive", "1d"])
    assert count_ids(home) == expected_counts(added_rows)
    assert not any(int(row_id[:32], 16) < BUSY_LOG_ROWS for row_id in row_ids(busy_log.file))


@pytest.mark.slow
def test_a_run_that_is_killed_anywhere_is_completed_by_the_next(busy_log, home):
    code = "import sys; from tests.support.commands import run_command; "
    code += "from housing.prediction_log import archive; "
    code += "archive.ARCHIVE_CHUNK_ROWS = 100; archive.DELETE_CHUNK_ROWS = 30; "
    command = [sys.executable, "-c", f"{code}sys.exit(run_command('logs', ['--archive', '1d']))"]
    killed_runs = kills_between_commits = 0
    for attempt in range(60):
        if attempt >= 8 and kills_between_commits:
            break
        process = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL)
        times_before = archive_times()
        while process.poll() is None and archive_times() == times_before:
            time.sleep(0.001)
        time.sleep(0.005 * (attempt % 8))
        os.kill(process.pid, signal.SIGKILL)
        killed_runs += process.wait(20) == -signal.SIGKILL
        counts = count_ids(home)
        assert set(expected_counts(0)) <= set(counts)
        kills_between_commits += max(counts.values()) == 2
    assert killed_runs > 4
    assert kills_between_commits, "no kill came between the two commits"
    added_rows = busy_log.stop()
    assert run_command("logs", ["--archive", "1d"]) == 0
    assert count_ids(home) == expected_counts(added_rows)


def archive_times():
    """Return a number that changes whenever a month is written."""
    months = (paths.var() / "archive").glob("logs-*.db")
    return sum(month.stat().st_mtime_ns for month in months)
