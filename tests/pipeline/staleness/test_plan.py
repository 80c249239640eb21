"""The plan of a run: made once from notebooks, states and files, without any kernel."""

import subprocess
import sys
from dataclasses import replace

import pytest

from pipeline.definition.steps import Step, resolve_dependencies
from pipeline.definition.tasks import ParameterOverride, build_tasks
from pipeline.runs.records import FORCED_REASON
from pipeline.runs.status import StepStatus
from pipeline.staleness import plan
from pipeline.staleness.fingerprint import Fingerprint
from pipeline.staleness.reasons import FORCED, ReasonKind
from pipeline.staleness.state_store import StateStore
from pipeline.staleness.step_state import StepState
from pipeline.workspace import Workspace


@pytest.fixture
def tasks(make_step):
    steps = [make_step(name, "1", parameters="n: int = 1") for name in ("one", "two", "three")]
    return build_tasks(resolve_dependencies(steps), [], [])


@pytest.fixture
def store(home):
    return StateStore(Workspace(home))


def save_done(store, task, **entries):
    """Save that a task has succeeded with the present code, upstream and no files."""
    [planned] = plan.plan_tasks([task], store)
    executed = store.workspace.executed_notebook("20261129-000000-0001", task.file_stem)
    executed.parent.mkdir(parents=True, exist_ok=True)
    executed.touch()
    fingerprint = replace(planned.fingerprint, **entries)
    state = StepState(task.label, executed.parent.name, StepStatus.DONE, fingerprint)
    store.save(state)


def sentences(planned):
    return [str(reason) for reason in planned.reasons]


def test_steps_without_results_must_run(tasks, store):
    _, two, three = tasks
    store.mark_unfinished(two, "20261129-000000-0001", StepStatus.KILLED)
    save_done(store, three)
    store.workspace.executed_notebook("20261129-000000-0001", "three").unlink()
    planned = plan.plan_tasks(tasks, store)
    assert [task.reasons[0].kind for task in planned] == [ReasonKind.UNFINISHED] * 3
    assert sentences(planned[0]) == ["it has never run here"]
    assert sentences(planned[1]) == ["it did not finish in run 20261129-000000-0001 (killed)"]
    assert sentences(planned[2]) == ["its executed notebook of run 20261129-000000-0001 is gone"]


def test_a_step_stays_up_to_date_when_another_of_the_same_file_name_goes(make_notebook, store):
    """Its files were named by the step, and would now be named by the notebook."""
    notebooks = []
    for name in ("one", "two"):
        folder = store.workspace.home / name
        folder.mkdir()
        notebooks.append(make_notebook("same", "1").rename(folder / "same.ipynb"))
    steps = resolve_dependencies([Step("one", notebooks[0]), Step("two", notebooks[1], ())])
    _, two = build_tasks(steps, [], [])
    save_done(store, two)
    store.save(replace(store.load("two"), file_stem=two.file_stem))
    [alone] = build_tasks(steps[1:], [], [])
    assert (two.file_stem, alone.file_stem) == ("two", "same")
    assert plan.plan_task(alone, store).reasons == ()


def test_a_step_whose_dependencies_are_as_they_were_is_up_to_date(tasks, store):
    for task in tasks:
        save_done(store, task)
    planned = plan.plan_tasks(tasks, store)
    assert [task.reasons for task in planned] == [()] * 3
    assert {task.last_run for task in planned} == {"20261129-000000-0001"}
    lines = plan.explain(planned)
    assert lines[0] == "one        skip  nothing has changed since run 20261129-000000-0001"


def test_a_forced_step_runs_and_what_needs_it_may(tasks, store):
    for task in tasks:
        save_done(store, task)
    planned = plan.plan_tasks(tasks, store, forced_steps=["two"])
    assert [task.reasons for task in planned] == [(), (FORCED,), ()]
    assert str(FORCED) == FORCED_REASON
    verdicts = [line.split(maxsplit=1)[1] for line in plan.explain(planned)]
    assert verdicts[1:] == ["run   it was forced", "run   if two writes something new"]


def test_new_results_of_a_needed_step_are_noticed_when_the_task_is_planned_again(tasks, store):
    for task in tasks:
        save_done(store, task)
    store.save(replace(store.load("one"), output_digest="new"))
    assert sentences(plan.plan_task(tasks[1], store)) == ["upstream one: wrote new results"]


def test_an_external_state_is_not_read_for_a_step_that_runs_anyway(tasks, store):
    def fail():
        raise AssertionError("the registry was asked")

    task = tasks[0]._replace(step=tasks[0].step._replace(external_state=fail))
    assert sentences(plan.plan_task(task, store)) == ["it has never run here"]


def test_a_source_is_asked_with_the_parameters_of_the_step(make_step, store):
    labels = {"count": 3}

    def count_labels(parameters):
        return {"labels": str(labels["count"])} if parameters["n"] > 1 else {}

    step = make_step("one", "1", parameters="n: int = 1")._replace(source_state=count_labels)
    steps = resolve_dependencies([step])
    [task] = build_tasks(steps, [], [])
    [labelled_task] = build_tasks(steps, [ParameterOverride("n", "2", "-p")], [])
    save_done(store, task)
    labels["count"] = 4
    assert plan.plan_task(task, store).reasons == ()
    save_done(store, labelled_task)
    assert plan.plan_task(labelled_task, store).reasons == ()
    labels["count"] = 5
    assert sentences(plan.plan_task(labelled_task, store)) == ["external state labels: 4 -> 5"]


def test_only_a_step_with_results_can_be_accepted(tasks, store, tmp_path):
    with pytest.raises(ValueError, match="step one cannot be accepted: it has never run here"):
        plan.accept(tasks[0], store)
    save_done(store, tasks[0], packages={"pytest": "1.0"})
    assert plan.accept(tasks[0], store).startswith("package pytest: 1.0 -> ")
    assert plan.accept(tasks[0], store) == "nothing had changed"
    assert plan.plan_task(tasks[0], StateStore(store.workspace)).reasons == ()


def test_files_of_needed_steps_are_news_in_a_folder_and_others_are_not(tasks, store, tmp_path):
    for task, name in zip(tasks, "abc", strict=True):
        save_done(store, task, outputs={f"{tmp_path}/{name}": None})
    assert store.expected_paths(tasks[1]) == {f"{tmp_path}/b", f"{tmp_path}/c"}
    assert store.expected_paths(tasks[2]) == {f"{tmp_path}/c"}


def test_a_module_edited_since_is_noticed_without_clearing_anything(make_step, store, tmp_path):
    module = tmp_path / "ours.py"
    module.write_text("VALUE = 1")
    [task] = build_tasks(resolve_dependencies([make_step("one", "import ours")]), [], [])
    save_done(store, task)
    module.write_text("VALUE = 22")
    [reason] = plan.plan_task(task, store).reasons
    assert (reason.kind, reason.name) == (ReasonKind.MODULE, str(module))
    assert replace(store.load("one").fingerprint, modules={}) != Fingerprint()


@pytest.mark.parametrize(
    ("default", "new_default", "change"),
    [
        ("Path('a')", "'a'", "PosixPath a -> str a"),
        ("date(2026, 3, 1)", "'2026-03-01'", "date 2026-03-01 -> str 2026-03-01"),
        ("(1, 2)", "'(1, 2)'", "tuple[int] (1, 2) -> str (1, 2)"),
        ("f(1)", "'f(1)'", "Expression f(1) -> str f(1)"),
        ("[Path('a'), 'b']", "['a', 'b']", "[Path('a'), 'b'] -> ['a', 'b']"),
        ("{1: Path('a')}", "{1: 'a'}", "{1: Path('a')} -> {1: 'a'}"),
        ("(1,)", "[1]", "(1,) -> [1]"),
        ("1", "1.0", "1 -> 1.0"),
        ("1", "True", "1 -> True"),
        ("True", "'True'", "True -> 'True'"),
        ("None", "'None'", "None -> 'None'"),
        ("b'a'", "\"b'a'\"", "bytes b'a' -> str b'a'"),
    ],
)
def test_a_default_of_another_type_is_noticed(make_step, store, default, new_default, change):
    def build_task(source):
        [task] = build_tasks(resolve_dependencies([make_step("one", parameters=source)]), [], [])
        return task

    save_done(store, build_task(f"p = {default}"))
    [sentence] = sentences(plan.plan_task(build_task(f"p = {new_default}"), store))
    assert sentence.startswith("parameter p: ")
    assert change in sentence


COUNT_READS = """
import os, sys
from pathlib import Path
from pipeline import Step, main

opened = []
def count_notebooks(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".ipynb") and "/var/" not in arguments[0]:
        opened.append(Path(arguments[0]).name)
sys.addaudithook(count_notebooks)
home = Path(sys.argv[1])
steps = [Step(name, home / f"{name}.ipynb") for name in ("one", "two", "three")]
main(steps, home, sys.argv[2:])
print("opened", *sorted(opened))
"""


@pytest.mark.slow
def test_a_command_reads_each_notebook_once(make_notebook, tmp_path):
    """Whether it explains, runs, or has nothing to do: counted by Python's audit hook."""
    for name in ("one", "two", "three"):
        make_notebook(name, "print(n)", parameters="n: int = 1")
    for arguments in (["explain"], [], [], ["explain", "-p", "n=2"]):
        completed = subprocess.run(
            [sys.executable, "-c", COUNT_READS, str(tmp_path), *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        assert completed.stdout.splitlines()[-1] == "opened one.ipynb three.ipynb two.ipynb"
