"""Following the prediction log: which rows are read, and what is skipped to keep up."""

import random
import sqlite3
from contextlib import closing

import pytest

from app.shadow import log_follower
from app.shadow.log_follower import LogFollower
from tests.support.logged_predictions import prediction_row, refused_row, write_log


def read_all(follower):
    """Return the ids of all rows that are there to read, and the number of dropped ones."""
    ids, dropped_rows, has_more = [], 0, True
    while has_more:
        batch = follower.read()
        ids += [row.id for row in batch.rows]
        dropped_rows, has_more = dropped_rows + batch.dropped_rows, batch.has_more
    return ids, dropped_rows


@pytest.fixture
def follower(log):
    follower = LogFollower(log, 1.0)
    follower.read()
    return follower


def test_each_new_answer_is_read_once_and_refused_requests_are_not(log, follower):
    write_log(log, [prediction_row(1), refused_row(2), prediction_row(3)])
    ids = [prediction_row(number)["id"] for number in (1, 3)]
    assert read_all(follower) == (ids, 0)
    assert read_all(follower) == ([], 0)


def test_what_was_logged_before_the_start_is_not_read(log):
    write_log(log, [prediction_row(1)])
    follower = LogFollower(log, 1.0)
    assert read_all(follower) == ([], 0)
    write_log(log, [prediction_row(2)])
    follower.skip_all()
    assert read_all(follower) == ([], 0)


def test_a_share_of_the_requests_is_read_with_all_their_rows(log):
    generator = random.Random(0)
    request_ids = [f"{generator.getrandbits(128):032x}" for _ in range(500)]
    rows = [
        prediction_row(0, id=f"{request_id}-{index}", request_id=request_id)
        for request_id in request_ids
        for index in range(2)
    ]
    followers = [LogFollower(log, share) for share in (0.3, 0.6)]
    for follower in followers:
        follower.read()
    write_log(log, rows)
    small, large = (set(read_all(follower)[0]) for follower in followers)
    assert 0.5 * 300 < len(small) < 1.5 * 300
    assert small < large  # a larger share holds the smaller one
    for ids in (small, large):
        assert {row_id[:-1] + "0" for row_id in ids} | {row_id[:-1] + "1" for row_id in ids} == ids


def test_a_follower_that_is_behind_goes_on_with_the_newest_rows(log, follower, monkeypatch):
    monkeypatch.setattr(log_follower, "MAX_BACKLOG_ROWS", 100)
    write_log(log, [prediction_row(number) for number in range(1_000)])
    ids, dropped_rows = read_all(follower)
    assert ids == [
        prediction_row(number)["id"] for number in range(1_000 - log_follower.MAX_BATCH_ROWS, 1_000)
    ]
    assert dropped_rows == 1_000 - log_follower.MAX_BATCH_ROWS


def test_one_read_is_bounded(log, follower, monkeypatch):
    monkeypatch.setattr(log_follower, "MAX_SCANNED_ROWS", 50)
    write_log(log, [refused_row(number) for number in range(120)])
    batches = [follower.read() for _ in range(3)]
    assert [(batch.rows, batch.has_more) for batch in batches] == [
        ([], True), ([], True), ([], False)
    ]  # fmt: skip


def test_a_log_that_appears_later_or_is_started_anew_is_read_from_its_beginning(tmp_path):
    log = tmp_path / "logs.db"
    follower = LogFollower(log, 1.0)
    assert read_all(follower) == ([], 0)
    write_log(log, [prediction_row(1), prediction_row(2)])
    assert len(read_all(follower)[0]) == 2
    log.rename(tmp_path / "moved.db")
    write_log(log, [prediction_row(3)])
    assert read_all(follower) == ([prediction_row(3)["id"]], 0)


def test_rows_that_follow_an_archiving_are_read(log, follower):
    write_log(log, [prediction_row(number) for number in range(5)])
    read_all(follower)
    with closing(sqlite3.connect(log)) as connection, connection:
        connection.execute("DELETE FROM prediction")
    assert read_all(follower) == ([], 0)
    write_log(log, [prediction_row(7)])
    assert read_all(follower) == ([prediction_row(7)["id"]], 0)
