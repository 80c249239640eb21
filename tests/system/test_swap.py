"""What clients notice when the champion moves, and when the registry cannot be reached.

The real service and the real registry, under constant load.
"""

import json
import shutil
import sqlite3
import time
from contextlib import closing

import numpy as np
import pytest

from benchmarks.support.local_service import free_port, run_service, sum_metric, wait_until
from housing.data import splitting
from housing.evaluation import calibration
from housing.export import onnx_export
from housing.inference import served_model
from housing.registry import promotion, registration, versions
from housing.schema import FEATURE_NAMES
from housing.tracking import experiments, store
from tests.support.load_generator import generate_load, get_page

pytestmark = pytest.mark.slow
MODEL_NAME = "california-housing-sample"
# for what takes a second or two; benchmarks/service/champion_swap.py fails if it takes five
TIMEOUT_SECONDS = 30.0
TREE, LINEAR = "1", "2"  # versions of `two_version_home`; the second is its champion


@pytest.fixture
def graphs(two_version_home, tmp_path):
    """Return version -> its served model, as the registry has it."""
    models = {}
    for version in (TREE, LINEAR):
        versions.export_for_serving(versions.get_version(MODEL_NAME, version), tmp_path / version)
        models[version] = served_model.load(tmp_path / version / "model.onnx")
    return models


def swap_count(service):
    """Return how many champions all workers together have loaded."""
    return sum_metric(get_page(service, "/metrics")[1], "housing_model_swaps_total")


def move_champion(service, load, version, move):
    """Move the alias under load, wait for the new version's answers, return when the move began.

    move: a function that moves the alias to the version.
    """
    count_before, started_at = swap_count(service), time.monotonic()
    move()
    wait_until(lambda: swap_count(service) == count_before + 2, TIMEOUT_SECONDS)  # both workers
    moved_at = time.monotonic()
    wait_until(lambda: len(load.responses_since(moved_at)) > 300, 20)
    assert {response.body["model_version"] for response in load.responses_since(moved_at)} == {
        version
    }
    return started_at


def check_answers(load, graphs, service):
    """Check that each request got the prediction of the model it names, and that it is logged."""
    assert not load.connection_errors
    assert set(load.count_statuses()) == {200}
    assert {response.body["model_version"] for response in load.responses} <= graphs.keys()
    for version, served in graphs.items():
        own_responses = [
            response for response in load.responses if response.body["model_version"] == version
        ]
        rows = np.array(
            [[response.block_group[name] for name in FEATURE_NAMES] for response in own_responses]
        )
        answers = [response.body["prediction"] for response in own_responses]
        np.testing.assert_allclose(answers, served_model.predict(served, rows), rtol=1e-12)
    answered = {
        (response.body["id"], response.body["prediction"], response.body["model_version"])
        for response in load.responses
    }
    with closing(sqlite3.connect(service.folder / "logs.db")) as log:
        logged = log.execute("SELECT id, prediction, model_version FROM prediction").fetchall()
    assert answered == set(logged)
    assert len(logged) == len(load.responses)


def test_clients_do_not_notice_that_the_champion_moves_and_is_rolled_back(two_version_home, graphs):
    with run_service(two_version_home) as service:
        with generate_load(service, connections=12) as load:
            wait_until(lambda: load.count_statuses()[200] > 300, 20)
            started_at = move_champion(
                service, load, TREE, lambda: promotion.promote(MODEL_NAME, TREE, "a try")
            )
            move_champion(
                service, load, LINEAR, lambda: promotion.rollback(MODEL_NAME, None, "it was worse")
            )
        early_responses = [
            response for response in load.responses if response.received_at < started_at
        ]
        assert {response.body["model_version"] for response in early_responses} == {LINEAR}
        check_answers(load, graphs, service)


def register_damaged(damage):
    """Register a version that cannot serve and return its number.

    Its files are what its registration says.
    """
    data_split = splitting.read_split()
    [candidate] = [
        candidate
        for candidate in experiments.find_candidates(data_split.manifest)
        if candidate.family == "linear"
    ]
    model, interval_model = experiments.load_model(candidate), experiments.load_intervals(candidate)
    content, examples = (
        onnx_export.to_onnx(model, interval_model),
        calibration.predict_with_interval(model, interval_model, data_split.test[:9]),
    )
    if damage == "a graph that ends in the middle":
        content = content[: len(content) // 2]
    if damage == "other answers than were recorded":
        examples = examples._replace(prediction=examples.prediction + 1e-6)
    version = registration.register(candidate, data_split, content, examples, False, "a try")
    if damage == "a tag that is missing":
        store.client().delete_model_version_tag(MODEL_NAME, version.version, "data_source")
    if damage == "another graph than was registered":
        digests = json.loads(version.tags["sha256"]) | {
            f"{version.tags['served']}/model.onnx": "0" * 64
        }
        store.client().set_model_version_tag(
            MODEL_NAME, version.version, "sha256", json.dumps(digests)
        )
    return version.version


DAMAGES = {  # damage -> the good version that follows it
    "a graph that ends in the middle": TREE,
    "other answers than were recorded": LINEAR,
    "another graph than was registered": TREE,
    "a tag that is missing": LINEAR,
}


def test_a_champion_that_cannot_serve_is_refused_until_a_good_version_follows(
    two_version_home, graphs
):
    serving_version, damaged_versions = LINEAR, [register_damaged(damage) for damage in DAMAGES]
    with run_service(two_version_home) as service:
        with generate_load(service, connections=8) as load:
            for version, good_version in zip(damaged_versions, DAMAGES.values(), strict=True):
                store.client().set_registered_model_alias(MODEL_NAME, "champion", version)
                wait_until(
                    lambda: (
                        is_champion_refused(service)
                        and all("problem" in state for state in ready_states(service))
                    ),
                    TIMEOUT_SECONDS,
                )
                check_the_problem_is_reported(service, load, serving_version)
                move_champion(
                    service,
                    load,
                    good_version,
                    lambda version=good_version: promotion.promote(MODEL_NAME, version, "it works"),
                )
                wait_until(lambda: not is_champion_refused(service), TIMEOUT_SECONDS)
                assert "problem" not in get_page(service, "/ready")[1]
                serving_version = good_version
        check_answers(load, graphs, service)


def check_the_problem_is_reported(service, load, version):
    """Check that the service reports a problem, is ready all the same, and answers as before."""
    since = time.monotonic()
    wait_until(lambda: len(load.responses_since(since)) > 300, 20)
    assert {response.body["model_version"] for response in load.responses_since(since)} == {version}
    for state in ready_states(service):
        assert (state["status"], state["model_version"]) == ("ready", version)
        assert state["state"] == "refused"
        assert state["problem"].startswith("a new champion could not be loaded: ")
        assert "registry" not in state
    reached_at = last_reached(service)
    wait_until(lambda: last_reached(service) > reached_at, TIMEOUT_SECONDS)


def ready_states(service):
    """Return twelve answers of /ready, which very likely come from both workers.

    Each must have status 200.
    """
    responses = [get_page(service, "/ready") for _ in range(12)]
    assert [response for response in responses if response[0] != 200] == []
    return [state for _, state in responses]


def is_champion_refused(service):
    """Return whether the service refuses a new champion."""
    return sum_metric(get_page(service, "/metrics")[1], "housing_model_refused") == 1


def check_the_registry_is_reported_away(service, load):
    """Check that the service answers as before, and reports when it last reached the registry."""
    wait_until(lambda: "registry" in ready_states(service)[0], TIMEOUT_SECONDS)
    count, reached_at = len(load.responses), last_reached(service)
    wait_until(lambda: len(load.responses) > count + 300, 20)
    for state in ready_states(service):
        assert (state["status"], state["model_version"]) == ("ready", LINEAR)
        assert state["state"] in ("store_gone", "unreachable")
        assert state["registry"].startswith("not reached since 20")
    time.sleep(2.5)  # the follower has tried once more
    assert last_reached(service) == reached_at


def last_reached(service):
    """Return when the alias was last read, in seconds since 1970."""
    return sum_metric(
        get_page(service, "/metrics")[1], "housing_registry_reached_timestamp_seconds"
    )


def test_the_service_answers_while_the_registry_is_away_and_after(
    two_version_home, graphs, tmp_path
):
    file = two_version_home / "var" / "mlflow.db"
    with run_service(two_version_home) as service:
        with generate_load(service) as load:
            wait_until(
                lambda: last_reached(service) > time.time() - 60, TIMEOUT_SECONDS
            )  # it has read the alias
            shutil.move(file, tmp_path / "away.db")
            check_the_registry_is_reported_away(service, load)
            shutil.move(tmp_path / "away.db", file)
            wait_until(lambda: "registry" not in get_page(service, "/ready")[1], TIMEOUT_SECONDS)
            move_champion(
                service, load, TREE, lambda: promotion.promote(MODEL_NAME, TREE, "it is back")
            )
        check_answers(load, graphs, service)


@pytest.mark.parametrize("registry_is", ["moved away", "a server that is down"])
def test_it_starts_without_its_registry_from_its_own_copy(
    two_version_home, graphs, registry_is, monkeypatch
):
    with run_service(two_version_home):  # leaves a copy of the champion
        pass
    if registry_is == "moved away":
        (two_version_home / "var" / "mlflow.db").unlink()
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # else it is away after 16 s
    with run_service(two_version_home) as service:
        with generate_load(service) as load:
            check_the_registry_is_reported_away(service, load)
        check_answers(load, graphs, service)
