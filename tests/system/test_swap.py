"""What callers notice of a champion that moves, and of a registry that is away: the real service,
the real registry, connections that ask without a pause."""

import json
import shutil
import sqlite3
import time
from contextlib import closing

import numpy as np
import pytest

from benchmarks.support.local_service import free_port, running, total, until
from housing.data import splitting
from housing.evaluation import calibration
from housing.export import onnx_export
from housing.inference import served_model
from housing.registry import promotion, versions
from housing.schema import FEATURE_NAMES
from housing.tracking import experiments, store
from tests.support.load import generate_load, get_page

pytestmark = pytest.mark.slow
NAME = "california-housing-sample"
WITHIN = 30.0  # seconds for what takes one or two; benchmarks/service/champion_swap.py fails if it takes five
TREE, LINEAR = "1", "2"  # versions of the home `two`; the second is its champion


@pytest.fixture
def graphs(two_version_home, tmp_path):
    """Version -> its served graph, as the registry has it."""
    found = {}
    for number in (TREE, LINEAR):
        versions.export_for_serving(versions.get_version(NAME, number), tmp_path / number)
        found[number] = served_model.load(tmp_path / number / "model.onnx")
    return found


def swaps(service):
    """Champions taken over, by all workers together."""
    return total(get_page(service, "/metrics")[1], "housing_model_swaps_total")


def moves(service, told, version, move):
    """Moves the alias under load: before long all who ask are answered by that version."""
    before, began = swaps(service), time.monotonic()
    move()
    until(lambda: swaps(service) == before + 2, WITHIN)  # both workers
    there = time.monotonic()
    until(lambda: len(told.since(there)) > 300, 20)
    assert {one.answer["model_version"] for one in told.since(there)} == {version}
    return began


def all_right(told, graphs, service):
    """Everybody was answered, by the model that the answer names, and so it is in the log."""
    assert not told.broken
    assert set(told.statuses()) == {200}
    assert {one.answer["model_version"] for one in told.replies} <= graphs.keys()
    for version, served in graphs.items():
        mine = [one for one in told.replies if one.answer["model_version"] == version]
        rows = np.array([[one.asked[name] for name in FEATURE_NAMES] for one in mine])
        answers = [one.answer["prediction"] for one in mine]
        np.testing.assert_allclose(answers, served_model.predict(served, rows), rtol=1e-12)
    said = {(one.answer["id"], one.answer["prediction"], one.answer["model_version"])
            for one in told.replies}  # fmt: skip
    with closing(sqlite3.connect(service.folder / "logs.db")) as log:
        kept = log.execute("SELECT id, prediction, model_version FROM prediction").fetchall()
    assert said == set(kept)
    assert len(kept) == len(told.replies)


def test_a_champion_that_moves_there_and_back_answers_everywhere_and_nobody_notices(
    two_version_home, graphs
):
    with running(two_version_home) as service:
        with generate_load(service, connections=12) as told:
            until(lambda: told.count_statuses()[200] > 300, 20)
            began = moves(service, told, TREE, lambda: promotion.promote(NAME, TREE, "a try"))
            moves(service, told, LINEAR, lambda: promotion.rollback(NAME, None, "it was worse"))
        before = [one for one in told.responses if one.at < began]
        assert {one.answer["model_version"] for one in before} == {LINEAR}
        all_right(told, graphs, service)


def registered(damage):
    """The number of a version that cannot serve; its files are what its registration says."""
    parts = splitting.read_split()
    [candidate] = [
        one for one in experiments.find_candidates(parts.manifest) if one.family == "linear"
    ]
    model, found = experiments.load_model(candidate), experiments.load_intervals(candidate)
    content, examples = (
        onnx_export.to_onnx(model, found),
        calibration.predict_with_interval(model, found, parts.test[:9]),
    )
    if damage == "a graph that ends in the middle":
        content = content[: len(content) // 2]
    if damage == "other answers than were recorded":
        examples = examples._replace(prediction=examples.prediction + 1e-6)
    made = versions.register(candidate, parts, content, examples, False, "a try")
    if damage == "another graph than was registered":
        digests = json.loads(made.tags["sha256"]) | {f"{made.tags['served']}/model.onnx": "0" * 64}
        store.client().set_model_version_tag(NAME, made.version, "sha256", json.dumps(digests))
    return made.version


DAMAGES = {  # and the good version that comes after it
    "a graph that ends in the middle": TREE,
    "other answers than were recorded": LINEAR,
    "another graph than was registered": TREE,
}


def test_a_champion_that_cannot_serve_is_refused_until_a_good_one_comes(two_version_home, graphs):
    answers, bad = LINEAR, [registered(one) for one in DAMAGES]
    with running(two_version_home) as service:
        with generate_load(service, connections=8) as told:
            for version, good in zip(bad, DAMAGES.values(), strict=True):
                store.client().set_registered_model_alias(NAME, "champion", version)
                until(lambda: refused(service) and all("problem" in one for one in ready(service)),
                      WITHIN)  # fmt: skip
                says_what_is_wrong(service, told, answers)
                moves(service, told, good, lambda to=good: promotion.promote(NAME, to, "it works"))
                until(lambda: not refused(service), WITHIN)
                assert "problem" not in get_page(service, "/ready")[1]
                answers = good
        all_right(told, graphs, service)


def says_what_is_wrong(service, told, version):
    """It is ready all the same, and answers as before."""
    since = time.monotonic()
    until(lambda: len(told.since(since)) > 300, 20)
    assert {one.answer["model_version"] for one in told.since(since)} == {version}
    for told in ready(service):
        assert (told["status"], told["model_version"]) == ("ready", version)
        assert told["problem"].startswith("a new champion could not be loaded: ")
        assert "registry" not in told


def ready(service):
    """What the workers say of their state, both but for bad luck; all with status 200."""
    found = [get_page(service, "/ready") for _ in range(12)]
    assert {status for status, _ in found} == {200}
    return [told for _, told in found]


def refused(service):
    """Whether a new champion cannot be taken over."""
    return total(get_page(service, "/metrics")[1], "housing_model_refused") == 1


def says_since_when_the_registry_is_away(service, told):
    """It answers as before, and tells who asks for its state and who watches it."""
    until(lambda: "registry" in ready(service)[0], WITHIN)
    seen, reached = len(told.replies), last_reached(service)
    until(lambda: len(told.replies) > seen + 300, 20)
    for one in ready(service):
        assert (one["status"], one["model_version"]) == ("ready", LINEAR)
        assert one["registry"].startswith("not reached since 20")
    time.sleep(2.5)  # the follower has looked again
    assert last_reached(service) == reached


def last_reached(service):
    """When the alias was last read, as seconds since 1970."""
    return total(get_page(service, "/metrics")[1], "housing_registry_reached_timestamp_seconds")


def test_a_registry_that_goes_away_and_comes_back_stops_nobody(two_version_home, graphs, tmp_path):
    file = two_version_home / "var" / "mlflow.db"
    with running(two_version_home) as service:
        with generate_load(service) as told:
            until(lambda: last_reached(service) > time.time() - 60, WITHIN)  # it has looked
            shutil.move(file, tmp_path / "away.db")
            says_since_when_the_registry_is_away(service, told)
            shutil.move(tmp_path / "away.db", file)
            until(lambda: "registry" not in get_page(service, "/ready")[1], WITHIN)
            moves(service, told, TREE, lambda: promotion.promote(NAME, TREE, "it is back"))
        all_right(told, graphs, service)


@pytest.mark.parametrize("registry_is", ["moved away", "a server that is down"])
def test_it_starts_without_its_registry_from_its_own_copy(
    two_version_home, graphs, registry_is, monkeypatch
):
    with running(two_version_home):  # leaves a copy
        pass
    if registry_is == "moved away":
        (two_version_home / "var" / "mlflow.db").unlink()
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # else it is away after 16 s
    with running(two_version_home) as service:
        with generate_load(service) as told:
            says_since_when_the_registry_is_away(service, told)
        all_right(told, graphs, service)
