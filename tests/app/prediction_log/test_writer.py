"""The log holds every entry, whatever their number, and its write-ahead log stays short."""

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
    PredictionLog,
    PredictionLogError,
)
from housing.prediction_log.table import LogEntry

PAGE_BYTES = 4_096


@pytest.fixture
def log(tmp_path):
    prediction_log = PredictionLog(tmp_path / "logs.db", tmp_path / "api.log")
    yield prediction_log
    prediction_log.close()


def make_entries(request_id, count):
    columns = "2026-11-26T00:00:00.000+00:00", 200, "{}" * 500, 4.5, "model", "1", 0.5, None
    return [LogEntry(f"{request_id}-{index}", request_id, *columns) for index in range(count)]


def logged_ids(database):
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT id FROM prediction ORDER BY rowid")
        return [row_id for (row_id,) in rows]


@pytest.mark.parametrize(
    "count", [0, 1, ROWS_PER_INSERT - 1, ROWS_PER_INSERT, ROWS_PER_INSERT + 1, 2_001]
)
def test_a_list_of_any_length_is_logged_in_its_order(log, count):
    entries = make_entries("list", count)
    log.write(entries, b"{}\n")
    assert logged_ids(log.database) == [entry.id for entry in entries]


def test_a_duplicate_id_rolls_the_whole_list_back(log):
    log.write(make_entries("once", 3), b"first\n")
    with pytest.raises(PredictionLogError):
        log.write(make_entries("other", 60) + make_entries("once", 1), b"second\n")
    assert logged_ids(log.database) == ["once-0", "once-1", "once-2"]
    assert log.database.with_name("api.log").read_bytes() == b"first\n"


def test_checkpoints_move_rows_to_the_database_and_keep_the_write_ahead_log_short(log, tmp_path):
    checkpointer = PredictionLog(log.database, tmp_path / "api.log")
    for turn in range(800):
        log.write(make_entries(f"{turn}", 20), b"")
        if turn % 10 == 0:
            checkpointer.checkpoint()
    assert tmp_path.joinpath("logs.db-wal").stat().st_size < 2 * WAL_RESTART_PAGES * PAGE_BYTES
    checkpointer.checkpoint()
    shutil.copy(log.database, tmp_path / "alone.db")  # without its write-ahead log
    assert logged_ids(tmp_path / "alone.db") == logged_ids(log.database)
    assert len(logged_ids(log.database)) == 16_000
    checkpointer.close()


def test_a_writer_that_holds_the_lock_for_long_lets_others_in(log, tmp_path):
    """The busy log stands for another process: it has a lock of its own."""
    busy_log, stop_event = PredictionLog(log.database, tmp_path / "busy.log"), threading.Event()

    def hold_lock_repeatedly():
        while not stop_event.is_set():
            with busy_log.exclusive_connection():
                time.sleep(4 * LONG_HOLD_SECONDS)

    holder = threading.Thread(target=hold_lock_repeatedly)
    holder.start()
    try:
        for turn in range(10):
            log.write(make_entries(f"{turn}", 1), b"")  # raises if it waits too long
            time.sleep(2 * LONG_HOLD_SECONDS)
    finally:
        stop_event.set()
        holder.join()
        busy_log.close()
    assert len(logged_ids(log.database)) == 10


def test_a_line_waits_for_the_next_while_the_log_is_busy(log, tmp_path):
    busy_log = PredictionLog(log.database, tmp_path / "busy.log")
    with busy_log.exclusive_connection():
        log.write_line(b"first\n")
        log.write_line(b"second\n")
        assert not tmp_path.joinpath("api.log").exists()
    log.write(make_entries("row", 1), b"third\n")
    log.write_line(b"fourth\n")
    busy_log.close()
    assert tmp_path.joinpath("api.log").read_text().split() == [
        "first",
        "second",
        "third",
        "fourth",
    ]


def test_a_line_that_cannot_be_written_is_reported_and_written_later(log, tmp_path, caplog):
    file = tmp_path / "api.log"
    file.symlink_to("/dev/full")
    log.write_line(b"first\n")
    assert "a request cannot be logged: " in caplog.text
    file.unlink()
    log.write_line(b"second\n")
    assert file.read_bytes() == b"first\nsecond\n"


def test_rows_that_cannot_be_written_do_not_cost_the_lines_of_others(log, tmp_path):
    busy_log = PredictionLog(log.database, tmp_path / "busy.log")
    with busy_log.exclusive_connection():
        log.write_line(b"page\n")
    busy_log.close()
    log.write(make_entries("once", 1), b"")
    with pytest.raises(PredictionLogError):
        log.write(make_entries("once", 1), b"refused\n")
    log.write(make_entries("twice", 1), b"row\n")
    assert tmp_path.joinpath("api.log").read_bytes() == b"page\nrow\n"


@pytest.mark.parametrize("method", ["rename", "copytruncate"])
def test_logrotate_may_take_the_file_away(log, tmp_path, method):
    file, rotated = tmp_path / "api.log", tmp_path / "api.log-20261129"
    log.write_line(b"before\n")
    if method == "rename":
        file.rename(rotated)
    else:
        shutil.copy(file, rotated)
        file.open("w").close()
    log.write(make_entries("row", 1), b"after\n")
    assert (rotated.read_bytes(), file.read_bytes()) == (b"before\n", b"after\n")
