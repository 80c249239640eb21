"""What people do in MLflow's own pages, and how history, gate, promotion and trace go on."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from housing.data import splitting
from housing.registry import alias_history, gate, lineage, promotion, registration, versions
from housing.registry.promotion import PromotionError
from housing.tracking import experiments, probe, store
from tests.conftest import LENIENT_LIMITS, register_candidate
from tests.support.commands import run_command

NAME = "california-housing-sample"
REAL_NAME = "california-housing"
HISTORY = f"{NAME}-history"
REASON = "it was better before"


@pytest.fixture
def client(two_version_home):
    """A client of a registry whose version 2 is champion, as version 1 was before."""
    return store.client()


def set_handmade_champion(client, **tags):
    """Make a version champion that was made by hand, without run, files and tags of ours."""
    version = client.create_model_version(NAME, "/nowhere/model", tags=tags)
    client.set_registered_model_alias(NAME, "champion", version.version)
    return str(version.version)


def delete_tags(client, number):
    for key in client.get_model_version(NAME, number).tags:
        client.delete_model_version_tag(NAME, number, key)


def add_handmade_entries(client):
    """Add versions to the history that record no change, or a change to a version that is none."""
    client.create_model_version(HISTORY, "file:///nowhere")
    for new_version in ("99", "latest"):
        tags = {"alias": "champion", "before": "2", "after": new_version, "action": "promoted"}
        client.create_model_version(HISTORY, "file:///nowhere", tags=tags)


# a change in MLflow -> the champion that it leaves
CHANGES = {
    "the champion was deleted": (lambda client: client.delete_model_version(NAME, "2"), ""),
    "the first version was deleted": (lambda client: client.delete_model_version(NAME, "1"), "2"),
    "the model was renamed": (lambda client: client.rename_registered_model(NAME, "mine"), ""),
    "the model was deleted": (lambda client: client.delete_registered_model(NAME), ""),
    "the alias was deleted": (
        lambda client: client.delete_registered_model_alias(NAME, "champion"),
        "",
    ),
    "the alias was set to a version made by hand": (set_handmade_champion, "3"),
    "the tags were deleted": (lambda client: delete_tags(client, "2"), "2"),
    "the run was deleted": (
        lambda client: client.delete_run(client.get_model_version(NAME, "2").run_id),
        "2",
    ),
    "the experiment was deleted": (
        lambda client: client.delete_experiment(store.experiment_id()),
        "2",
    ),
    "the history was renamed": (lambda client: client.rename_registered_model(HISTORY, "h"), "2"),
    "the history was deleted": (lambda client: client.delete_registered_model(HISTORY), "2"),
    "an entry was deleted": (lambda client: client.delete_model_version(HISTORY, "1"), "2"),
    "the last entry was deleted": (lambda client: client.delete_model_version(HISTORY, "2"), "2"),
    "entries were made by hand": (add_handmade_entries, "2"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_command_goes_on(client, capsys, change):
    change_registry, champion = CHANGES[change]
    run_id = client.get_model_version(NAME, "2").run_id
    change_registry(client)
    headline = f"version {champion} is champion" if champion else "there is no champion"
    for _ in range(2):  # what the first one records is no surprise to the second
        assert run_command("champions", ["--all", "--model", NAME]) == 0
        assert capsys.readouterr().out.startswith(f"{NAME}: {headline}\n")
    for identifier in (f"{NAME}/champion", f"{NAME}/1", f"{NAME}/2", run_id):
        assert run_command("trace", [identifier]) in (1, 2)
    champions = probe.champion_versions()
    assert champions.get(NAME, "") == champion
    assert probe.registry_state()
    assert isinstance(probe.pinned_runs(), dict)
    assert run_command("rollback", ["--model", NAME, "--reason", REASON]) in (0, 1, 2)
    assert run_command("promote", ["2", "--model", NAME, "--reason", REASON]) in (0, 1, 2)
    alias = versions.get_champion(NAME)
    assert alias_history.read(NAME).version("champion") == (alias.version if alias else "")


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ("the champion was deleted", "version 2 was champion of .*, and was deleted in MLflow: `"),
        ("the model was renamed", "is mine version 2 now: its model was renamed in MLflow"),
        ("the alias was deleted", "`run_pipeline.py promote 2 .* makes it champion again"),
        ("the alias was set to a version made by hand", "version 3, .* has no tag data_source"),
        ("the tags were deleted", "version 2, the champion, cannot be compared with"),
    ],
)
def test_a_missing_champion_is_none_to_the_gate_which_says_so(client, change, note):
    split = splitting.read_split()
    CHANGES[change][0](client)
    baseline = gate.load_baseline(NAME, versions.get_champion(NAME), split)
    assert baseline.model is None
    assert re.search(note, baseline.note)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        "the champion was deleted",
        "the model was renamed",
        "the alias was set to a version made by hand",
        "the history was deleted",
        "entries were made by hand",
    ],
)
def test_the_next_candidate_is_registered_and_its_alias_recorded(client, change):
    split = splitting.read_split()
    CHANGES[change][0](client)
    champion = versions.get_champion(NAME)
    version = register_candidate(split, "tree", **LENIENT_LIMITS)
    was_promoted = version.tags["verdict"] == "promoted"
    assert was_promoted == (champion is None or champion.version == "3")
    history = alias_history.read(NAME)
    alias = "champion" if was_promoted else "challenger"
    assert history.version(alias) == version.version
    assert registration.IN_PROGRESS_TAG not in client.get_model_version(NAME, version.version).tags


def test_a_challenger_that_was_deleted_blocks_no_refused_candidate(client):
    split = splitting.read_split()
    challenger = register_candidate(split, "tree")
    client.delete_model_version(NAME, challenger.version)
    version = register_candidate(split, "tree")
    assert alias_history.read(NAME).version("challenger") == version.version


def test_a_rolled_back_version_that_was_deleted_still_counts_by_its_graph(client):
    graph = versions.get_version(NAME, "2").tags["sha256"]
    [content] = [
        file.read_bytes() for file in model_folder(client, "2").glob("served/*/model.onnx")
    ]
    promotion.rollback(NAME, None, REASON)
    [change] = [
        change for change in alias_history.read(NAME).changes if change.action == "rolled back"
    ]
    assert change.old_graph
    assert change.old_graph in graph
    client.delete_model_version(NAME, "2")
    assert promotion.previous_rollbacks(NAME, content).same_model == [f"version 2: {REASON}"]
    assert promotion.previous_rollbacks(NAME, b"other").same_model == []


def test_a_deleted_version_whose_graph_was_never_recorded_is_told(client):
    """As in a history that an earlier release wrote."""
    promotion.rollback(NAME, None, REASON)
    client.delete_model_version(NAME, "2")
    client.delete_model_version_tag(HISTORY, "3", "before_graph")
    rollbacks = promotion.previous_rollbacks(NAME, b"any")
    assert (rollbacks.same_model, rollbacks.unknown) == ([], [f"version 2: {REASON}"])
    assert "cannot be told" in rollbacks.describe()


def model_folder(client, number):
    uri = client.get_model_version_download_uri(NAME, number)
    return Path(uri.removeprefix("file://").replace("%20", " "))


@pytest.fixture
def own_files(client, home):
    """A function that gives a version files of its own in this home, and returns their folder."""

    def copy_files(number):
        folder = home / "files" / number
        shutil.copytree(model_folder(client, number), folder)
        version = client.get_model_version(NAME, number)
        copy = client.create_model_version(NAME, folder.as_uri(), version.run_id, version.tags)
        return str(copy.version), folder

    return copy_files


def test_a_default_rollback_skips_what_cannot_serve(client, own_files, capsys):
    handmade = set_handmade_champion(client)
    alias_history.reconcile(NAME, "champion")
    number, folder = own_files("2")
    promotion.promote(NAME, number, "to be damaged")
    shutil.rmtree(folder / "served")
    promotion.promote(NAME, "1", "it is small")
    assert run_command("rollback", ["--reason", REASON]) == 0
    output = capsys.readouterr().out
    assert f"version {number} is skipped: " in output
    assert f"version {handmade} is skipped: " in output
    assert "version 1 -> version 2, rolled back by ann" in output
    assert versions.get_champion(NAME).version == "2"


def test_a_default_rollback_does_not_return_to_what_only_mlflow_promoted(client, own_files):
    number, _ = own_files("1")
    client.set_model_version_tag(NAME, number, "verdict", "refused")
    client.set_registered_model_alias(NAME, "champion", number)
    promotion.promote(NAME, "1", "the map was wrong")
    skipped = []
    promotion.rollback(NAME, None, REASON, on_skip=skipped.append)
    assert versions.get_champion(NAME).version == "2"
    [text] = skipped
    assert "the gate never passed it" in text
    promotion.rollback(NAME, number, REASON)
    assert versions.get_champion(NAME).version == number


def test_another_version_under_the_number_of_a_past_champion_is_no_past_champion(client):
    """Numbers begin anew once a registered model was deleted."""
    split = splitting.read_split()
    client.delete_registered_model(NAME)
    register_candidate(split, "linear")
    with pytest.raises(PromotionError, match=r"version 2 is skipped: .* was deleted in MLflow"):
        promotion.rollback(NAME, None, REASON)
    client.create_model_version(NAME, "/nowhere/model", tags={"verdict": "refused"})
    with pytest.raises(LookupError, match=r"version 2 .* was deleted in MLflow since"):
        promotion.rollback(NAME, "2", REASON)


@pytest.mark.parametrize("file_name", ["domain.json", "examples.json", "model.onnx"])
def test_what_the_service_could_not_load_is_not_promoted(client, own_files, file_name):
    number, folder = own_files("1")
    client.set_model_version_tag(NAME, number, "sha256", "{}")  # then only loading shows it
    [file] = folder.glob(f"served/*/{file_name}")
    file.write_text("{}")
    with pytest.raises(PromotionError, match="may not become champion"):
        promotion.promote(NAME, number, REASON)
    assert versions.get_champion(NAME).version == "2"


def test_versions_without_descriptive_tags_are_served_with_what_is_left(client, home):
    for tag in ("family", "reason", "report", "cv_rmse", "raw_sha256"):
        client.delete_model_version_tag(NAME, "2", tag)
    client.set_model_version_tag(NAME, "2", "test_rmse", "low")
    details = versions.export_for_serving(versions.get_champion(NAME), home / "served")
    assert (details["family"], details["metrics"]) == ("", {})
    client.set_model_version_tag(NAME, "2", "sha256", "no JSON")
    with pytest.raises(ValueError, match=r"the tag sha256 of .* is no JSON object"):
        versions.export_for_serving(versions.get_champion(NAME), home / "served")


@pytest.mark.parametrize("error", [RuntimeError("no disk"), KeyboardInterrupt()])
def test_a_registration_that_fails_leaves_no_version(client, error):
    def fail(version):
        raise error

    history = alias_history.read(NAME)
    with pytest.raises(type(error)):
        register_candidate(splitting.read_split(), "tree", write_card=fail)
    assert [version.version for version in versions.list_versions(NAME)] == ["1", "2"]
    assert alias_history.read(NAME) == history


def dead_process_tag():
    process = subprocess.Popen(["true"])
    process.wait()
    return f"{os.uname().nodename} {process.pid}"


def test_a_killed_registration_is_cleaned_up_by_the_next(client):
    tags = {"verdict": "promoted", registration.IN_PROGRESS_TAG: dead_process_tag()}
    killed = client.create_model_version(NAME, "/nowhere/model", tags=tags)
    tags[registration.IN_PROGRESS_TAG] = "another-host 1"
    running = client.create_model_version(NAME, "/nowhere/model", tags=tags)
    version = register_candidate(splitting.read_split(), "tree")
    numbers = [version.version for version in versions.list_versions(NAME)]
    assert numbers == ["1", "2", str(running.version), version.version]
    assert str(killed.version) not in numbers


def test_a_registration_that_was_killed_at_its_very_end_is_finished_by_the_next(client):
    split = splitting.read_split()
    version = register_candidate(split, "tree")
    tag = registration.IN_PROGRESS_TAG
    client.set_model_version_tag(NAME, version.version, tag, dead_process_tag())
    assert register_candidate(split, "tree") == version
    assert len(versions.list_versions(NAME)) == 3
    assert tag not in client.get_model_version(NAME, version.version).tags


def test_the_history_of_a_deleted_version_is_traced(client):
    client.delete_model_version(NAME, "1")
    entries = lineage.trace(f"{NAME}/1", "")
    assert entries[0].missing
    assert "deleted in MLflow" in entries[0].text
    labels = {entry.label: entry.text for entry in entries}
    assert "promoted by" in labels["champion"]
    assert "tree, test RMSE" in labels["MLflow run"]


def test_a_run_is_traced_to_its_version_in_a_renamed_model(client):
    run_id = client.get_model_version(NAME, "2").run_id
    client.rename_registered_model(NAME, "mine")
    texts = [entry.text for entry in lineage.trace(run_id, "")]
    assert any(text.startswith("mine version 2, promoted") for text in texts)


def test_a_deleted_run_is_missing_with_the_command_that_restores_it(client):
    run_id = client.get_model_version(NAME, "2").run_id
    client.delete_run(run_id)
    [entry] = [entry for entry in lineage.trace(f"{NAME}/2", "") if entry.label == "MLflow run"]
    assert entry.missing
    assert f"`mlflow runs restore --run-id {run_id}`" in entry.text


def test_a_deleted_experiment_is_another_store_and_names_the_way_out(client):
    identity = probe.store_identity()
    client.delete_experiment(store.experiment_id())
    assert probe.store_identity() != identity
    with pytest.raises(LookupError, match=r"mlflow experiments restore --experiment-id"):
        store.active_experiment_id()
    with pytest.raises(LookupError, match=r"run_pipeline\.py --force train"):
        experiments.find_candidates(splitting.read_split().manifest)


@pytest.mark.parametrize("command", ["rollback", "promote 1"])
def test_a_change_names_the_model_if_the_real_one_has_no_champion(client, capsys, command):
    client.create_registered_model(REAL_NAME)
    assert run_command("champions", []) == 0
    assert f"--model {NAME} shows that of the sample" in capsys.readouterr().err
    name, *arguments = command.split()
    assert run_command(name, [*arguments, "--reason", REASON]) == 2
    message = capsys.readouterr().err
    assert f"`run_pipeline.py {command} --reason WHY --model {REAL_NAME}`" in message
    assert f"`run_pipeline.py {command} --reason WHY --model {NAME}`" in message
    assert versions.get_champion(NAME).version == "2"
    assert run_command(name, [*arguments, "--reason", REASON, "--model", NAME]) == 0


def test_the_sample_is_meant_where_there_is_no_other_model_even_without_its_champion(
    client, capsys
):
    client.delete_registered_model_alias(NAME, "champion")
    assert run_command("rollback", ["--reason", REASON]) == 0
    assert "none -> version 2, rolled back by ann" in capsys.readouterr().out


def test_a_promotion_that_the_service_does_not_follow_says_so(client, capsys, monkeypatch):
    monkeypatch.setenv("HOUSING_MODEL", "another-model")
    arguments = ["1", "--reason", REASON, "--model", NAME]
    assert run_command("promote", arguments) == 0
    assert f"unless it is started with HOUSING_MODEL={NAME}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["o'brien", "a/b", "", "x" * 500, "'\""])
def test_odd_names_and_numbers_are_not_there(client, capsys, name):
    if name:
        assert run_command("champions", ["--model", name]) == 2
        assert f"no model {name!r} is registered, expected {REAL_NAME}" in capsys.readouterr().err
    assert versions.get_champion(name) is None
    assert versions.list_versions(name) == []
    with pytest.raises(LookupError, match="there is no version 1 of"):
        versions.get_version(name, "1")
    for number in ("-1", "9" * 30, "latest", "²", ""):
        with pytest.raises(LookupError, match="there is no version"):
            versions.get_version(NAME, number)


def test_a_reader_that_has_enough_is_no_failure(client, monkeypatch):
    """Such as `head -1`."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        assert run_command("champions", []) == 0
