"""The local copy of the champion, as a worker holds it."""

import json
import sys

import pytest

from app.cli import bake
from app.metrics.metrics import Metrics
from app.model import champion, local_copy, registry_sync
from app.model.champion import ChampionLoader
from housing.inference.native import bindings
from housing.registry import promotion, versions
from housing.tracking import store

MODEL_NAME = "california-housing-sample"


def test_the_first_champion_answers_as_soon_as_its_copy_is_there(
    two_version_home, tmp_path, monkeypatch
):
    monkeypatch.setattr(champion, "RELOAD_INTERVAL_SECONDS", 60)
    loader = ChampionLoader(tmp_path, Metrics(tmp_path / "counts"))
    loader.start_watching()
    assert loader.current() is None
    registry_sync.sync_once(tmp_path)
    assert loader.current().model_info.version == "2"


def test_a_champion_that_is_rolled_back_to_is_still_loaded(serving, loader):
    first_champion = loader.champion
    promotion.promote(MODEL_NAME, "1", "an experiment")
    registry_sync.sync_once(serving)
    loader.reload_if_changed()
    assert loader.champion.model_info.version == "1"
    promotion.rollback(MODEL_NAME, None, "it was worse")
    registry_sync.sync_once(serving)
    loader.reload_if_changed()
    assert loader.champion is first_champion


def test_a_copy_that_has_changed_is_loaded_again_whatever_its_modification_times(serving, loader):
    first_champion, [folder] = loader.champion, serving.glob(f"{MODEL_NAME}-2-*")
    promotion.promote(MODEL_NAME, "1", "an experiment")
    registry_sync.sync_once(serving)
    loader.reload_if_changed()
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:-9])
    (serving / "current.json").write_text(f'{{"folder": "{folder.name}"}}')
    loader.reload_if_changed()
    assert loader.champion.model_info.version == "1"
    assert "holds no graph that can be read" in loader.problem
    registry_sync.sync_once(serving)  # the pointer is not at the champion: it is copied again
    loader.reload_if_changed()
    assert (loader.champion.model_info.version, loader.problem) == ("1", "")
    assert loader.champion is not first_champion


def test_a_champion_that_lost_its_alias_is_unloaded(serving, loader):
    store.client().delete_registered_model_alias(MODEL_NAME, "champion")
    registry_sync.sync_once(serving)
    loader.reload_if_changed()
    assert loader.champion is None


def test_a_store_that_is_gone_leaves_the_champion_in_place(two_version_home, serving, loader):
    (two_version_home / "var" / "mlflow.db").unlink()
    with pytest.raises(LookupError, match=r"mlflow\.db is gone"):
        registry_sync.sync_once(serving)
    loader.reload_if_changed()
    assert loader.champion.model_info.version == "2"


def test_a_champion_that_was_changed_in_the_registry_is_not_copied(serving, loader):
    version = versions.get_version(MODEL_NAME, "1")
    digests = json.loads(version.tags["sha256"])
    wrong_digests = json.dumps(dict.fromkeys(digests, "0" * 64))
    store.client().set_model_version_tag(MODEL_NAME, "1", "sha256", wrong_digests)
    store.client().set_registered_model_alias(MODEL_NAME, "champion", "1")
    registry_sync.sync_once(serving)
    loader.reload_if_changed()
    assert loader.champion.model_info.version == "2"
    assert "the file was changed" in loader.problem
    store.client().set_model_version_tag(MODEL_NAME, "1", "sha256", json.dumps(digests))
    registry_sync.sync_once(serving)
    loader.reload_if_changed()
    assert (loader.champion.model_info.version, loader.problem) == ("1", "")


def test_a_baked_copy_is_complete_and_follows_no_registry(two_version_home, tmp_path):
    folder = tmp_path / "model"
    (folder / "california-housing-1-of-old").mkdir(parents=True)
    version_folder = registry_sync.bake(folder)
    names = sorted(file.name for file in folder.iterdir())
    assert names == [version_folder, "current.json", "registry.json"]
    assert local_copy.read_status(folder).is_baked
    loader = ChampionLoader(folder, Metrics(two_version_home / "counts"))
    loader.reload_if_changed()
    assert loader.champion.model_info.version == "2"


def test_without_a_champion_nothing_is_baked(home, tmp_path):
    assert registry_sync.bake(tmp_path) is None
    assert not local_copy.read_status(tmp_path).is_baked


def test_a_model_that_cannot_be_run_here_is_refused_by_name(serving, loader, monkeypatch):
    promotion.promote(MODEL_NAME, "1", "an experiment")
    registry_sync.sync_once(serving)
    monkeypatch.setattr(bindings, "load_library", lambda: None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # not installed
    loader.reload_if_changed()
    assert loader.champion.model_info.version == "2"
    assert "native.c is not compiled here" in loader.problem
    assert "pip install onnxruntime" in loader.problem


def test_a_copy_that_could_not_be_baked_again_does_not_count_as_baked(
    two_version_home, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "model"
    assert bake.main([str(folder)]) == 0
    (tmp_path / "broken.db").write_text("no database")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/broken.db")
    assert bake.main([str(folder)]) == 1
    assert not local_copy.read_status(folder).is_baked
    assert capsys.readouterr().err
