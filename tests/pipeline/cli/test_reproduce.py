"""What a notebook is told of itself: the command that makes its run again, and its code."""

import json
import shlex

import nbformat
import pytest

from pipeline import main
from pipeline.cli import reproduce
from pipeline.runs.records import load_all
from pipeline.staleness import fingerprint

TELL = """
import json, os
names = ("COMMAND", "CODE", "NOTEBOOK")
told = {"links": {one: os.environ[f"PIPELINE_{one}"] for one in names}}
with open(os.environ["PIPELINE_HANDOVER"], "w") as file:
    json.dump(told, file)
"""


def told(home, *labels):
    """What the steps were told in the newest run, by the variables' names."""
    steps = {one.name: one.links for one in load_all(home / "var" / "runs")[0].steps}
    return steps[labels[0]] if len(labels) == 1 else [steps[one] for one in labels]


def typed(command):
    """The arguments that a shell makes of it."""
    python, script, *arguments = shlex.split(command)
    assert (python, script) == ("python", "run_pipeline.py")
    return arguments


def test_the_defaults_need_no_more_than_the_command(home, make_step):
    assert main([make_step("one", TELL, parameters="n: int = 1")], home, ["-p", "n=1"]) == 0
    assert told(home, "one")["COMMAND"] == "python run_pipeline.py"
    assert told(home, "one")["NOTEBOOK"] == "one.ipynb"


def test_the_command_makes_the_same_run_whatever_the_values(home, make_step, capsys, monkeypatch):
    monkeypatch.setenv("TOKEN", "hush")
    cell = (
        "from datetime import date\nfrom pathlib import Path\nfrom typing import Literal\n"
        "words: str = ''\nrate: float = 0.5\nloud: bool = False\nday: date = date(2026, 1, 1)\n"
        "place: Path = Path('.')\nnames: list[str] = []\nfolds: Literal[3, 5] = 3\n"
        "top: int | None = 7\ntoken: str = ''\nsame: int = 1"
    )
    values = [
        "words=it's $5, \"so\" & so", "rate=1e-3", "loud=yes", "day=2026-11-25", "place=a b",
        'names=["x,y", "ü"]', "folds=5", "top=None", "token=env:TOKEN",
    ]  # fmt: skip
    steps = [
        make_step("one", TELL, parameters=cell),
        make_step("two", "1", parameters="same: int = 1"),
    ]
    pairs = [word for one in values for word in ("-p", one)]
    assert main(steps, home, [*pairs, "-p", "two.same=2"]) == 0
    command = told(home, "one")["COMMAND"]
    assert "-p one.token=env:TOKEN" in command
    assert "hush" not in command
    assert "one.same" not in command
    assert command.endswith("-p two.same=2")
    capsys.readouterr()
    assert main(steps, home, typed(command)) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_a_step_run_alone_names_what_the_steps_before_were_done_with(home, make_step):
    steps = [make_step("one", "1", parameters="n: int = 1\nd: float = 0.5"), make_step("two", TELL)]
    assert main(steps, home, ["-p", "n=5"]) == 0
    assert main(steps, home, ["--only", "two", "--force"]) == 0
    assert told(home, "two")["COMMAND"] == "python run_pipeline.py -p one.n=5"


def test_a_variant_names_its_own_value_and_what_follows_all_of_them(home, make_step):
    steps = [make_step("one", TELL, parameters="n: int = 1\nm: int = 0"), make_step("two", TELL)]
    assert main(steps, home, ["--sweep", "one.n=1,2", "-p", "m=3"]) == 0
    first, second, after = told(home, "one[n=1]", "one[n=2]", "two")
    assert first["COMMAND"] == "python run_pipeline.py -p one.m=3"
    assert second["COMMAND"] == "python run_pipeline.py -p one.n=2 -p one.m=3"
    assert after["COMMAND"] == "python run_pipeline.py --sweep one.n=1,2 -p one.m=3"


@pytest.mark.parametrize("value", ["x" * 200_000, "a\0b"])
def test_what_no_command_line_could_hold_is_left_out(home, make_step, tmp_path, value):
    (tmp_path / "values.yaml").write_text(json.dumps({"words": value}))
    one = make_step("one", TELL, parameters="words: str = ''")
    assert main([one], home, ["--cold", "--params", str(tmp_path / "values.yaml")]) == 0
    assert told(home, "one")["COMMAND"] == ""


def test_the_code_is_told_apart_from_prose_and_outputs(home, make_step):
    one = make_step("one", "# why\nx = 1", TELL, parameters="n: int = 1")
    assert main([one], home, []) == 0
    before = told(home, "one")["CODE"]
    assert before == fingerprint.notebook_digest(one.notebook)
    assert len(before) == 64
    notebook = nbformat.read(one.notebook, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# Another heading"))
    notebook.cells[3].source = "x = (1)  # for another reason"
    notebook.cells[3].outputs = [nbformat.v4.new_output("stream", text="1")]
    nbformat.write(notebook, one.notebook)
    assert fingerprint.notebook_digest(one.notebook) == before
    notebook.cells[3].source = "x = 2"
    nbformat.write(notebook, one.notebook)
    assert fingerprint.notebook_digest(one.notebook) != before


def test_another_command_is_no_reason_to_run_again(home, make_step):
    steps = [make_step("one", TELL), make_step("two", "1", parameters="n: int = 1")]
    assert main(steps, home, []) == 0
    assert main(steps, home, ["-p", "n=2"]) == 0
    found = load_all(home / "var" / "runs")[0].steps
    assert [one.status for one in found] == ["up to date", "done"]


def test_values_are_told_as_they_are_typed():
    assert [reproduce.format_value(one) for one in (True, None, 0.1, "a b", [1, "x"])] == [
        "True", "None", "0.1", "a b", '[1, "x"]',
    ]  # fmt: skip
