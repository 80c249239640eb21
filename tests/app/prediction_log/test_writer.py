"""The log holds what it was given, whatever its length, and its journal stays short."""

import shutil
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from app.prediction_log.writer import (
    LONG_HOLD_SECONDS,
    ROWS_PER_INSERT,
    WAL_RESTART_PAGES,
    LogEntry,
    PredictionLog,
    PredictionLogError,
)

PAGE = 4_096  # bytes


@pytest.fixture
def log(tmp_path):
    found = PredictionLog(tmp_path / "logs.db", tmp_path / "api.log")
    yield found
    found.close()


def entries(request, count):
    rest = "2026-11-26T00:00:00.000+00:00", 200, "{}" * 500, 4.5, "model", "1", 0.5, None
    return [LogEntry(f"{request}-{at}", request, *rest) for at in range(count)]


def kept(database):
    with closing(sqlite3.connect(database)) as found:
        return [one for (one,) in found.execute("SELECT id FROM prediction ORDER BY rowid")]


@pytest.mark.parametrize(
    "count", [0, 1, ROWS_PER_INSERT - 1, ROWS_PER_INSERT, ROWS_PER_INSERT + 1, 2_001]
)
def test_a_list_of_any_length_is_logged_in_its_order(log, count):
    given = entries("list", count)
    log.write(given, b"{}\n")
    assert kept(log.database) == [one.id for one in given]


def test_a_row_that_is_there_already_takes_the_whole_list_back(log):
    log.write(entries("once", 3), b"first\n")
    with pytest.raises(PredictionLogError):
        log.write(entries("other", 60) + entries("once", 1), b"second\n")
    assert kept(log.database) == ["once-0", "once-1", "once-2"]
    assert log.database.with_name("api.log").read_bytes() == b"first\n"


def test_a_log_that_is_tended_has_its_rows_in_the_database_and_a_short_journal(log, tmp_path):
    tender = PredictionLog(log.database, tmp_path / "api.log")
    for turn in range(800):
        log.write(entries(f"{turn}", 20), b"")
        if turn % 10 == 0:
            tender.checkpoint()
    assert tmp_path.joinpath("logs.db-wal").stat().st_size < 2 * WAL_RESTART_PAGES * PAGE
    tender.checkpoint()
    shutil.copy(log.database, tmp_path / "alone.db")  # without its journal
    assert kept(tmp_path / "alone.db") == kept(log.database)
    assert len(kept(log.database)) == 16_000
    tender.close()


def test_who_writes_one_long_list_after_another_lets_others_in(log, tmp_path):
    """The other log stands for another process: it has a lock of its own."""
    busy, over = PredictionLog(log.database, tmp_path / "busy.log"), threading.Event()

    def hold():
        while not over.is_set():
            with busy._exclusive_connection():
                time.sleep(4 * LONG_HOLD_SECONDS)

    holds = threading.Thread(target=hold)
    holds.start()
    try:
        for turn in range(10):
            log.write(entries(f"{turn}", 1), b"")  # or is Unlogged, for it has waited too long
            time.sleep(2 * LONG_HOLD_SECONDS)
    finally:
        over.set()
        holds.join()
        busy.close()
    assert len(kept(log.database)) == 10
