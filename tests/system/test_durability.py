"""The real service while its log cannot be written, for real causes."""

import os
import resource
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager, suppress

import pytest

from benchmarks.support.local_service import run_service, sum_metric, wait_until
from housing.prediction_log.lock import FileLock
from tests.support.load_generator import (
    generate_load,
    get_page,
    logged_predictions,
    prediction_ids,
    read_json_lines,
)

pytestmark = pytest.mark.slow
RECOVERY_SECONDS = 2.0


@contextmanager
def forbid_file_growth(service):
    """Stop every file of the workers from growing, as on a full disk."""
    workers = service.workers()
    assert len(workers) == 2
    limits_before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in workers}
    for pid, (_, hard) in limits_before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
    yield
    for pid, limits in limits_before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


@contextmanager
def hold_lock(service):
    """Hold the log's write lock, as another process that writes."""
    with closing(sqlite3.connect(service.folder / "logs.db", isolation_level=None)) as log:
        log.execute("BEGIN EXCLUSIVE")
        yield
        log.execute("ROLLBACK")


@contextmanager
def fill_disk(service):
    """Fill the disk that holds the log."""
    filler = service.folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield
    filler.unlink()


@pytest.fixture
def disk(tmp_path):
    """Yield a folder that is a file system of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", folder]).returncode:
        pytest.skip(reason="this user cannot mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def check_it_refuses_and_recovers(service, cause):
    """Check for 503 during the cause, 200 within two seconds after it, and no unlogged answer."""
    with generate_load(service) as load:
        wait_until(lambda: load.count_statuses()[200] > 50, 20)
        with cause(service):
            started_at = time.monotonic()
            time.sleep(3)
            status, ready = get_page(service, "/ready")
            ended_at = time.monotonic()
        wait_until(
            lambda: any(response.status == 200 for response in load.responses_since(ended_at)),
            RECOVERY_SECONDS,
        )
        assert get_page(service, "/ready")[0] == 200
        time.sleep(0.5)
    assert not load.connection_errors
    assert set(load.count_statuses()) == {200, 503}
    during = [
        response
        for response in load.responses_since(started_at + 0.1)
        if response.received_at < ended_at
    ]
    assert during
    assert {response.status for response in during} == {503}
    for response in during:
        assert "content-type: application/problem+json" in response.headers
        assert "retry-after: 1" in response.headers
        assert response.body["detail"].startswith("the log cannot be written")
    assert (status, ready["status"]) == (503, 503)
    assert [
        response.status
        for response in load.responses_since(ended_at + RECOVERY_SECONDS)
        if response.status != 200
    ] == []
    assert (
        load.predictions_by_id().items() <= logged_predictions(service.folder / "logs.db").items()
    )
    assert sum_metric(get_page(service, "/metrics")[1], "housing_log_failures_total") > 0


def check_it_answers_unlogged(service, cause):
    """Check for 200 all the time; every answer that is not logged carries `x-logged: no`."""
    with generate_load(service) as load:
        wait_until(lambda: load.count_statuses()[200] > 50, 20)
        with cause(service):
            time.sleep(3)
            ended_at = time.monotonic()
        wait_until(
            lambda: any(
                "x-logged" not in response.headers for response in load.responses_since(ended_at)
            ),
            RECOVERY_SECONDS,
        )
    assert set(load.count_statuses()) == {200}
    unlogged = [response for response in load.responses if "x-logged: no" in response.headers]
    assert unlogged
    logged = logged_predictions(service.folder / "logs.db")
    assert logged.keys() == load.predictions_by_id().keys() - {
        response.body["id"] for response in unlogged
    }
    page = get_page(service, "/metrics")[1]
    assert sum_metric(page, "housing_unlogged_answers_total") == len(unlogged)


def test_it_refuses_while_its_log_cannot_grow(champion_home):
    with run_service(champion_home) as service:
        check_it_refuses_and_recovers(service, forbid_file_growth)


def test_it_refuses_while_the_disk_is_full(champion_home, disk):
    with run_service(champion_home, folder=disk) as service:
        check_it_refuses_and_recovers(service, fill_disk)


def test_it_waits_for_a_locked_log_and_then_refuses(champion_home):
    with run_service(champion_home) as service:
        check_it_refuses_and_recovers(service, hold_lock)


def test_waiting_for_a_locked_log_does_not_block_other_requests(champion_home):
    with (
        run_service(champion_home, WORKERS=1) as service,
        generate_load(service, connections=16) as load,
    ):
        wait_until(lambda: load.count_statuses()[200] > 50, 20)
        with hold_lock(service):
            time.sleep(1.5)  # the first batch has met the lock on the event loop
            deadline, health_count, max_queued = time.monotonic() + 3, 0, 0
            with generate_load(
                service, connections=1
            ):  # the other requests may be one batch, and none queued
                while time.monotonic() < deadline:
                    health_count += get_page(service, "/health")[0] == 200
                    queued = sum_metric(get_page(service, "/metrics")[1], "housing_queue_requests")
                    max_queued = max(max_queued, queued)
        wait_until(lambda: load.count_statuses()[503], 5)
        load.stop_event.set()
        wait_until(
            lambda: sum_metric(get_page(service, "/metrics")[1], "housing_queue_requests") == 0, 10
        )
    # each batch waits for a second: three answers, if the event loop waited with it
    assert health_count > 30
    assert 0 < max_queued <= 17


@pytest.mark.parametrize("cause", [forbid_file_growth, hold_lock])
def test_with_the_policy_available_it_answers_even_if_nothing_can_be_logged(champion_home, cause):
    with run_service(champion_home, LOG_POLICY="available") as service:
        check_it_answers_unlogged(service, cause)


@pytest.fixture
def read_only_folder(champion_home, tmp_path):
    """Return a folder with a log that can only be read."""
    with run_service(champion_home, folder=tmp_path) as service, generate_load(service) as load:
        wait_until(lambda: load.count_statuses()[200] > 10, 20)
    with closing(sqlite3.connect(tmp_path / "logs.db")) as log:
        assert log.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    (tmp_path / "logs.db").chmod(0o444)
    return tmp_path


def test_a_read_only_log_is_written_once_it_is_writable(champion_home, read_only_folder):
    with run_service(champion_home, *unprivileged_prefix(), folder=read_only_folder) as service:
        with generate_load(service, connections=2) as load:
            wait_until(lambda: load.count_statuses()[503] > 2, 20)
            assert get_page(service, "/ready")[0] == 503
            assert set(load.count_statuses()) == {503}
            (read_only_folder / "logs.db").chmod(0o644)
            wait_until(lambda: load.count_statuses()[200], RECOVERY_SECONDS)
            assert get_page(service, "/ready")[0] == 200
        assert (
            load.predictions_by_id().items()
            <= logged_predictions(read_only_folder / "logs.db").items()
        )


def test_with_the_policy_available_it_answers_while_the_log_is_read_only(
    champion_home, read_only_folder
):
    options = {"folder": read_only_folder, "LOG_POLICY": "available"}
    with (
        run_service(champion_home, *unprivileged_prefix(), **options) as service,
        generate_load(service, 2) as load,
    ):
        wait_until(lambda: load.count_statuses()[200] > 2, 20)
        assert all("x-logged: no" in response.headers for response in load.responses)
        (read_only_folder / "logs.db").chmod(0o644)
        wait_until(lambda: "x-logged" not in load.responses[-1].headers, RECOVERY_SECONDS)
    assert set(load.count_statuses()) == {200}


@pytest.mark.parametrize("cause", [forbid_file_growth, hold_lock])
def test_it_is_not_ready_even_before_the_first_request_fails(champion_home, cause):
    with run_service(champion_home) as service:
        assert get_page(service, "/ready")[0] == 200
        with cause(service):
            assert [get_page(service, "/ready")[0] for _ in range(4)] == [503] * 4
        assert [get_page(service, "/ready")[0] for _ in range(4)] == [200] * 4


def test_no_line_is_lost_or_torn_while_the_json_log_rotates(champion_home):
    with run_service(champion_home, LOG_BYTES=400_000) as service:
        with generate_load(service, connections=16) as load:
            wait_until(lambda: len(list(service.folder.glob("api.log.*"))) >= 3, 120)
        sizes = [file.stat().st_size for file in service.folder.glob("api.log*")]
        written = prediction_ids(service.folder)
        requests = [line["request_id"] for line in read_json_lines(service.folder)]
    assert set(load.count_statuses()) == {200}
    assert max(sizes) <= 400_000
    assert len(sizes) < 6  # no rotated file is deleted yet
    assert sorted(written) == sorted(load.predictions_by_id())
    assert len(requests) == len(set(requests)) > len(written)


def test_a_log_that_is_moved_away_under_load_is_created_anew(champion_home, tmp_path):
    with run_service(champion_home) as service:
        with generate_load(service, connections=16) as load:
            for round_number in range(8):
                wait_for_answers(load, 200)
                (tmp_path / str(round_number)).mkdir()
                with FileLock(service.folder / "logs.db.lock", 5):
                    for name in ("logs.db", "logs.db-wal", "logs.db-shm", "api.log"):
                        (service.folder / name).rename(tmp_path / str(round_number) / name)
            wait_for_answers(load, 200)
        folders = [*(tmp_path / str(round_number) for round_number in range(8)), service.folder]
        logged, written = {}, []
        for folder in folders:
            with closing(sqlite3.connect(folder / "logs.db")) as log:
                assert log.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            logged |= logged_predictions(folder / "logs.db")
            written += prediction_ids(folder)
    assert not load.connection_errors
    assert set(load.count_statuses()) == {200}
    assert load.predictions_by_id() == logged
    assert sorted(written) == sorted(logged)


def wait_for_answers(load, count):
    """Wait until the clients have got so many more answers."""
    expected_count = load.count_statuses()[200] + count
    wait_until(lambda: load.count_statuses()[200] > expected_count, 30)


def test_two_workers_never_find_the_log_locked(champion_home):
    with run_service(champion_home) as service, generate_load(service, connections=32) as load:
        wait_until(lambda: len(load.responses) >= 5_000, 180)
    assert not load.connection_errors
    assert set(load.count_statuses()) == {200}


def unprivileged_prefix():
    """Return the command prefix that makes root heed a file's permissions."""
    if os.getuid():
        return []
    if not shutil.which("setpriv"):
        pytest.skip(reason="root can write any file, and setpriv is not installed")
    caps = "-dac_override,-dac_read_search"
    return ["setpriv", "--bounding-set", caps, "--inh-caps", caps]
