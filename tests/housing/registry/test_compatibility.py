"""The MLflow store that commit a728a4f wrote: it opens, is shown, traced and changed as then."""

import json
import re

import pandas as pd
import pytest

from housing.registry import alias_history, versions
from housing.schema import FEATURE_NAMES
from housing.tracking import experiments, store
from tests.artifacts.before_packages.former_home import copy_home
from tests.support.commands import run_command

NAME = "california-housing-sample"
TIME_PATTERN = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
# what `trace` says in other words since
PRESENT_LABELS = {"asked": "request", "answers": "predictions"}
PRESENT_WORDS = {"its recipe is in the code": "its generator is in the code"}
TRACED = ("prediction", "refused", "archived", "champion", "report")


@pytest.fixture
def former_home(home, monkeypatch):
    """A copy of the home, whose user is ann."""
    monkeypatch.setenv("HOUSING_WHO", "ann")
    return copy_home("service_home", home)


def trace_entries(output):
    """Return (label, text) of each line; not of the commit, which a shallow checkout lacks."""
    for words, present_words in PRESENT_WORDS.items():
        output = output.replace(words, present_words)
    entries = [re.fullmatch(r"(.+?) {2,}(.+)", line).groups() for line in output.splitlines()]
    return [
        (PRESENT_LABELS.get(label, label), text) for label, text in entries if label != "commit"
    ]


def without_times(output):
    return re.sub(TIME_PATTERN, "TIME", output)


def test_the_store_opens_with_its_experiment_versions_and_aliases(former_home):
    client = store.client()
    runs = client.search_runs([store.experiment_id()], "tags.family != ''")
    assert [run.info.status for run in runs] == ["FINISHED"] * 3
    registered = versions.list_versions(NAME)
    assert [version.version for version in registered] == ["1", "2", "3"]
    assert [version.tags["verdict"] for version in registered] == ["promoted", "refused", "refused"]
    for alias, version in (("champion", registered[1]), ("challenger", registered[2])):
        assert str(client.get_model_version_by_alias(NAME, alias).version) == version.version
    for version in registered:
        run_ids = experiments.find_run_ids(version.tags["training"])
        assert run_ids == [version.run_id]


def test_the_history_of_the_champion_is_printed_as_before(former_home, capsys):
    assert run_command("champions", ["--all"]) == 0
    assert capsys.readouterr().out == former_home.expected_text("champions")


@pytest.mark.parametrize("name", TRACED)
def test_the_trace_is_printed_as_before(former_home, capsys, name):
    identifier = json.loads((former_home.expected / "traced.json").read_text())[name]
    assert run_command("trace", [identifier]) == 1
    entries = trace_entries(capsys.readouterr().out)
    assert entries == trace_entries(former_home.expected_text(f"trace_{name}"))


def test_rollback_and_promotion_go_on_with_the_history(former_home, capsys):
    changes_before = alias_history.read(NAME).changes
    assert run_command("rollback", ["--reason", "too dear in Fresno"]) == 0
    rollback_text = capsys.readouterr().out
    assert without_times(rollback_text) == without_times(former_home.expected_text("rollback"))
    assert versions.get_champion(NAME).version == "1"
    arguments = ["2", "--reason", "it was the map", "--against-the-gate"]
    assert run_command("promote", arguments) == 0
    promotion_text = capsys.readouterr().out
    assert without_times(promotion_text) == without_times(former_home.expected_text("promote"))
    changes = alias_history.read(NAME).changes
    assert changes[: len(changes_before)] == changes_before
    assert len(changes) == len(changes_before) + 2


def test_only_a_version_that_the_gate_refused_needs_the_override(former_home, capsys):
    assert run_command("promote", ["3", "--reason", "try it"]) == 1
    assert "version 3 of california-housing-sample was refused by the gate" in (
        capsys.readouterr().err
    )
    assert versions.get_champion(NAME).version == "2"
    assert run_command("promote", ["3", "--reason", "try it", "--against-the-gate"]) == 0
    assert versions.get_champion(NAME).version == "3"
    assert run_command("promote", ["1", "--reason", "the gate had promoted it"]) == 0
    assert versions.get_champion(NAME).version == "1"


def test_a_changed_file_of_a_version_is_still_noticed(former_home, capsys):
    served_path = versions.get_version(NAME, "1").tags["served"]
    [file] = former_home.home.glob(f"var/artifacts/models/*/artifacts/{served_path}/model.onnx")
    file.write_bytes(file.read_bytes() + b" ")
    assert run_command("rollback", ["--reason", "too dear in Fresno"]) == 1
    assert "the file was changed" in capsys.readouterr().err
    assert versions.get_champion(NAME).version == "2"


@pytest.mark.parametrize("number", ["1", "2", "3"])
def test_the_models_predict_as_recorded_at_their_registration(former_home, number):
    version = versions.get_version(NAME, number)
    folder = former_home.home / "var" / "artifacts" / "models"
    [file] = folder.glob(f"*/artifacts/{version.tags['served']}/examples.json")
    examples = json.loads(file.read_text())
    rows = pd.DataFrame(examples["rows"], columns=FEATURE_NAMES)
    predictions = versions.load_model(version).predict(rows)
    assert predictions == pytest.approx(examples["predictions"], rel=1e-9)
