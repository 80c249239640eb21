"""No step changes a file of another: by hand-made states, and shown with few real runs."""

import os
from pathlib import Path

import pytest

from pipeline import Step, main
from pipeline.definition.tasks import Task
from pipeline.runs.records import load_all
from pipeline.runs.results import PublishedResults
from pipeline.runs.status import StepStatus
from pipeline.staleness import recording
from pipeline.staleness.access_log import FileAccesses
from pipeline.staleness.file_signature import file_signature
from pipeline.staleness.fingerprint import Fingerprint
from pipeline.staleness.recording import OtherTasks
from pipeline.staleness.state_store import StateStore
from pipeline.staleness.step_state import StepState
from pipeline.workspace import Workspace

EARLIER_STEP = OtherTasks(("one",), frozenset())
PARALLEL_STEP = OtherTasks(("one",), frozenset({"one"}))
WRITE = "open('f', 'w').write({!r})"


def task(label="two"):
    name = label.partition("[")[0]
    return Task(Step(name, Path(f"{name}.ipynb")), label, {}, (), label)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file that step one has written."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "f"
    path.write_text("a")
    return path


@pytest.fixture
def store(file, home):
    store = StateStore(Workspace(home))
    outputs = {str(file): file_signature(file)}
    store.save(StepState("one", "1", StepStatus.DONE, Fingerprint(outputs=outputs)))
    return store


def stat_of(path):
    return file_signature(path).stat


def test_a_changed_file_is_an_error_that_names_both_steps_and_the_way_out(store, file):
    file.write_text("b")
    for accesses in (FileAccesses(written={file: "1 1"}), FileAccesses(appended={file: "1 1"})):
        error = recording.find_changed_file(task(), accesses, EARLIER_STEP, store)
        assert error == (
            "step two has changed f, which step one wrote; write another file, or merge the two "
            "steps"
        )


def test_the_values_of_a_sweep_need_a_file_each(store, file):
    file.write_text("b")
    accesses = FileAccesses(written={file: "1 1"})
    assert recording.find_changed_file(task("one[n=2]"), accesses, EARLIER_STEP, store) == (
        "step one[n=2] has changed f, which step one wrote; give each value a file of its own"
    )


def test_a_file_that_no_other_task_of_the_run_wrote_may_be_changed(store, file):
    file.write_text("b")
    accesses = FileAccesses(written={file: "1 1"})
    assert not recording.find_changed_file(task(), accesses, OtherTasks((), frozenset()), store)
    assert not recording.find_changed_file(
        task(), FileAccesses(read={file: "1 1"}), EARLIER_STEP, store
    )


def test_equal_content_is_no_error_whenever_it_was_written(store, file):
    stat_before = stat_of(file)
    os.utime(file, ns=(1, 1))
    accesses = FileAccesses(written={file: stat_before}, appended={file: stat_before})
    assert not recording.find_changed_file(task(), accesses, EARLIER_STEP, store)
    assert not recording.find_changed_file(task(), accesses, PARALLEL_STEP, store)


def test_a_file_opened_before_a_parallel_step_had_recorded_it_is_an_error(store, file):
    """That step may have recorded what this one wrote."""
    accesses = FileAccesses(written={file: "0 0"})
    error = recording.find_changed_file(task(), accesses, PARALLEL_STEP, store)
    assert "step two has changed f, which step one wrote" in error


def test_a_file_written_with_equal_content_is_an_input(store, file):
    """Its first writer owns it; if it is deleted, both steps run again."""
    accesses = FileAccesses(written={file: stat_of(file), file.with_name("g"): "0 0"})
    file.with_name("g").write_text("mine")
    recording.record_success(
        task(), "1", accesses, PublishedResults(), Fingerprint(), EARLIER_STEP, store
    )
    fingerprint = store.load("two").fingerprint
    assert list(fingerprint.inputs) == [str(file)]
    assert list(fingerprint.outputs) == [str(file.with_name("g"))]


def test_a_file_altered_while_it_was_read_is_an_input_of_unknown_content(store, file):
    accesses = FileAccesses(read={file: "9 9"})
    recording.record_success(
        task(), "1", accesses, PublishedResults(), Fingerprint(), EARLIER_STEP, store
    )
    assert store.load("two").fingerprint.inputs[str(file)].size == -1


@pytest.mark.slow
def test_the_run_fails_at_the_step_that_changes_a_file_and_mends_itself(
    make_step, home, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    change = "x = open('f').read(); open('f', 'w').write(x + 'b')"
    first, second, third = (
        make_step("one", WRITE.format("a")),
        make_step("two", change),
        make_step("three", "1"),
    )
    assert main([first, second, third], home, []) == 1
    assert (
        "The step two failed after 2 of 2 cells: step two has changed f, which step one wrote; "
        "write another file, or merge the two steps." in capsys.readouterr().out
    )
    [run] = load_all(home / "var" / "runs")
    assert [step.status for step in run.steps] == ["done", "failed", "not run"]
    main([first, second, third], home, ["explain"])
    output = capsys.readouterr().out
    assert "one        run   output f is altered" in output
    assert "two        run   it did not finish" in output
    second = make_step("two", change.replace("open('f', 'w')", "open('g', 'w')"))
    assert main([first, second, third], home, []) == 0
    assert ((tmp_path / "f").read_text(), (tmp_path / "g").read_text()) == ("a", "ab")
    capsys.readouterr()
    assert main([first, second, third], home, []) == 0
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.slow
def test_a_step_run_alone_may_not_change_the_file_of_an_earlier_one(make_step, home, capsys):
    first, second = make_step("one", WRITE.format("a")), make_step("two", "1")
    assert main([first, second], home, []) == 0
    second = make_step("two", WRITE.format("b"))
    assert main([first, second], home, ["--only", "two"]) == 1
    assert "which step one wrote" in capsys.readouterr().out


@pytest.mark.slow
def test_code_may_move_to_another_step(make_step, home):
    first, second = make_step("one", WRITE.format("a")), make_step("two", "1")
    assert main([first, second], home, []) == 0
    first, second = make_step("one", "1"), make_step("two", WRITE.format("b"))
    assert main([first, second], home, []) == 0


@pytest.mark.slow
def test_parallel_steps_and_the_variants_of_a_sweep_may_not_write_one_file(
    make_step, home, tmp_path, capsys
):
    wait = "import time; time.sleep(1)"
    pair = [make_step("one", WRITE.format("a"), wait), make_step("two", WRITE.format("b"), wait)]
    assert main([pair[0], pair[1]._replace(needs=())], home, ["--jobs", "2"]) == 1
    assert "give" not in capsys.readouterr().out
    swept = make_step("swept", "open('g', 'w').write(str(n))", parameters="n: int = 1")
    assert main([swept], home, ["--sweep", "n=1,2", "--jobs", "1"]) == 1
    assert (
        "step swept[n=2] has changed g, which step swept[n=1] wrote; give each value a file of "
        "its own" in capsys.readouterr().out.replace(f"{tmp_path}/", "")
    )


@pytest.mark.slow
def test_a_step_that_has_changed_a_file_is_not_retried(make_step, home, capsys):
    killed = "open('f', 'w').close(); import os; os.kill(os.getpid(), 9)"
    steps = [make_step("one", WRITE.format("a")), make_step("two", killed, retries=1, backoff=0.1)]
    assert main(steps, home, []) == 1
    output = capsys.readouterr().out
    assert "killed by SIGKILL" in output
    assert "which step one wrote" in output
    assert load_all(home / "var" / "runs")[0].steps[1].attempts == []


@pytest.mark.slow
def test_two_steps_may_share_a_cache(make_step, home, tmp_path, capsys):
    """Each writes the same content, which follows from a file that both read."""
    (tmp_path / "in").write_text("1")
    cache = "open('f', 'w').write(open('in').read())"
    steps = [make_step("one", cache), make_step("two", cache, needs=())]
    assert main(steps, home, ["--jobs", "1"]) == 0
    (tmp_path / "in").write_text("22")
    assert main(steps, home, ["--jobs", "1"]) == 0
    assert (tmp_path / "f").read_text() == "22"
    (tmp_path / "f").unlink()
    assert main(steps, home, ["--jobs", "1"]) == 0
    capsys.readouterr()
    assert main(steps, home, []) == 0
    assert "nothing to do" in capsys.readouterr().out
