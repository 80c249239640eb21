"""Promotion and rollback by hand, and what they refuse, with real models in a real registry."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from housing.data import splitting
from housing.registry import alias_history, promotion, versions
from housing.registry.promotion import PromotionError
from housing.tracking import store
from tests.conftest import LENIENT_LIMITS, register_candidate

NAME = "california-housing-sample"
REASON = "it was better before"


def model_folder(version):
    """The folder of the version's artifacts. It lies in a home that tests share: change it back."""
    uri = store.client().get_model_version_download_uri(NAME, version)
    return Path(uri.removeprefix("file://").replace("%20", " "))


@pytest.fixture
def changeable_folder():
    """A function that returns a version's folder; what the test changes in it is restored."""
    backups = {}

    def back_up(version):
        folder = model_folder(version)
        backups[folder] = folder.with_name(f"{folder.name}.backup")
        shutil.copytree(folder, backups[folder])
        return folder

    yield back_up
    for folder, backup in backups.items():
        shutil.rmtree(folder)
        backup.rename(folder)


def test_a_rollback_goes_to_the_previous_champion(two_version_home):
    assert versions.get_champion(NAME).version == "2"
    change = promotion.rollback(NAME, None, REASON)
    assert (change.old_version, change.new_version) == ("2", "1")
    assert (change.action, change.reason) == ("rolled back", REASON)
    assert versions.get_champion(NAME).version == "1"
    with pytest.raises(LookupError, match="no champion before version 1"):
        promotion.rollback(NAME, None, REASON)


@pytest.mark.slow
def test_a_model_that_was_rolled_back_is_not_promoted_by_the_next_run(two_version_home):
    promotion.rollback(NAME, "1", REASON)
    version = register_candidate(splitting.read_split(), "linear", **LENIENT_LIMITS)
    assert version.tags["verdict"] == "refused"
    assert "earlier rollbacks of this very model: 1 (limit 0)" in version.tags["reason"]
    assert versions.get_champion(NAME).version == "1"
    promotion.promote(NAME, "2", "the map server was to blame")
    assert versions.get_champion(NAME).version == "2"


def test_only_a_past_champion_can_be_rolled_back_to(two_version_home):
    number = register_candidate(splitting.read_split(), "linear").version
    with pytest.raises(LookupError, match=rf"version {number} .* never champion .*: 1, 2"):
        promotion.rollback(NAME, number, REASON)
    with pytest.raises(LookupError, match="there is no version 99"):
        promotion.promote(NAME, "99", REASON)


@pytest.mark.slow
def test_a_version_that_the_gate_refused_is_promoted_only_against_the_gate(two_version_home):
    number = register_candidate(splitting.read_split(), "linear").version
    with pytest.raises(PromotionError, match=r"refused by the gate: .*gain.*--against-the-gate"):
        promotion.promote(NAME, number, REASON)
    change = promotion.promote(NAME, number, REASON, override_gate=True)
    assert (change.action, change.verdict) == ("promoted by hand", "refused")


def test_an_empty_reason_and_the_present_champion_are_refused(two_version_home):
    with pytest.raises(ValueError, match="the reason is empty"):
        promotion.rollback(NAME, "1", " ")
    with pytest.raises(PromotionError, match=r"version 2 is the champion .* already"):
        promotion.promote(NAME, "2", REASON)


def remove_digests(version):
    """Remove the hashes of a version's files: then only its predictions can show a change."""
    store.client().set_model_version_tag(NAME, version, "sha256", "{}")


def test_a_version_whose_graph_was_changed_is_not_rolled_back_to(
    two_version_home, changeable_folder
):
    [graph_file] = changeable_folder("1").glob("served/*/model.onnx")
    other_graph_file = next(model_folder("2").glob("served/*/model.onnx"))
    graph_file.write_bytes(other_graph_file.read_bytes())
    with pytest.raises(PromotionError, match=r"model.onnx .* has sha256 .* the file was changed"):
        promotion.rollback(NAME, "1", REASON)
    remove_digests("1")
    with pytest.raises(PromotionError, match=r"its graph predicts .* for example row 1"):
        promotion.rollback(NAME, "1", REASON)
    assert versions.get_champion(NAME).version == "2"
    assert len(alias_history.read(NAME).of_alias("champion")) == 2


def test_a_version_whose_model_was_replaced_is_not_rolled_back_to(
    two_version_home, changeable_folder
):
    folder = changeable_folder("1")
    shutil.copy(model_folder("2") / "model.skops", folder / "model.skops")
    remove_digests("1")
    with pytest.raises(
        PromotionError, match=r"its model predicts .* as recorded at its registration"
    ):
        promotion.rollback(NAME, "1", REASON)


def test_recorded_predictions_that_were_changed_are_noticed(two_version_home, changeable_folder):
    [file] = changeable_folder("1").glob("served/*/examples.json")
    examples = json.loads(file.read_text())
    examples["predictions"][3] += 1e-6
    file.write_text(json.dumps(examples))
    with pytest.raises(PromotionError, match=r"examples.json .* the file was changed"):
        promotion.rollback(NAME, "1", REASON)
    remove_digests("1")
    with pytest.raises(PromotionError, match=r"for example row 4, .* \(1 of 20 rows differ\)"):
        promotion.rollback(NAME, "1", REASON)


def test_a_missing_file_is_named(two_version_home, changeable_folder):
    next(changeable_folder("1").glob("served/*/model.onnx")).unlink()
    with pytest.raises(PromotionError, match=r"version 1 are gone: there is no model\.onnx in"):
        promotion.rollback(NAME, "1", REASON)


def test_a_model_of_the_sample_never_serves_as_a_real_one(two_version_home):
    """Not even if a user copies the version under the real name, and sets the alias in MLflow."""
    client, real_name = store.client(), "california-housing"
    client.copy_model_version(f"models:/{NAME}/1", real_name)
    client.set_model_version_tag(real_name, "1", "verdict", "promoted")
    with pytest.raises(PromotionError, match=r"learnt from the source 'sample', .*may not serve"):
        promotion.promote(real_name, "1", REASON)
    client.set_registered_model_alias(real_name, "champion", "1")
    with pytest.raises(ValueError, match="learnt from the source 'sample'"):
        versions.export_for_serving(versions.get_champion(real_name), two_version_home / "out")
    assert not (two_version_home / "out" / "model.onnx").exists()


def test_a_new_version_of_the_same_model_leaves_the_files_of_the_first_unchanged(two_version_home):
    """The same candidate, registered again with other examples."""
    [first_folder] = model_folder("1").glob("served/*")
    version = register_candidate(splitting.read_split(), "tree", example_rows=7)
    assert model_folder(version.version) == model_folder("1")
    assert len(list(model_folder("1").glob("served/*"))) == 2
    promotion.verify_version(versions.get_version(NAME, "1"))
    promotion.verify_version(version)
    assert first_folder.exists()


ROLLBACK_SCRIPT = """
from housing.registry import alias_history, promotion
try:
    promotion.rollback("california-housing-sample", "1", "at once")
    print("moved")
except (alias_history.ConcurrentUpdateError, promotion.PromotionError) as error:
    print("not moved:", error)
"""


@pytest.mark.slow
def test_of_concurrent_rollbacks_and_promotions_each_succeeds_or_says_why_not(champion_home):
    tree = register_candidate(splitting.read_split(), "tree")
    promotion.promote(NAME, tree.version, "to have one to come back from", override_gate=True)
    processes = [
        subprocess.Popen([sys.executable, "-c", ROLLBACK_SCRIPT], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    linear = register_candidate(splitting.read_split(), "linear", **LENIENT_LIMITS)
    outputs = [process.communicate()[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * 3
    changes = alias_history.read(NAME).of_alias("champion")
    new_versions = [change.new_version for change in changes]
    assert [change.old_version for change in changes] == ["", *new_versions[:-1]]
    assert versions.get_champion(NAME).version == new_versions[-1]
    assert outputs.count("moved") == [change.action for change in changes].count("rolled back")
    was_promoted = linear.version in new_versions
    verdict = versions.get_version(NAME, linear.version).tags["verdict"]
    assert (verdict == "promoted") == was_promoted


def test_a_candidate_compared_with_a_former_champion_becomes_challenger(two_version_home):
    former_champion = versions.get_version(NAME, "1")  # 2 is champion now
    version = register_candidate(
        splitting.read_split(), "linear", judged_champion=former_champion, **LENIENT_LIMITS
    )
    assert version.tags["verdict"] == "refused"
    assert "was version 1, and is version 2 now" in version.tags["reason"]
    assert versions.get_version(NAME, version.version).tags == version.tags
    assert versions.get_champion(NAME).version == "2"
