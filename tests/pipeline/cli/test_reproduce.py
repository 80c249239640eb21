"""What a notebook learns about itself: the command that reproduces its run, and its code's hash."""

import json
import shlex

import nbformat
import pytest

from pipeline import main
from pipeline.cli import reproduce
from pipeline.cli.selection import select_tasks
from pipeline.definition.project import Project
from pipeline.definition.steps import resolve_dependencies
from pipeline.runs.records import load_all
from pipeline.staleness import source_code
from pipeline.workspace import Workspace

PUBLISH_VARIABLES = """
import json, os
names = ("COMMAND", "CODE", "NOTEBOOK")
results = {"links": {name: os.environ[f"PIPELINE_{name}"] for name in names}}
with open(os.environ["PIPELINE_RESULTS"], "w") as file:
    json.dump(results, file)
"""


def published_variables(home, label):
    """Return the variables that a step's notebook saw in the newest run."""
    links_by_label = {step.name: step.links for step in load_all(home / "var" / "runs")[0].steps}
    return links_by_label[label]


def shell_arguments(command):
    """Return the arguments that a shell passes to run_pipeline.py."""
    python, script, *arguments = shlex.split(command)
    assert (python, script) == ("python", "run_pipeline.py")
    return arguments


def reproduction_commands(home, steps, *parameters, sweep=(), params=()):
    """Return label -> command of a run with these options, without the run."""
    pipeline = resolve_dependencies(steps)
    tasks = select_tasks(pipeline, list(parameters), list(params), list(sweep)).tasks
    project = Project(Workspace(home), "run_pipeline.py")
    return reproduce.reproduction_commands(project, pipeline, tasks)


@pytest.mark.slow
def test_a_notebook_sees_its_command_and_its_name(home, make_step):
    step = make_step("one", PUBLISH_VARIABLES, parameters="n: int = 1")
    assert main([step], home, ["-p", "n=1"]) == 0
    assert published_variables(home, "one")["COMMAND"] == "python run_pipeline.py"
    assert published_variables(home, "one")["NOTEBOOK"] == "one.ipynb"


def test_the_defaults_need_no_more_than_the_command(home, make_step):
    steps = [make_step("one", "1", parameters="n: int = 1")]
    for parameters in ([], ["n=1"]):
        assert reproduction_commands(home, steps, *parameters) == {"one": "python run_pipeline.py"}


def test_the_command_reproduces_the_run_for_values_of_every_type(
    home, make_step, capsys, monkeypatch
):
    monkeypatch.setenv("TOKEN", "hush-hush")
    cell = (
        "from datetime import date\nfrom pathlib import Path\nfrom typing import Literal\n"
        "words: str = ''\nrate: float = 0.5\nloud: bool = False\nday: date = date(2026, 1, 1)\n"
        "place: Path = Path('.')\nnames: list[str] = []\nfolds: Literal[3, 5] = 3\n"
        "top: int | None = 7\ntoken: str = ''\nsame: int = 1"
    )
    values = [
        'words=it\'s $5, "so" & so',
        "rate=1e-3",
        "loud=yes",
        "day=2026-11-25",
        "place=a b",
        'names=["x,y", "ü"]',
        "folds=5",
        "top=None",
        "token=env:TOKEN",
    ]
    steps = [
        make_step("one", PUBLISH_VARIABLES, parameters=cell),
        make_step("two", "1", parameters="same: int = 1"),
    ]
    command = reproduction_commands(home, steps, *values, "two.same=2")["one"]
    assert "-p one.token=env:TOKEN" in command
    assert "hush" not in command
    assert "one.same" not in command
    assert command.endswith("-p two.same=2")
    options, texts = shell_arguments(command)[::2], shell_arguments(command)[1::2]
    assert set(options) == {"-p"}
    assert reproduction_commands(home, steps, *texts)["one"] == command


@pytest.mark.slow
def test_the_command_of_a_step_run_alone_has_the_values_of_the_earlier_steps(home, make_step):
    steps = [
        make_step("one", "1", parameters="n: int = 1\nd: float = 0.5"),
        make_step("two", PUBLISH_VARIABLES),
    ]
    assert main(steps, home, ["-p", "n=5"]) == 0
    assert main(steps, home, ["--only", "two", "--force"]) == 0
    assert published_variables(home, "two")["COMMAND"] == "python run_pipeline.py -p one.n=5"


def test_a_variant_s_command_has_its_own_value_and_a_later_step_s_has_the_sweep(home, make_step):
    steps = [make_step("one", "1", parameters="n: int = 1\nm: int = 0"), make_step("two", "1")]
    assert reproduction_commands(home, steps, "m=3", sweep=["one.n=1,2"]) == {
        "one[n=1]": "python run_pipeline.py -p one.m=3",
        "one[n=2]": "python run_pipeline.py -p one.n=2 -p one.m=3",
        "two": "python run_pipeline.py --sweep one.n=1,2 -p one.m=3",
    }


@pytest.mark.parametrize("value", ["x" * 200_000, "a\0b"])
def test_the_command_is_empty_if_no_command_line_can_hold_it(home, make_step, tmp_path, value):
    path = tmp_path / "values.yaml"
    path.write_text(json.dumps({"words": value}))
    step = make_step("one", "1", parameters="words: str = ''")
    assert reproduction_commands(home, [step], params=[path]) == {"one": ""}


@pytest.mark.slow
def test_the_code_s_hash_ignores_prose_comments_and_outputs(home, make_step):
    step = make_step("one", "# why\nx = 1", PUBLISH_VARIABLES, parameters="n: int = 1")
    assert main([step], home, []) == 0
    digest = published_variables(home, "one")["CODE"]
    assert digest == source_code.notebook_digest(step.notebook)
    assert len(digest) == 64
    notebook = nbformat.read(step.notebook, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# Another heading"))
    notebook.cells[3].source = "x = (1)  # for another reason"
    notebook.cells[3].outputs = [nbformat.v4.new_output("stream", text="1")]
    nbformat.write(notebook, step.notebook)
    assert source_code.notebook_digest(step.notebook) == digest
    notebook.cells[3].source = "x = 2"
    nbformat.write(notebook, step.notebook)
    assert source_code.notebook_digest(step.notebook) != digest


@pytest.mark.slow
def test_another_command_is_no_reason_to_run_again(home, make_step):
    steps = [
        make_step("one", PUBLISH_VARIABLES),
        make_step("two", "1", parameters="n: int = 1"),
    ]
    assert main(steps, home, []) == 0
    assert main(steps, home, ["-p", "n=2"]) == 0
    step_records = load_all(home / "var" / "runs")[0].steps
    assert [record.status for record in step_records] == ["up to date", "done"]


def test_values_are_formatted_as_they_are_typed():
    texts_and_values = [
        ("True", True),
        ("None", None),
        ("0.1", 0.1),
        ("a b", "a b"),
        ('[1, "x"]', [1, "x"]),
    ]
    for text, value in texts_and_values:
        assert reproduce.format_value(value) == text
