"""The local copy of the champion, as a worker holds it."""

import json
import sys

import pytest

from app.cli import bake
from app.metrics.metrics import Metrics
from app.model import champion, registry_sync
from app.model.champion import ChampionLoader
from housing.inference.native import bindings
from housing.registry import promotion, versions
from housing.tracking import store

NAME = "california-housing-sample"


@pytest.fixture
def serving(two_version_home):
    """The folder of the copy; the champion is version 2."""
    registry_sync.sync_once(two_version_home / "var" / "serving")
    return two_version_home / "var" / "serving"


@pytest.fixture
def copy(serving):
    """A worker's, its champion loaded."""
    made = ChampionLoader(serving, Metrics(serving / "counts"))
    made.reload_if_changed()
    return made


def test_the_first_champion_answers_as_soon_as_its_copy_is_there(
    two_version_home, tmp_path, monkeypatch
):
    monkeypatch.setattr(champion, "RELOAD_INTERVAL_SECONDS", 60)
    copy = ChampionLoader(tmp_path, Metrics(tmp_path / "counts"))
    copy.start_watching()
    assert copy.current() is None
    registry_sync.sync_once(tmp_path)
    assert copy.current().model_info["version"] == "2"


def test_a_champion_that_is_rolled_back_to_is_still_loaded(serving, copy):
    first = copy.champion
    promotion.promote(NAME, "1", "a try")
    registry_sync.sync_once(serving)
    copy.reload_if_changed()
    assert copy.champion.model_info["version"] == "1"
    promotion.rollback(NAME, None, "it was worse")
    registry_sync.sync_once(serving)
    copy.reload_if_changed()
    assert copy.champion is first


def test_a_copy_that_has_changed_is_loaded_anew_whatever_its_files_times(serving, copy):
    first, [folder] = copy.champion, serving.glob(f"{NAME}-2-*")
    promotion.promote(NAME, "1", "a try")
    registry_sync.sync_once(serving)
    copy.reload_if_changed()
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:-9])
    (serving / "current.json").write_text(f'{{"folder": "{folder.name}"}}')
    copy.reload_if_changed()
    assert copy.champion.model_info["version"] == "1"
    assert "holds no graph that can be read" in copy.problem
    registry_sync.sync_once(serving)  # the pointer is not at the champion: it is copied again
    copy.reload_if_changed()
    assert (copy.champion.model_info["version"], copy.problem) == ("1", "")
    assert copy.champion is not first


def test_a_champion_without_an_alias_any_more_is_let_go(serving, copy):
    store.client().delete_registered_model_alias(NAME, "champion")
    registry_sync.sync_once(serving)
    copy.reload_if_changed()
    assert copy.champion is None


def test_a_store_that_is_gone_leaves_the_champion_where_it_is(two_version_home, serving, copy):
    (two_version_home / "var" / "mlflow.db").unlink()
    with pytest.raises(LookupError, match=r"mlflow\.db is gone"):
        registry_sync.sync_once(serving)
    copy.reload_if_changed()
    assert copy.champion.model_info["version"] == "2"


def test_a_champion_that_was_changed_in_the_registry_is_not_copied(serving, copy):
    version = versions.get_version(NAME, "1")
    digests = json.loads(version.tags["sha256"])
    wrong = json.dumps(dict.fromkeys(digests, "0" * 64))
    store.client().set_model_version_tag(NAME, "1", "sha256", wrong)
    store.client().set_registered_model_alias(NAME, "champion", "1")
    registry_sync.sync_once(serving)
    copy.reload_if_changed()
    assert copy.champion.model_info["version"] == "2"
    assert copy.problem.endswith("the file was changed")
    store.client().set_model_version_tag(NAME, "1", "sha256", json.dumps(digests))
    registry_sync.sync_once(serving)
    copy.reload_if_changed()
    assert (copy.champion.model_info["version"], copy.problem) == ("1", "")


def test_a_copy_that_is_baked_is_whole_and_follows_nothing(two_version_home, tmp_path):
    model = tmp_path / "model"
    (model / "california-housing-1-of-old").mkdir(parents=True)
    folder = registry_sync.bake(model)
    assert sorted(one.name for one in model.iterdir()) == [folder, "current.json", "registry.json"]
    assert registry_sync.is_baked(model)
    baked = ChampionLoader(model, Metrics(two_version_home / "counts"))
    baked.reload_if_changed()
    assert baked.champion.model_info["version"] == "2"


def test_a_copy_without_a_champion_is_not_baked(home, tmp_path):
    assert registry_sync.bake(tmp_path) is None
    assert not registry_sync.is_baked(tmp_path)


def test_a_model_that_nothing_here_can_answer_is_refused_by_name(serving, copy, monkeypatch):
    promotion.promote(NAME, "1", "a try")
    registry_sync.sync_once(serving)
    monkeypatch.setattr(bindings, "load_library", lambda: None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # not installed
    copy.reload_if_changed()
    assert copy.champion.model_info["version"] == "2"
    assert "native.c is not compiled here" in copy.problem
    assert "pip install onnxruntime" in copy.problem


def test_a_copy_that_could_not_be_baked_anew_is_none(
    two_version_home, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "model"
    assert bake.main(folder) == 0
    (tmp_path / "broken.db").write_text("no database")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/broken.db")
    assert bake.main(folder) == 1
    assert not registry_sync.is_baked(folder)
    assert capsys.readouterr().err
