"""What happens to answers when what they are logged to fails: the real service, real causes."""

import os
import resource
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager, suppress

import pytest

from benchmarks.support.local_service import running, total, until
from housing.prediction_log.lock import FileLock
from tests.support.load import (
    generate_load,
    get_page,
    logged_predictions,
    prediction_ids,
    read_json_lines,
)

pytestmark = pytest.mark.slow
RECOVERS = 2.0  # seconds


@contextmanager
def small_files(service):
    """As on a full disk: no file of a worker grows any more."""
    workers = service.workers()
    assert len(workers) == 2
    before = {one: resource.prlimit(one, resource.RLIMIT_FSIZE) for one in workers}
    for one, (_, hard) in before.items():
        resource.prlimit(one, resource.RLIMIT_FSIZE, (1, hard))
    yield
    for one, limits in before.items():
        resource.prlimit(one, resource.RLIMIT_FSIZE, limits)


@contextmanager
def locked(service):
    """By somebody who has opened the log and begun to write."""
    with closing(sqlite3.connect(service.folder / "logs.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def no_place(service):
    """The disk that the log is on is full."""
    filler = service.folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield
    filler.unlink()


@pytest.fixture
def disk(tmp_path):
    """A file system of 24 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", place]).returncode:
        pytest.skip(reason="nothing may be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def refuses_and_recovers(service, cause):
    """503 while it lasts, answers within two seconds after; nobody was told what is not logged."""
    with generate_load(service) as told:
        until(lambda: told.count_statuses()[200] > 50, 20)
        with cause(service):
            began = time.monotonic()
            time.sleep(3)
            status, ready = get_page(service, "/ready")
            ended = time.monotonic()
        until(lambda: any(one.status == 200 for one in told.responses_since(ended)), RECOVERS)
        assert get_page(service, "/ready")[0] == 200
        time.sleep(0.5)
    assert not told.connection_errors
    assert set(told.count_statuses()) == {200, 503}
    during = [one for one in told.responses_since(began + 0.1) if one.at < ended]
    assert during
    assert {one.status for one in during} == {503}
    for one in during:
        assert "content-type: application/problem+json" in one.head
        assert "retry-after: 1" in one.head
        assert one.answer["detail"].startswith("the log cannot be written")
    assert (status, ready["status"]) == (503, 503)
    assert [one.status for one in told.responses_since(ended + RECOVERS) if one.status != 200] == []
    assert (
        told.predictions_by_id().items() <= logged_predictions(service.folder / "logs.db").items()
    )
    assert total(get_page(service, "/metrics")[1], "housing_log_failures_total") > 0


def answers_unlogged(service, cause):
    """200 all the while, and each answer says that it is not in the log."""
    with generate_load(service) as told:
        until(lambda: told.count_statuses()[200] > 50, 20)
        with cause(service):
            time.sleep(3)
            ended = time.monotonic()
        until(
            lambda: any("x-logged" not in one.head for one in told.responses_since(ended)), RECOVERS
        )
    assert set(told.count_statuses()) == {200}
    unlogged = [one for one in told.responses if "x-logged: no" in one.head]
    assert unlogged
    kept = logged_predictions(service.folder / "logs.db")
    assert kept.keys() == told.predictions_by_id().keys() - {one.answer["id"] for one in unlogged}
    page = get_page(service, "/metrics")[1]
    assert total(page, "housing_unlogged_answers_total") == len(unlogged)


def test_with_no_room_for_its_log_it_refuses_until_there_is(champion_home):
    with running(champion_home) as service:
        refuses_and_recovers(service, small_files)


def test_on_a_full_disk_it_refuses_until_there_is_room(champion_home, disk):
    with running(champion_home, folder=disk) as service:
        refuses_and_recovers(service, no_place)


def test_a_log_that_another_process_holds_is_waited_for_and_then_refused(champion_home):
    with running(champion_home) as service:
        refuses_and_recovers(service, locked)


def test_a_log_that_is_waited_for_holds_up_nobody_else(champion_home):
    with (
        running(champion_home, WORKERS=1) as service,
        generate_load(service, connections=16) as told,
    ):
        until(lambda: told.count_statuses()[200] > 50, 20)
        with locked(service):
            time.sleep(1.5)  # the first group found out on the event loop
            over, alive, waiting = time.monotonic() + 3, 0, 0
            with generate_load(
                service, connections=1
            ):  # the others may be one group, and none waits
                while time.monotonic() < over:
                    alive += get_page(service, "/health")[0] == 200
                    now = total(get_page(service, "/metrics")[1], "housing_queue_requests")
                    waiting = max(waiting, now)
        until(lambda: told.count_statuses()[503], 5)
        told.stop_event.set()
        until(lambda: total(get_page(service, "/metrics")[1], "housing_queue_requests") == 0, 10)
    assert alive > 30  # each group waits for a second: three, if the event loop waited with it
    assert 0 < waiting <= 17


@pytest.mark.parametrize("cause", [small_files, locked])
def test_it_may_be_told_to_answer_even_if_nothing_can_be_logged(champion_home, cause):
    with running(champion_home, LOG_POLICY="available") as service:
        answers_unlogged(service, cause)


@pytest.fixture
def read_only(champion_home, tmp_path):
    """A folder with a log that may only be read."""
    with running(champion_home, folder=tmp_path) as service, generate_load(service) as told:
        until(lambda: told.count_statuses()[200] > 10, 20)
    with closing(sqlite3.connect(tmp_path / "logs.db")) as log:
        assert log.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    (tmp_path / "logs.db").chmod(0o444)
    return tmp_path


def test_a_log_that_may_only_be_read_is_written_once_it_may(champion_home, read_only):
    with running(champion_home, *unprivileged(), folder=read_only) as service:
        with generate_load(service, connections=2) as told:
            until(lambda: told.count_statuses()[503] > 2, 20)
            assert get_page(service, "/ready")[0] == 503
            assert set(told.count_statuses()) == {503}
            (read_only / "logs.db").chmod(0o644)
            until(lambda: told.count_statuses()[200], RECOVERS)
            assert get_page(service, "/ready")[0] == 200
        assert told.predictions_by_id().items() <= logged_predictions(read_only / "logs.db").items()


def test_it_may_be_told_to_answer_though_the_log_may_only_be_read(champion_home, read_only):
    how = {"folder": read_only, "LOG_POLICY": "available"}
    with (
        running(champion_home, *unprivileged(), **how) as service,
        generate_load(service, 2) as told,
    ):
        until(lambda: told.count_statuses()[200] > 2, 20)
        assert all("x-logged: no" in one.head for one in told.responses)
        (read_only / "logs.db").chmod(0o644)
        until(lambda: "x-logged" not in told.responses[-1].head, RECOVERS)
    assert set(told.count_statuses()) == {200}


@pytest.mark.parametrize("cause", [small_files, locked])
def test_it_says_that_it_is_not_ready_before_anybody_has_asked(champion_home, cause):
    with running(champion_home) as service:
        assert get_page(service, "/ready")[0] == 200
        with cause(service):
            assert [get_page(service, "/ready")[0] for _ in range(4)] == [503] * 4
        assert [get_page(service, "/ready")[0] for _ in range(4)] == [200] * 4


def test_no_line_is_lost_or_torn_while_the_file_of_lines_rotates(champion_home):
    with running(champion_home, LOG_BYTES=400_000) as service:
        with generate_load(service, connections=16) as told:
            until(lambda: len(list(service.folder.glob("api.log.*"))) >= 3, 120)
        sizes = [one.stat().st_size for one in service.folder.glob("api.log*")]
        written = prediction_ids(service.folder)
        accessed = [one["id"] for one in read_json_lines(service.folder, "access.log")]
    assert set(told.count_statuses()) == {200}
    assert max(sizes) <= 400_000
    assert len(sizes) < 6  # none was thrown away yet
    assert sorted(written) == sorted(told.predictions_by_id())
    assert len(accessed) >= len(written)


def test_a_log_that_is_moved_away_under_load_is_begun_anew(champion_home, tmp_path):
    with running(champion_home) as service, generate_load(service, connections=16) as told:
        for turn in range(8):
            seen = told.count_statuses()[200]
            until(lambda seen=seen: told.count_statuses()[200] > seen + 200, 30)
            (tmp_path / str(turn)).mkdir()
            with FileLock(service.folder / "logs.db.lock", 5):
                for name in ("logs.db", "logs.db-wal", "logs.db-shm", "api.log"):
                    (service.folder / name).rename(tmp_path / str(turn) / name)
        seen = told.count_statuses()[200]
        until(lambda: told.count_statuses()[200] > seen + 200, 30)
        told.stop_event.set()
        folders = [*(tmp_path / str(turn) for turn in range(8)), service.folder]
        kept, written = {}, []
        for folder in folders:
            with closing(sqlite3.connect(folder / "logs.db")) as log:
                assert log.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            kept |= logged_predictions(folder / "logs.db")
            written += prediction_ids(folder)
    assert not told.connection_errors
    assert set(told.count_statuses()) == {200}
    assert told.predictions_by_id().items() <= kept.items()
    assert sorted(written) == sorted(kept)


def test_two_workers_never_find_the_log_locked(champion_home):
    with running(champion_home) as service, generate_load(service, connections=32) as told:
        until(lambda: len(told.responses) >= 5_000, 180)
    assert not told.connection_errors
    assert set(told.count_statuses()) == {200}


def unprivileged():
    """What makes root heed a file's permissions."""
    if os.getuid():
        return []
    if not shutil.which("setpriv"):
        pytest.skip(reason="root may write any file, and there is no setpriv")
    caps = "-dac_override,-dac_read_search"
    return ["setpriv", "--bounding-set", caps, "--inh-caps", caps]
