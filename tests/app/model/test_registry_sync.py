"""The process that copies the champion: what it refuses, what it mends, and what it reports."""

import json
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from app.metrics.metrics import Metrics
from app.model import local_copy, registry_sync
from app.model.champion import ChampionLoader
from app.model.states import ModelState
from benchmarks.support.local_service import sum_metric
from housing.registry import versions
from housing.tracking import artifact_relocation, store
from tests.support.processes import free_port

MODEL_NAME = "california-housing-sample"


def sync(loader):
    """Let the copying process and the worker look once; return the status of the registry."""
    registry_sync.sync_once(loader.serving_folder)
    loader.reload_if_changed()
    return loader.registry_status()


def refused(loader):
    return sum_metric(loader.metrics.exposition(), "housing_model_refused")


def register_by_hand(source=None, **changed_tags):
    """Register the files of version 2 as a client of MLflow may, and make it the champion.

    changed_tags: None for a tag that it lacks. Returns its number.
    """
    client = store.client()
    original = client.get_model_version(MODEL_NAME, "2")
    tags = {**original.tags, **changed_tags}
    tags = {name: value for name, value in tags.items() if value is not None}
    version = client.create_model_version(MODEL_NAME, source or original.source, tags=tags)
    set_champion(version.version)
    return str(version.version)


def set_champion(version):
    store.client().set_registered_model_alias(MODEL_NAME, "champion", version)


BAD_VERSIONS = {
    "files that are gone": ({"source": "/nowhere/model"}, "are gone"),
    "no tag that says its data": ({"data_source": None}, "has no tag data_source"),
    "another data source": ({"data_source": "california"}, "learnt from the source"),
    "hashes that are none": ({"sha256": "[1]"}, "the tag sha256"),
    "a folder without a graph": ({"served": "none"}, "are gone"),
}


@pytest.mark.parametrize(
    "changed_tags",
    [{"cv_rmse": "good"}, {"test_rmse": "nan"}, {"family": None, "reason": None}],
    ids=str,
)
def test_a_champion_whose_tags_were_changed_in_mlflow_serves_on_without_them(loader, changed_tags):
    version = register_by_hand(**changed_tags)
    assert sync(loader).state == ModelState.CURRENT
    assert loader.champion.model_info.version == version
    details = loader.champion.model_info.details
    assert not set(changed_tags) & set(details["metrics"])
    assert all(details[name] == "" for name in changed_tags if name in details)


@pytest.mark.parametrize("kind", BAD_VERSIONS)
def test_a_champion_that_cannot_be_copied_is_refused_and_the_registry_counts_as_reached(
    loader, kind
):
    reached_at = loader.registry_status().reached_at
    changes, reason = BAD_VERSIONS[kind]
    version = register_by_hand(**changes)
    status = sync(loader)
    assert (status.state, status.problem) == (ModelState.REFUSED, "")
    assert reason in status.refusal
    assert "run_pipeline.py promote VERSION" in status.refusal
    assert status.refused_version == f"{MODEL_NAME} version {version}"
    assert status.reached_at > reached_at
    assert (refused(loader), loader.champion.model_info.version) == (1, "2")


def test_a_refusal_is_over_with_the_next_good_champion_and_replaced_by_the_next_bad_one(loader):
    register_by_hand(sha256="[1]")
    sync(loader)
    register_by_hand(source="/nowhere/model")
    assert "are gone" in sync(loader).refusal
    set_champion("1")
    status = sync(loader)
    assert (status.state, status.refusal, status.refused_version) == (ModelState.CURRENT, "", "")
    assert (refused(loader), loader.problem) == (0, "")
    assert loader.champion.model_info.version == "1"


def test_a_refusal_is_over_when_the_version_is_mended(loader):
    version = register_by_hand(cv_rmse="good")
    sync(loader)
    store.client().set_model_version_tag(MODEL_NAME, version, "cv_rmse", "0.5")
    assert sync(loader).state == ModelState.CURRENT
    assert (refused(loader), loader.champion.model_info.version) == (0, version)


def test_lost_files_are_looked_for_again_after_a_while_not_every_two_seconds(
    loader, monkeypatch, tmp_path
):
    original_uri = store.client().get_model_version_download_uri(MODEL_NAME, "2")
    original_folder = artifact_relocation.local_path(original_uri)
    version = register_by_hand(source=str(tmp_path / "model"))
    assert sync(loader).state == ModelState.REFUSED
    shutil.copytree(original_folder, tmp_path / "model")
    assert sync(loader).state == ModelState.REFUSED
    monkeypatch.setattr(registry_sync.time, "monotonic", lambda: time.perf_counter() + 1e9)
    assert sync(loader).state == ModelState.CURRENT
    assert (refused(loader), loader.champion.model_info.version) == (0, version)


def test_a_version_without_a_run_can_serve(loader):
    folder = store.client().get_model_version_download_uri(MODEL_NAME, "2")
    version = register_by_hand(source=folder)
    assert store.client().get_model_version(MODEL_NAME, version).run_id is None
    assert sync(loader).state == ModelState.CURRENT
    assert loader.champion.model_info.version == version


def test_what_a_worker_could_not_load_does_not_hide_a_later_refusal(serving, loader):
    [folder] = serving.glob(f"{MODEL_NAME}-2-*")
    (folder / "model.onnx").write_bytes(b"no graph")
    local_copy_pointer = serving / local_copy.POINTER_FILE_NAME
    local_copy_pointer.write_text(local_copy.encode_pointer(folder.name))
    loader.reload_if_changed()
    assert "holds no graph" in loader.problem
    register_by_hand(sha256="[1]")
    sync(loader)
    assert "no JSON object" in loader.problem


def remove_files(folder, _pointer):
    shutil.rmtree(folder)


def truncate_graph(folder, _pointer):
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:-9])


def damage_details(folder, _pointer):
    (folder / "about.json").write_text("[]")


def damage_pointer(_folder, pointer):
    pointer.write_text("[1]")


def remove_pointer(_folder, pointer):
    pointer.unlink()


@pytest.mark.parametrize(
    "damage", [remove_files, truncate_graph, damage_details, damage_pointer, remove_pointer]
)
def test_a_damaged_copy_is_made_again_and_answers_meanwhile(serving, loader, damage):
    [folder] = serving.glob(f"{MODEL_NAME}-2-*")
    damage(folder, serving / local_copy.POINTER_FILE_NAME)
    loader.reload_if_changed()
    assert loader.champion.model_info.version == "2"
    new_loader = ChampionLoader(serving, Metrics(serving / "counts of another worker"))
    new_loader.reload_if_changed()
    if damage in (damage_pointer, damage_details, truncate_graph, remove_files):
        assert new_loader.absence().state == ModelState.DAMAGED
    else:
        assert new_loader.absence().state == ModelState.LOADING
    sync(loader)
    new_loader.reload_if_changed()
    assert new_loader.champion.model_info.version == loader.champion.model_info.version == "2"
    assert (loader.problem, new_loader.problem) == ("", "")


def test_a_damaged_copy_whose_champion_is_gone_too_names_both(serving, loader):
    [folder] = serving.glob(f"{MODEL_NAME}-2-*")
    truncate_graph(folder, None)
    store.client().set_model_version_tag(MODEL_NAME, "2", "served", "served/nothing")
    assert sync(loader).state == ModelState.REFUSED
    new_loader = ChampionLoader(serving, Metrics(serving / "counts"))
    new_loader.reload_if_changed()
    absence = new_loader.absence()
    assert absence.state == ModelState.DAMAGED
    assert "holds no graph" in absence.sentence
    assert "are gone" in absence.sentence
    assert loader.champion.model_info.version == "2"


def test_a_damaged_copy_in_an_image_is_not_said_to_be_copied_again(serving):
    registry_sync.bake(serving)
    [folder] = serving.glob(f"{MODEL_NAME}-2-*")
    truncate_graph(folder, None)
    loader = ChampionLoader(serving, Metrics(serving / "counts"))
    loader.reload_if_changed()
    assert loader.absence().state == ModelState.DAMAGED_IMAGE


def test_a_copy_that_cannot_be_written_is_no_fault_of_the_registry(loader, monkeypatch):
    def fail(version, folder):
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(versions, "export_for_serving", fail)
    set_champion("1")
    status = sync(loader)
    assert (status.state, status.refusal) == (ModelState.UNWRITABLE, "No space left on device")
    assert (refused(loader), loader.champion.model_info.version) == (1, "2")


def absent_state(folder, model_name=None):
    """Return state and sentence of a service that has just started."""
    registry_sync.sync_once(folder, model_name)
    loader = ChampionLoader(folder, Metrics(folder / "counts"))
    loader.reload_if_changed()
    assert loader.champion is None
    return loader.absence()


def test_without_a_store_or_a_version_a_first_training_is_proposed(home, tmp_path):
    assert absent_state(tmp_path).state == ModelState.NONE_YET
    store.client()
    assert absent_state(tmp_path).state == ModelState.NONE_YET
    assert "`make run`" in absent_state(tmp_path).sentence
    assert absent_state(tmp_path, "california-housing-file").state == ModelState.NONE_YET


def test_versions_without_a_champion_are_named_with_the_way_to_promote_one(
    two_version_home, tmp_path
):
    store.client().delete_registered_model_alias(MODEL_NAME, "champion")
    absence = absent_state(tmp_path)
    assert absence.state == ModelState.NO_CHAMPION
    assert f"{MODEL_NAME} has the versions 1, 2" in absence.sentence
    assert "run_pipeline.py promote VERSION" in absence.sentence


def test_a_model_that_is_not_registered_is_named_beside_those_that_are(two_version_home, tmp_path):
    absence = absent_state(tmp_path, "my-model")
    assert absence.state == ModelState.UNKNOWN_MODEL
    assert f"my-model, and the registry has {MODEL_NAME}:" in absence.sentence
    store.client().rename_registered_model(MODEL_NAME, "renamed")
    absence = absent_state(tmp_path)
    assert absence.state == ModelState.UNKNOWN_MODEL
    assert "the registry has renamed:" in absence.sentence


class LoggedLoopError(Exception):
    """Raised to end the loop of the copying process."""


def follow(folder, monkeypatch, *steps):
    """Let the copying process look once before each step and once after the last.

    Returns the states that it has written.
    """
    remaining_steps, states = [*steps], []

    def do_next_step(_seconds):
        states.append(local_copy.read_status(folder).state)
        if not remaining_steps:
            raise LoggedLoopError
        remaining_steps.pop(0)()

    monkeypatch.setattr(registry_sync.time, "sleep", do_next_step)
    with pytest.raises(LoggedLoopError):
        registry_sync.sync_forever(folder, None)
    return states


def nothing():
    """Change nothing, as in most intervals."""


def test_each_change_is_logged_once(serving, two_version_home, monkeypatch, caplog):
    caplog.clear()
    states = follow(
        serving,
        monkeypatch,
        nothing,
        lambda: register_by_hand(sha256="[1]"),
        nothing,
        lambda: register_by_hand(source="/nowhere/model"),
        nothing,
        lambda: set_champion("1"),
        nothing,
        lambda: store.client().delete_registered_model_alias(MODEL_NAME, "champion"),
        nothing,
    )
    assert states == [
        *["current"] * 2, *["refused"] * 4, *["current"] * 2, *["no_champion"] * 2
    ]  # fmt: skip
    first, second, third, fourth = [
        record.getMessage() for record in caplog.records if record.name == registry_sync.__name__
    ]
    assert "version 3 is refused" in first
    assert "version 4 is refused" in second
    assert "served again" in third
    assert "none of them is the champion" in fourth


def test_a_refusal_stays_while_the_registry_is_away(serving, two_version_home, monkeypatch):
    file, loader = two_version_home / "var" / "mlflow.db", None
    register_by_hand(sha256="[1]")
    states = follow(serving, monkeypatch, lambda: file.rename(file.with_suffix(".away")), nothing)
    assert states == ["refused", "store_gone", "store_gone"]
    loader = ChampionLoader(serving, Metrics(serving / "counts"))
    loader.reload_if_changed()
    assert (refused(loader), loader.champion.model_info.version) == (1, "2")


@pytest.mark.parametrize("replacement", ["an empty store", "an empty file"])
def test_an_empty_store_takes_no_champion_away(serving, loader, two_version_home, replacement):
    """As MLflow makes one where it finds none, and a server has that starts without its data."""
    file = two_version_home / "var" / "mlflow.db"
    file.rename(file.with_suffix(".away"))
    if replacement == "an empty store":
        store.client()
    else:
        file.touch()
    for _ in range(2):
        with pytest.raises(registry_sync.StoreGoneError):
            sync(loader)
    loader.reload_if_changed()
    assert loader.champion.model_info.version == "2"


def test_a_store_that_goes_while_it_is_read_takes_no_champion_away(
    serving, loader, two_version_home, monkeypatch
):
    file = two_version_home / "var" / "mlflow.db"
    find_champion, away = versions.current_champion, file.with_suffix(".away")

    def find_champion_too_late(name):
        file.rename(away)
        store.client()  # creates an empty one, as a reader does that has just seen the store
        return find_champion(name)

    with monkeypatch.context() as patch:
        patch.setattr(versions, "current_champion", find_champion_too_late)
        with pytest.raises(registry_sync.StoreGoneError):
            sync(loader)
    loader.reload_if_changed()
    assert loader.champion.model_info.version == "2"
    away.rename(file)
    assert sync(loader).state == ModelState.CURRENT


def test_the_champion_is_being_loaded_until_the_registry_has_been_asked(tmp_path, monkeypatch):
    states = []

    def look(*_arguments):
        states.append(absence_of(tmp_path).state)
        raise ValueError("as of a store that cannot be used")

    monkeypatch.setattr(registry_sync, "_sync", look)
    assert follow(tmp_path, monkeypatch) == [ModelState.UNREADABLE]
    assert states == [ModelState.LOADING]


def absence_of(folder):
    loader = ChampionLoader(folder, Metrics(folder / "counts"))
    loader.reload_if_changed()
    return loader.absence()


def test_a_folder_that_no_process_writes_to_is_not_said_to_be_loading(tmp_path):
    assert absence_of(tmp_path).state == ModelState.NOT_FOLLOWED
    (tmp_path / "registry.json").write_text('{"state": "of the future", "reached_at": "x"}')
    assert absence_of(tmp_path).state == ModelState.NOT_FOLLOWED


def test_a_store_of_a_newer_mlflow_is_named_with_the_way_out(
    two_version_home, tmp_path, monkeypatch
):
    with closing(sqlite3.connect(two_version_home / "var" / "mlflow.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        connection.commit()
    assert follow(tmp_path, monkeypatch) == ["unreadable"]
    absence = absence_of(tmp_path)
    assert absence.state == ModelState.UNREADABLE
    assert "made by a newer MLflow" in absence.sentence
    assert str(two_version_home) not in absence.sentence


class RefusingHandler(BaseHTTPRequestHandler):
    """Refuses every login."""

    def do_GET(self):
        body = json.dumps({"error_code": "UNAUTHENTICATED", "message": "no"}).encode()
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_arguments):
        """Write nothing."""


@pytest.mark.parametrize("answers", [True, False])
def test_a_server_that_refuses_the_login_is_not_said_to_be_down(
    home, tmp_path, monkeypatch, answers
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with ThreadingHTTPServer(("127.0.0.1", 0), RefusingHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_port if answers else free_port()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        states = follow(tmp_path, monkeypatch)
        server.shutdown()
    assert states == ["login_refused" if answers else "unreachable"]
    assert "MLFLOW_TRACKING_" in absence_of(tmp_path).sentence
    assert str(port) not in absence_of(tmp_path).sentence
