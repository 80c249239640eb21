"""A challenger that is slow, fails or crashes: no answer of the service waits for it or changes.

The real service; only the challenger's process is made to misbehave, by a module that Python runs
when it starts.
"""

import json
import sqlite3
from contextlib import closing, contextmanager

import orjson
import psutil
import pytest

from benchmarks.support.local_service import (
    Client,
    post_request,
    random_block_groups,
    run_coroutine,
    run_service,
    sum_metric,
    wait_until,
)
from housing.prediction_log import shadow_answers
from housing.tracking import store
from tests.support.load_generator import get_page

pytestmark = pytest.mark.slow
MODEL_NAME = "california-housing-sample"
N_REQUESTS = 150
TIMEOUT_SECONDS = 120.0  # the challenger's process gets the time that others leave
MISBEHAVIOUR = """
import os, sys, time
if "app.shadow" in sys.orig_argv:
    from app.model import loading
    predict, folder = loading.Champion.predict, {folder!r}
    def misbehave(self, rows):
        if len(rows) == 20:  # the examples, when it is loaded
            return predict(self, rows)
        with open(os.path.join(folder, "calls"), "a") as file:
            file.write("called\\n")
        {code}
    loading.Champion.predict = misbehave
"""
# blocked until the test creates a file
BLOCKED_CODE = """
        while not os.path.exists(os.path.join(folder, "released")):
            time.sleep(0.05)
        return predict(self, rows)
"""


@pytest.fixture
def shadowed_home(two_version_home):
    """A home whose champion is version 2 and whose challenger is version 1."""
    store.client().set_registered_model_alias(MODEL_NAME, "challenger", "1")
    return two_version_home


@contextmanager
def run_shadowed(home, tmp_path, code):
    """Run the service with a challenger whose predictions do what the code says."""
    (tmp_path / "sitecustomize.py").write_text(
        MISBEHAVIOUR.format(folder=str(tmp_path), code=code.strip())
    )
    prefix = ("env", f"PYTHONPATH={tmp_path}")
    with run_service(home, *prefix, SHADOW_SHARE=1, SHADOW_CORE_PERCENT=100) as service:
        wait_until(lambda: "answering" in shadow_states(service), TIMEOUT_SECONDS)
        yield service


def shadow_states(service):
    """Return the state of the challenger, as /metrics has it."""
    page = get_page(service, "/metrics")[1]
    states = ("answering", "unloadable", "no_challenger", "starting")
    return [name for name in states if sum_metric(page, "housing_shadow_info", state=name)]


def shadow_count(service, name):
    return sum_metric(get_page(service, "/metrics")[1], f"housing_shadow_{name}_total")


def send_requests(service, count=N_REQUESTS):
    """Send requests one by one; return the parsed answers. Each must have status 200."""

    async def send():
        client, answers = Client(service.port), []
        for block_group in random_block_groups(count):
            status, _, body = await client.send(post_request(orjson.dumps(block_group)))
            assert status == 200, body
            answers.append(json.loads(body))
        client.close()
        return answers

    return run_coroutine(send())


def without_ids(answers):
    return [
        {name: value for name, value in answer.items() if name not in ("id", "request_id")}
        for answer in answers
    ]


@pytest.fixture
def expected_answers(shadowed_home):
    """The answers of a service without a challenger."""
    with run_service(shadowed_home) as service:
        answers = without_ids(send_requests(service))
        assert b"housing_shadow" not in get_page(service, "/metrics")[1]
    return answers


def shadow_rows(service):
    """Return prediction id -> prediction of what the challenger answered."""
    if not (service.folder / "shadow.db").exists():
        return {}
    with closing(sqlite3.connect(service.folder / "shadow.db")) as database:
        if not shadow_answers.has_answers(database):
            return {}
        return dict(database.execute("SELECT prediction_id, prediction FROM shadow"))


def shadow_process(service):
    """Return the challenger's process, None if none runs."""
    for process in psutil.Process(service.process.pid).children():
        if "app.shadow" in process.cmdline():
            return process
    return None


def test_a_challenger_that_is_blocked_delays_and_changes_no_answer(
    shadowed_home, expected_answers, tmp_path
):
    with run_shadowed(shadowed_home, tmp_path, BLOCKED_CODE) as service:
        first_answers = send_requests(service, 1)
        wait_until((tmp_path / "calls").exists, TIMEOUT_SECONDS)
        answers = send_requests(service)
        # it still waits: every answer above was given before the challenger's first
        assert (tmp_path / "calls").read_text() == "called\n"
        assert shadow_rows(service) == {}
        assert without_ids(answers) == expected_answers
        (tmp_path / "released").touch()
        wait_until(lambda: len(shadow_rows(service)) > N_REQUESTS, TIMEOUT_SECONDS)
        ids = [answer["id"] for answer in first_answers + answers]
        assert sorted(shadow_rows(service)) == sorted(ids)
        [shadow] = get_page(service, f"/predictions/{ids[0]}")[1]["shadow"]
        assert (shadow["model_version"], answers[0]["model_version"]) == ("1", "2")


def test_a_challenger_that_raises_changes_no_answer(shadowed_home, expected_answers, tmp_path):
    with run_shadowed(shadowed_home, tmp_path, "raise MemoryError('too much')") as service:
        assert without_ids(send_requests(service)) == expected_answers
        wait_until(lambda: shadow_count(service, "failed_rows") == N_REQUESTS, TIMEOUT_SECONDS)
        assert shadow_count(service, "starts") == 1
        assert set(shadow_rows(service).values()) == {None}
        assert "the challenger failed: MemoryError: too much" in service.output()


def test_a_challenger_that_crashes_is_started_again_and_changes_no_answer(
    shadowed_home, expected_answers, tmp_path
):
    with run_shadowed(shadowed_home, tmp_path, "os.kill(os.getpid(), 11)") as service:
        workers = service.workers()
        for number in (1, 2):
            assert without_ids(send_requests(service)) == expected_answers
            wait_until(lambda n=number: shadow_count(service, "starts") > n, TIMEOUT_SECONDS)
            wait_until(lambda: "answering" in shadow_states(service), TIMEOUT_SECONDS)
        assert service.workers() == workers
        assert "has ended with exit code -11; it is started again" in service.output()


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_the_challenger_s_process_ends_with_the_service(shadowed_home, tmp_path, ending):
    with run_shadowed(shadowed_home, tmp_path, BLOCKED_CODE) as service:
        send_requests(service, 1)
        wait_until((tmp_path / "calls").exists, TIMEOUT_SECONDS)
        process = shadow_process(service)
        assert process.nice() == 19
        if ending == "stop":
            service.stop()
        else:
            psutil.Process(service.process.pid).kill()
        wait_until(lambda: not process.is_running() or process.status() == "zombie", 30)
