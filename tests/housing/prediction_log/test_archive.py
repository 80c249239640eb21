"""Old answers move into months while the service writes: nothing is lost, nothing doubled."""

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

import pytest

from housing import paths
from housing.cli import logs
from housing.paths import PROJECT_ROOT
from housing.prediction_log import archive, filters, reader
from tests.support.logged_predictions import (
    FIRST_LOG_SCHEMA,
    prediction_row,
    refused_row,
    row_ids,
    write_log,
)

MANY = 6_000


def of(month, place, day=1, **others):
    return prediction_row(place, asked_at=f"2026-{month:02}-{day:02}T00:00:00.000+00:00", **others)


def everywhere(home):
    """Id -> how often it is in the log and the months together."""
    months = (home / "var" / "archive").glob("logs-*.db")
    return Counter(one for file in [home / "var" / "logs.db", *months] for one in row_ids(file))


@pytest.fixture
def log(home):
    rows = [of(month, 10 * month + day, day) for month in (8, 9, 10) for day in (1, 2, 3)]
    return write_log(home / "var" / "logs.db", [*rows, refused_row(170)])


def test_each_month_comes_into_its_file(log, home, capsys):
    assert logs.logs(["--archive", "2026-10-02"]) == 0
    told = capsys.readouterr().out
    folder = home / "var" / "archive"
    assert [len(row_ids(folder / f"logs-2026-{one}.db")) for one in ("08", "09", "10")] == [3, 3, 1]
    assert len(row_ids(log)) == 3
    assert f"{folder / 'logs-2026-08.db'}: 3 answers came\n" in told
    assert f"{log}: 0.0 MB, of which new answers can use 0.0 MB again\n" in told
    assert logs.logs(["--from", str(folder / "logs-2026-08.db")]) == 0
    assert capsys.readouterr().out.count("$419,027") == 3
    assert logs.logs(["--archive", "2026-10-02"]) == 0
    assert "no answer is older than 2026-10-02T00:00:00.000 UTC" in capsys.readouterr().out


def test_a_row_without_an_id_stays_and_holds_up_nothing(log, home):
    with closing(sqlite3.connect(log)) as database, database:
        database.execute("UPDATE prediction SET id = NULL WHERE rowid = 2")
    assert logs.logs(["--archive", "1d"]) == 0
    assert row_ids(log) == [None]
    assert sum(everywhere(home).values()) == 10


def test_a_month_is_the_same_table_with_its_indexes(log, home):
    logs.logs(["--archive", "1d", "--to", str(home / "months")])
    made = []
    for file in (log, home / "months" / "logs-2026-08.db"):
        with closing(sqlite3.connect(file)) as database:
            made.append(set(database.execute("SELECT type, name, sql FROM sqlite_master")))
    assert made[0] == made[1]


def test_an_archived_answer_is_still_found(log, home, capsys):
    from housing.registry.lineage import trace

    logs.logs(["--archive", "2026-10-02"])
    [first, *_] = row_ids(home / "var" / "archive" / "logs-2026-08.db")
    assert trace(first, "california-housing")[0].text == f"{first}: $419,027"


def test_a_month_that_an_older_service_began_gets_the_new_columns(home):
    log = write_log(home / "var" / "logs.db", [of(8, 1)], FIRST_LOG_SCHEMA)
    logs.logs(["--archive", "1d"])
    log.unlink()
    write_log(log, [of(8, 2, warnings='["far"]', run_id="f" * 32)])
    logs.logs(["--archive", "1d"])
    [old, new] = reader.read_newest(home / "var/archive/logs-2026-08.db", filters.LogFilters(), 20)
    assert (old["warnings"], new["warnings"], new["run_id"]) == (None, '["far"]', "f" * 32)


def test_a_row_that_cannot_be_kept_stays(log, home):
    """Another conflict than the id's must not pass for one that is there already."""
    month = write_log(home / "var" / "archive" / "logs-2026-08.db", [], FIRST_LOG_SCHEMA)
    with sqlite3.connect(month) as database:
        database.execute("CREATE UNIQUE INDEX one ON prediction (model_name)")
    assert logs.logs(["--archive", "1d"]) == 1
    assert len(row_ids(log)) == 10


def test_a_row_without_a_time_stops_it(log, capsys):
    write_log(log, [prediction_row(500, asked_at="../../x")])
    assert logs.logs(["--archive", "1d"]) == 1
    assert "was asked at '../../x', expected an ISO time" in capsys.readouterr().err


def test_the_lock_of_the_service_is_waited_for(log, monkeypatch, capsys):
    monkeypatch.setattr(archive, "LOG_LOCK_TIMEOUT_SECONDS", 0.2)
    with open(f"{log}.lock", "w") as held:  # noqa: PTH123
        fcntl.flock(held, fcntl.LOCK_EX)
        assert logs.logs(["--archive", "1d"]) == 1
    assert "logs.db.lock has been held for 0 s by the service" in capsys.readouterr().err
    assert logs.logs(["--archive", "1d"]) == 0
    assert row_ids(log) == []


def test_the_room_is_given_back_if_asked_for(home, capsys):
    log = write_log(home / "var" / "logs.db", [of(8, place) for place in range(3000)])
    before = log.stat().st_size
    logs.logs(["--archive", "1d"])
    assert "`--compact` gives that back to the disk" in capsys.readouterr().out
    assert archive.measure_log(log).free_bytes > before / 2
    logs.logs(["--archive", "1d", "--compact"])
    assert archive.measure_log(log).free_bytes == 0
    assert log.stat().st_size < before / 10


def test_a_log_made_for_that_gives_it_back_by_itself(home):
    log = home / "var" / "logs.db"
    log.parent.mkdir()
    with closing(sqlite3.connect(log)) as database:
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.execute("VACUUM")
        database.executescript(FIRST_LOG_SCHEMA)
    write_log(log, [of(8, place) for place in range(3000)])
    logs.logs(["--archive", "1d"])
    assert archive.measure_log(log).free_bytes == 0


def _insert(log, first, stop, done):
    """As the service does: under the lock, a row a transaction, some asked long ago."""
    with closing(sqlite3.connect(log, timeout=20, isolation_level=None)) as database:
        place = first
        while not stop.is_set():
            row = of(9, place) if place % 10 == 1 else of(12, place)
            row |= {"asked_at": row["asked_at"].replace("2026-12", "2999-12")}
            marks = ", ".join("?" * len(row))
            with archive.log_lock(log):
                database.execute(
                    f"INSERT INTO prediction ({', '.join(row)}) VALUES ({marks})",
                    tuple(row.values()),
                )
            place += 1
            done.value = place - first
            time.sleep(0.001)


@pytest.fixture
def busy(home):
    """A log of many rows to which another process adds; gives the first number and the count."""
    log = write_log(home / "var" / "logs.db", [of(8 + place % 3, place) for place in range(MANY)])
    context = multiprocessing.get_context("spawn")
    stop, done = context.Event(), context.Value("i", 0)
    writer = context.Process(target=_insert, args=(log, MANY, stop, done))
    writer.start()
    while not done.value:
        assert writer.is_alive()
        time.sleep(0.01)
    yield log, stop, done, writer
    stop.set()
    writer.join(20)


def ended(stop, done, writer):
    """How many rows the writer has added."""
    stop.set()
    writer.join(20)
    assert writer.exitcode == 0
    return done.value


def expected(added):
    return {f"{place:032x}-0": 1 for place in range(MANY + added)}


def test_nothing_is_lost_or_doubled_while_the_service_writes(busy, home):
    log, *writer = busy
    before = writer[1].value
    assert logs.logs(["--archive", "1d"]) == 0
    during = writer[1].value - before
    added = ended(*writer)
    assert during > 10
    assert everywhere(home) == expected(added)
    logs.logs(["--archive", "1d"])
    assert everywhere(home) == expected(added)
    assert not any(int(one[:32], 16) < MANY for one in row_ids(log))


def test_a_run_that_is_killed_anywhere_is_made_up_for(busy, home):
    _, *writer = busy
    code = "import sys; from housing.cli import logs; from housing.prediction_log import archive; "
    code += "archive.ARCHIVE_CHUNK_ROWS = 100; archive.DELETE_CHUNK_ROWS = 30; "
    command = [sys.executable, "-c", f"{code}sys.exit(logs.logs(['--archive', '1d']))"]
    killed, cut = 0, 0
    for place in range(60):
        if place >= 8 and cut:
            break
        started = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL)
        folder = paths.var() / "archive"
        known = sum(one.stat().st_mtime_ns for one in folder.glob("logs-*.db"))
        while started.poll() is None and known == sum(
            one.stat().st_mtime_ns for one in folder.glob("logs-*.db")
        ):
            time.sleep(0.001)
        time.sleep(0.005 * (place % 8))
        os.kill(started.pid, signal.SIGKILL)
        killed += started.wait(20) == -signal.SIGKILL
        there = everywhere(home)
        assert set(expected(0)) <= set(there)
        cut += max(there.values()) == 2
    assert killed > 4
    assert cut, "no kill came between the two commits"
    added = ended(*writer)
    assert logs.logs(["--archive", "1d"]) == 0
    assert everywhere(home) == expected(added)
