"""The state of a step on disk: of this version, of an earlier one, and after a move."""

import json

import pytest

from pipeline.runs.status import StepStatus
from pipeline.staleness.file_signature import FileSignature
from pipeline.staleness.folder_listing import FolderSignature
from pipeline.staleness.state_store import StateStore
from pipeline.staleness.step_state import REQUIRED_ENTRIES, StepState
from pipeline.workspace import Workspace

SIGNATURE = FileSignature(sha256="ab", size=2, mtime_ns=3)


def full_state(folder):
    """Return a state that has a value in each entry, with paths below a folder."""
    return StepState(
        label="train[seed=1]",
        run="20261128-100000-0001",
        status=StepStatus.DONE,
        code={"cell 2": "c2"},
        parameters={"seed": 1, "names": ["a"]},
        modules={f"{folder}/helper.py": "m1"},
        runtime_modules={f"{folder}/plugin.py": "m2"},
        packages={"python": "3.11.7"},
        inputs={f"{folder}/raw.csv": SIGNATURE, f"{folder}/late.csv": None},
        outputs={f"{folder}/train.csv": SIGNATURE},
        earlier_outputs=[f"{folder}/old.csv"],
        folders={str(folder): FolderSignature(5, frozenset({"raw.csv", "train.csv"}))},
        overwritten={f"{folder}/train.csv": "prep"},
        changed_in_place=[f"{folder}/train.csv"],
        reverted={f"{folder}/other.csv": "prep"},
        upstream={"prep": "d1"},
        external_state={"champion": "3"},
        output_digest="d2",
    )


def test_a_state_is_read_as_it_was_written(tmp_path):
    store = StateStore(Workspace.at(tmp_path))
    state = full_state(tmp_path / "data")
    store.save(state)
    assert store.load("train[seed=1]") == state
    assert store.load_all() == {"train[seed=1]": state}


def test_a_state_moves_with_its_project(tmp_path):
    old_home, new_home = tmp_path / "old", tmp_path / "new"
    StateStore(Workspace.at(old_home)).save(full_state(old_home / "data"))
    assert str(tmp_path) not in next((old_home / "var/steps").iterdir()).read_text()
    old_home.rename(new_home)
    moved_state = StateStore(Workspace.at(new_home)).load("train[seed=1]")
    assert moved_state == full_state(new_home / "data")


def test_a_state_of_an_earlier_version_is_read(tmp_path):
    """Its entries had other names, its paths were absolute, two entries had no use."""
    content = {
        "label": "train",
        "run": "20261128-100000-0001",
        "status": "done",
        "code": {"cell 2": "c2"},
        "parameters": {"seed": 1},
        "modules": {f"{tmp_path}/helper.py": "m1"},
        "installed": ["numpy"],
        "cell_seconds": [0.1],
        "packages": {"python": "3.11.7"},
        "dynamic": {f"{tmp_path}/plugin.py": "m2"},
        "inputs": {f"{tmp_path}/raw.csv": {"sha256": "ab", "size": 2, "mtime_ns": 3}},
        "outputs": {f"{tmp_path}/train.csv": {"sha256": "ab", "size": 2, "mtime_ns": 3}},
        "left": [f"{tmp_path}/old.csv"],
        "folders": {str(tmp_path): {"mtime_ns": 5, "names": "a.csv\nb.csv"}},
        "over": {f"{tmp_path}/train.csv": "prep"},
        "in_place": [f"{tmp_path}/train.csv"],
        "undone": {f"{tmp_path}/other.csv": "prep"},
        "upstream": {"prep": "d1"},
        "watched": {"champion": "3"},
        "wrote": "d2",
    }
    store = StateStore(Workspace.at(tmp_path))
    store.workspace.states_folder.mkdir(parents=True)
    (store.workspace.states_folder / "train.json").write_text(json.dumps(content))
    state = store.load("train")
    assert state.inputs == {f"{tmp_path}/raw.csv": SIGNATURE}
    assert state.folders == {str(tmp_path): FolderSignature(5, frozenset({"a.csv", "b.csv"}))}
    assert state.runtime_modules == {f"{tmp_path}/plugin.py": "m2"}
    assert state.earlier_outputs == [f"{tmp_path}/old.csv"]
    assert state.overwritten == {f"{tmp_path}/train.csv": "prep"}
    assert state.changed_in_place == [f"{tmp_path}/train.csv"]
    assert state.reverted == {f"{tmp_path}/other.csv": "prep"}
    assert (state.external_state, state.output_digest) == ({"champion": "3"}, "d2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"run": "1"}',
        '{"run": "1", "status": "done"}',
        '{"run": "1", "status": "running", "packages": []}',
        '{"run": "1", "status": "running", "inputs": {"a": {}}}',
        '{"run": "1", "status": "done", "inputs": {"a": {"sha": "ab"}}}',
        '{"run": "1", "status": "done", "outputs": []}',
    ],
)
def test_a_state_that_cannot_be_read_counts_as_none(tmp_path, text):
    """The step then runs, which is never wrong."""
    store = StateStore(Workspace.at(tmp_path))
    store.workspace.states_folder.mkdir(parents=True)
    (store.workspace.states_folder / "train.json").write_text(text)
    assert store.load("train") is None
    assert store.load_all() == {}


@pytest.mark.parametrize("name", REQUIRED_ENTRIES)
def test_a_finished_step_whose_dependencies_are_not_known_is_not_skipped(tmp_path, name):
    """A later version may have another name for what decides whether the step is up to date."""
    store = StateStore(Workspace.at(tmp_path))
    store.save(full_state(tmp_path))
    [path] = store.workspace.states_folder.iterdir()
    content = json.loads(path.read_text())
    del content[name]
    path.write_text(json.dumps(content))
    assert store.load("train[seed=1]") is None


@pytest.mark.parametrize("status", ["running", "a status of a later version"])
def test_entries_of_a_later_version_are_left_alone(tmp_path, status):
    content = {"run": "1", "status": status, "weather": "fine"}
    store = StateStore(Workspace.at(tmp_path))
    store.workspace.states_folder.mkdir(parents=True)
    (store.workspace.states_folder / "train.json").write_text(json.dumps(content))
    assert store.load("train") == StepState("train", "1", StepStatus(status))
    assert store.load("train").status is not StepStatus.DONE
