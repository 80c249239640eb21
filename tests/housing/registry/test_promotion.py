"""Promote, roll back and what they refuse, with real models in a real registry."""

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
WHY = "it was better before"


def model_folder(version):
    """Where the version's artefacts are: in the home of another test, so handle with care."""
    uri = store.client().get_model_version_download_uri(NAME, version)
    return Path(uri.removeprefix("file://").replace("%20", " "))


@pytest.fixture
def changeable():
    """Gives a version's folder, and puts back what a test did to it."""
    kept = {}

    def folder(version):
        found = model_folder(version)
        kept[found] = found.with_name(f"{found.name}.kept")
        shutil.copytree(found, kept[found])
        return found

    yield folder
    for found, copy in kept.items():
        shutil.rmtree(found)
        copy.rename(found)


def test_a_roll_back_goes_to_the_champion_before(two_version_home):
    assert versions.get_champion(NAME).version == "2"
    made = promotion.rollback(NAME, None, WHY)
    assert (made.before, made.after, made.action, made.reason) == ("2", "1", "rolled back", WHY)
    assert versions.get_champion(NAME).version == "1"
    with pytest.raises(LookupError, match="no champion before version 1"):
        promotion.rollback(NAME, None, WHY)


def test_a_model_that_was_rolled_back_is_not_promoted_by_the_next_run(two_version_home):
    promotion.rollback(NAME, "1", WHY)
    again = register_candidate(splitting.read_split(), "linear", **LENIENT_LIMITS)
    assert again.tags["verdict"] == "refused"
    assert "this very model was rolled back: 1 (limit 0)" in again.tags["reason"]
    assert versions.get_champion(NAME).version == "1"
    promotion.promote(NAME, "2", "the map server was to blame")
    assert versions.get_champion(NAME).version == "2"


def test_only_what_was_champion_can_be_rolled_back_to(two_version_home):
    refused = register_candidate(splitting.read_split(), "linear")
    with pytest.raises(LookupError, match=rf"version {refused.version} .* never champion .*: 1, 2"):
        promotion.rollback(NAME, refused.version, WHY)
    with pytest.raises(LookupError, match="there is no version 99"):
        promotion.promote(NAME, "99", WHY)


def test_what_the_gate_refused_needs_a_word_more(two_version_home):
    refused = register_candidate(splitting.read_split(), "linear")
    with pytest.raises(PromotionError, match=r"refused by the gate: .*gained.*--against-the-gate"):
        promotion.promote(NAME, refused.version, WHY)
    made = promotion.promote(NAME, refused.version, WHY, override_gate=True)
    assert (made.action, made.verdict) == ("promoted by hand", "refused")


def test_a_reason_is_asked_for_and_the_champion_stays_the_champion(two_version_home):
    with pytest.raises(ValueError, match="the reason is empty"):
        promotion.rollback(NAME, "1", " ")
    with pytest.raises(PromotionError, match=r"version 2 is the champion .* already"):
        promotion.promote(NAME, "2", WHY)


def untagged(version):
    """A version whose files no hash guards: only what it answers can tell."""
    store.client().set_model_version_tag(NAME, version, "sha256", "{}")


def test_a_graph_that_was_changed_is_not_rolled_back_to(two_version_home, changeable):
    folder = changeable("1")
    [graph] = folder.glob("served/*/model.onnx")
    content = model_folder("2").glob("served/*/model.onnx")
    graph.write_bytes(next(content).read_bytes())
    with pytest.raises(
        PromotionError, match=r"model.onnx .* has sha256 .* somebody has changed it"
    ):
        promotion.rollback(NAME, "1", WHY)
    untagged("1")
    with pytest.raises(PromotionError, match=r"its served graph answers .* to example row 1"):
        promotion.rollback(NAME, "1", WHY)
    assert versions.get_champion(NAME).version == "2"
    assert len(alias_history.list_changes(NAME, "champion")) == 2


def test_a_model_that_is_another_is_not_rolled_back_to(two_version_home, changeable):
    folder = changeable("1")
    shutil.copy(model_folder("2") / "model.skops", folder / "model.skops")
    untagged("1")
    with pytest.raises(
        PromotionError, match=r"its model answers .* was recorded at its registration"
    ):
        promotion.rollback(NAME, "1", WHY)


def test_recorded_answers_that_were_changed_are_noticed(two_version_home, changeable):
    [file] = changeable("1").glob("served/*/examples.json")
    told = json.loads(file.read_text())
    told["predictions"][3] += 1e-6
    file.write_text(json.dumps(told))
    with pytest.raises(PromotionError, match=r"examples.json .* has changed it"):
        promotion.rollback(NAME, "1", WHY)
    untagged("1")
    with pytest.raises(PromotionError, match=r"to example row 4, .* \(1 of 20 rows differ\)"):
        promotion.rollback(NAME, "1", WHY)


def test_a_file_that_is_gone_is_named(two_version_home, changeable):
    next(changeable("1").glob("served/*/model.onnx")).unlink()
    with pytest.raises(PromotionError, match=r"model.onnx of .* version 1 is missing"):
        promotion.rollback(NAME, "1", WHY)


def test_what_learnt_from_a_sample_never_serves_as_the_real_one(two_version_home):
    """Not even if somebody copies the version under the real name, and sets the alias by hand."""
    client, real = store.client(), "california-housing"
    client.copy_model_version(f"models:/{NAME}/1", real)
    client.set_model_version_tag(real, "1", "verdict", "promoted")
    with pytest.raises(PromotionError, match=r"learnt from the source 'sample', .*may not serve"):
        promotion.promote(real, "1", WHY)
    client.set_registered_model_alias(real, "champion", "1")
    with pytest.raises(ValueError, match="learnt from the source 'sample'"):
        versions.export_for_serving(versions.get_champion(real), two_version_home / "out")
    assert not (two_version_home / "out" / "model.onnx").exists()


def test_the_version_that_a_new_registration_shares_its_model_with_stays_as_it_was(
    two_version_home,
):
    """The same candidate, registered again with other examples."""
    [first] = model_folder("1").glob("served/*")
    refused = register_candidate(splitting.read_split(), "tree", example_rows=7)
    assert model_folder(refused.version) == model_folder("1")
    assert len(list(model_folder("1").glob("served/*"))) == 2
    promotion.verify_version(versions.get_version(NAME, "1"))
    promotion.verify_version(refused)
    assert first.exists()


ROLL_BACK = """
import sys
from housing.registry import alias_history, promotion
try:
    promotion.rollback("california-housing-sample", "1", "at once")
    print("moved")
except (alias_history.ConcurrentUpdateError, promotion.PromotionError) as other:
    print("not moved:", other)
"""


def test_of_roll_back_and_promotion_at_once_one_wins_and_both_are_told(champion_home):
    again = register_candidate(splitting.read_split(), "tree")
    promotion.promote(NAME, again.version, "to have one to come back from", override_gate=True)
    people = [
        subprocess.Popen([sys.executable, "-c", ROLL_BACK], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    made = register_candidate(splitting.read_split(), "linear", **LENIENT_LIMITS)
    said = [one.communicate()[0].strip() for one in people]
    assert [one.returncode for one in people] == [0] * 3
    found = alias_history.list_changes(NAME, "champion")
    assert [one.before for one in found] == ["", *(one.after for one in found[:-1])]
    assert versions.get_champion(NAME).version == found[-1].after
    assert said.count("moved") == [one.action for one in found].count("rolled back")
    won = made.version in {one.after for one in found}
    assert (versions.get_version(NAME, made.version).tags["verdict"] == "promoted") == won


def test_a_candidate_judged_against_a_champion_that_has_gone_becomes_challenger(two_version_home):
    judged = versions.get_version(NAME, "1")  # though 2 is champion by now
    made = register_candidate(
        splitting.read_split(), "linear", judged_champion=judged, **LENIENT_LIMITS
    )
    assert made.tags["verdict"] == "refused"
    assert "was version 1, and is version 2 now" in made.tags["reason"]
    assert versions.get_version(NAME, made.version).tags == made.tags
    assert versions.get_champion(NAME).version == "2"
