"""The local copy of the challenger follows the registry, and refuses what it cannot verify."""

import pytest

from app.model import loading, local_copy, registry_sync
from app.shadow.challenger_sync import ChallengerSync
from app.shadow.status import ShadowState
from housing.inference import served_files
from housing.tracking import artifact_relocation, store

MODEL_NAME = "california-housing-sample"


@pytest.fixture
def sync(two_version_home):
    """What copies the challenger; the champion is version 2, and there is no challenger."""
    serving_folder = two_version_home / "var" / "serving"
    registry_sync.sync_once(serving_folder)
    return ChallengerSync(serving_folder)


def set_challenger(version):
    store.client().set_registered_model_alias(MODEL_NAME, "challenger", version)


def test_the_challenger_is_copied_and_can_be_loaded(sync):
    assert sync.sync_once().state == ShadowState.NO_CHALLENGER
    set_challenger("1")
    assert sync.sync_once().state == ShadowState.ANSWERING
    folder_name = local_copy.read_served_folder(sync.folder)
    files = served_files.read_files(sync.folder / folder_name)
    assert loading.load_champion(folder_name, files).model_info.version == "1"
    assert local_copy.read_status(sync.folder).state == ShadowState.ANSWERING
    assert local_copy.read_served_folder(sync.serving_folder).startswith(f"{MODEL_NAME}-2-")


def test_a_challenger_that_is_the_champion_or_is_gone_has_no_copy(sync):
    set_challenger("1")
    sync.sync_once()
    set_challenger("2")
    assert sync.sync_once().state == ShadowState.IS_CHAMPION
    assert local_copy.read_served_folder(sync.folder) is None
    set_challenger("1")
    assert sync.sync_once().state == ShadowState.ANSWERING
    store.client().delete_registered_model_alias(MODEL_NAME, "challenger")
    assert sync.sync_once().state == ShadowState.NO_CHALLENGER
    assert local_copy.read_served_folder(sync.folder) is None


def test_a_challenger_whose_files_were_changed_is_refused(sync):
    set_challenger("1")
    tags = {"sha256": "[1]"}
    for name, value in tags.items():
        store.client().set_model_version_tag(MODEL_NAME, "1", name, value)
    status = sync.sync_once()
    assert status.state == ShadowState.REFUSED
    assert "no JSON object" in status.reason
    assert local_copy.read_served_folder(sync.folder) is None


def test_a_copy_that_was_damaged_is_made_again(sync):
    set_challenger("1")
    sync.sync_once()
    folder = sync.folder / local_copy.read_served_folder(sync.folder)
    (folder / "model.onnx").write_bytes(b"no graph")
    assert sync.sync_once().state == ShadowState.ANSWERING
    loading.load_champion(folder.name, served_files.read_files(folder))


def test_the_copy_answers_while_the_registry_is_away(sync, two_version_home):
    set_challenger("1")
    sync.sync_once()
    file = two_version_home / "var" / "mlflow.db"
    file.rename(file.with_suffix(".away"))
    file.write_bytes(b"no database")
    status = sync.sync_once()
    assert (status.state, bool(status.reason)) == (ShadowState.ANSWERING, True)
    assert local_copy.read_served_folder(sync.folder)


def test_without_a_champion_there_is_no_challenger(tmp_path):
    assert ChallengerSync(tmp_path).sync_once().state == ShadowState.NO_CHAMPION


def test_a_challenger_whose_files_are_gone_is_refused(sync):
    source = store.client().get_model_version_download_uri(MODEL_NAME, "1")
    assert artifact_relocation.local_path(source)
    version = store.client().create_model_version(
        MODEL_NAME,
        "/nowhere/model",
        tags=dict(store.client().get_model_version(MODEL_NAME, "1").tags),
    )
    set_challenger(version.version)
    status = sync.sync_once()
    assert status.state == ShadowState.REFUSED
    assert "are gone" in status.reason
