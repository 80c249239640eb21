"""The state of a step on disk: of this version, of an earlier one, and after a move."""

import json

import pytest

from pipeline.runs.status import StepStatus
from pipeline.staleness.file_signature import FileSignature
from pipeline.staleness.fingerprint import Fingerprint
from pipeline.staleness.folder_listing import FolderSignature
from pipeline.staleness.state_store import StateStore
from pipeline.staleness.step_state import REQUIRED_ENTRIES, StepState
from pipeline.workspace import Workspace

SIGNATURE = FileSignature(sha256="ab", size=2, mtime_ns=3)


FORMER_STATE = {
    "label": "train",
    "run": "20261128-100000-0001",
    "status": "done",
    "code": {"cell 2": "c2"},
    "parameters": {"seed": 1},
    "modules": {"{HOME}/helper.py": "m1"},
    "installed": ["numpy"],
    "cell_seconds": [0.1],
    "packages": {"python": "3.11.7"},
    "dynamic": {"{HOME}/plugin.py": "m2"},
    "inputs": {"{HOME}/raw.csv": {"sha256": "ab", "size": 2, "mtime_ns": 3}},
    "outputs": {"{HOME}/train.csv": {"sha256": "ab", "size": 2, "mtime_ns": 3}},
    "left": ["{HOME}/old.csv"],
    "folders": {"{HOME}": {"mtime_ns": 5, "names": "a.csv\nb.csv"}},
    "over": {},
    "in_place": [],
    "undone": {},
    "upstream": {"prep": "d1"},
    "watched": {"champion": "3"},
    "wrote": "d2",
}


def write_state(home, content, folder):
    """Write a state of an earlier version; {HOME} in its paths stands for the folder."""
    states_folder = Workspace(home).states_folder
    states_folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content).replace("{HOME}", str(folder))
    (states_folder / f"{content['label']}.json").write_text(text)


def full_state(folder):
    """Return a state that has a value in each entry, with paths below a folder."""
    return StepState(
        label="train[seed=1]",
        run="20261128-100000-0001",
        status=StepStatus.DONE,
        fingerprint=Fingerprint(
            code={"cell 2": "c2"},
            parameters={"seed": 1, "names": ["a"]},
            modules={f"{folder}/helper.py": "m1"},
            runtime_modules={f"{folder}/plugin.py": "m2"},
            packages={"python": "3.11.7"},
            inputs={f"{folder}/raw.csv": SIGNATURE, f"{folder}/late.csv": None},
            outputs={f"{folder}/train.csv": SIGNATURE},
            folders={str(folder): FolderSignature(5, frozenset({"raw.csv", "train.csv"}))},
            upstream={"prep": "d1"},
            external_state={"champion": "3"},
        ),
        earlier_outputs=[f"{folder}/old.csv"],
        output_digest="d2",
    )


def test_a_state_is_read_as_it_was_written(tmp_path):
    store = StateStore(Workspace(tmp_path))
    state = full_state(tmp_path / "data")
    store.save(state)
    assert store.states == {"train[seed=1]": state}
    assert StateStore(Workspace(tmp_path)).states == {"train[seed=1]": state}


def test_a_state_moves_with_its_project(tmp_path):
    old_home, new_home = tmp_path / "old", tmp_path / "new"
    StateStore(Workspace(old_home)).save(full_state(old_home / "data"))
    assert str(tmp_path) not in next((old_home / "var/steps").iterdir()).read_text()
    old_home.rename(new_home)
    moved_state = StateStore(Workspace(new_home)).load("train[seed=1]")
    assert moved_state == full_state(new_home / "data")


def test_a_state_of_an_earlier_version_is_read(tmp_path):
    """Its entries had other names, its paths were absolute, others had no use."""
    write_state(tmp_path, FORMER_STATE, tmp_path)
    state = StateStore(Workspace(tmp_path)).load("train")
    assert state.fingerprint == Fingerprint(
        code={"cell 2": "c2"},
        parameters={"seed": 1},
        modules={f"{tmp_path}/helper.py": "m1"},
        runtime_modules={f"{tmp_path}/plugin.py": "m2"},
        packages={"python": "3.11.7"},
        inputs={f"{tmp_path}/raw.csv": SIGNATURE},
        outputs={f"{tmp_path}/train.csv": SIGNATURE},
        folders={str(tmp_path): FolderSignature(5, frozenset({"a.csv", "b.csv"}))},
        upstream={"prep": "d1"},
        external_state={"champion": "3"},
    )
    assert (state.earlier_outputs, state.output_digest) == ([f"{tmp_path}/old.csv"], "d2")


@pytest.mark.parametrize(
    "entries",
    [
        {"over": {"/f": "prep"}, "in_place": ["/f"]},
        {"overwritten": {"/f": "prep"}, "changed_in_place": ["/f"]},
        {"over": {"/f": "prep"}, "undone": {"/f": "prep"}},
    ],
)
def test_steps_that_changed_a_file_in_turn_in_an_earlier_version_run_anew(tmp_path, entries):
    """The second would change its own result, as nothing says that the first must run before."""
    for label in ("prep", "train", "apart"):
        changes = entries if label == "train" else {}
        write_state(tmp_path, {**FORMER_STATE, "label": label, **changes}, tmp_path)
    assert list(StateStore(Workspace(tmp_path)).states) == ["apart"]


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
    folder = Workspace(tmp_path).states_folder
    folder.mkdir(parents=True)
    (folder / "train.json").write_text(text)
    assert StateStore(Workspace(tmp_path)).states == {}


@pytest.mark.parametrize("name", REQUIRED_ENTRIES)
def test_a_finished_step_whose_dependencies_are_not_known_is_not_skipped(tmp_path, name):
    """A later version may have another name for what decides whether the step is up to date."""
    store = StateStore(Workspace(tmp_path))
    store.save(full_state(tmp_path))
    [path] = store.workspace.states_folder.iterdir()
    content = json.loads(path.read_text())
    del content[name]
    path.write_text(json.dumps(content))
    assert StateStore(Workspace(tmp_path)).states == {}


@pytest.mark.parametrize("status", ["running", "a status of a later version"])
def test_entries_of_a_later_version_are_left_alone(tmp_path, status):
    content = {"label": "train", "run": "1", "status": status, "weather": "fine"}
    write_state(tmp_path, content, tmp_path)
    store = StateStore(Workspace(tmp_path))
    assert store.load("train") == StepState("train", "1", StepStatus(status))
    assert store.load("train").status is not StepStatus.DONE
