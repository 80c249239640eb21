"""The command line that resumes a run."""

import os
import shlex
import subprocess
import sys

import pytest

from pipeline import main
from pipeline.cli import invocation
from pipeline.cli.invocation import current_invocation
from pipeline.runs.invocation import Invocation
from pipeline.workspace import Workspace


def resume(arguments, done=()):
    line = Invocation(["python", "run.py"], arguments).resume_line(done)
    return line.removeprefix("python run.py").strip()


@pytest.mark.parametrize(
    ("arguments", "done", "expected"),
    [
        ([], ["prep"], ""),
        (["-p", "title=a 'b' $HOME"], [], "-p 'title=a '\"'\"'b'\"'\"' $HOME'"),
        (["--jobs", "2", "--cold", "--only", "train"], [], "--jobs 2 --cold --only train"),
        (["--sweep", "train.seed=1,2", "--params", "a b.yml"], [], None),
        (["-p", "token=env:TOKEN", "--kernel", "train=ir"], ["prep"], None),
        # what is done is not forced again
        (["--force"], [], "--force"),
        (["--force"], ["prep"], ""),
        (["--force", "--jobs", "2"], ["prep", "train"], "--jobs 2"),
        (["--force", "prep"], ["prep"], ""),
        (["--force=prep", "--cold"], ["prep"], "--cold"),
        (["--force", "train"], ["prep"], "--force train"),
        (["--from", "prep", "--force"], ["prep"], "--from prep"),
    ],
)
def test_the_resuming_command_keeps_what_was_typed(arguments, done, expected):
    expected = shlex.join(arguments) if expected is None else expected
    assert resume(arguments, done) == expected


def test_a_variant_of_a_sweep_that_is_done_is_not_forced_again():
    invocation_ = Invocation(["python", "run.py"], ["--sweep", "a.n=1,2", "--force"])
    assert "--force" not in invocation_.resume_line(["a[n=1]"])


def test_the_variables_that_set_parameters_are_repeated(home, monkeypatch):
    monkeypatch.setenv("PIPELINE_PARAM_SEED", "a b")
    monkeypatch.setenv("OUR_HOME", "/data")
    monkeypatch.setattr(sys, "argv", ["run_pipeline.py", "-p", "n=1"])
    current = current_invocation(["-p", "n=1"], Workspace(home), ["OUR_HOME", "NOT_SET"])
    assert current.command_line("show", "x y").startswith(
        "OUR_HOME=/data PIPELINE_PARAM_SEED='a b' "
    )
    assert Invocation.from_dict({**vars(current), "of_a_later_version": 1}) == current


@pytest.mark.parametrize(
    ("original", "script", "expected"),
    [
        (["-X", "dev", "run.py", "--cold"], "run.py", ["-X", "dev", "run.py"]),
        (["-m", "ours.run", "--cold"], "/x/ours/run.py", ["-m", "ours.run"]),
        # by %run in a notebook, whose kernel has another command line
        (["-m", "ipykernel_launcher", "-f", "k.json"], "run.py", ["run.py"]),
    ],
)
def test_the_script_is_started_in_the_same_way(monkeypatch, home, original, script, expected):
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, *original])
    monkeypatch.setattr(sys, "argv", [script, "--cold"])
    assert current_invocation(["--cold"], Workspace(home)).command[1:] == expected


@pytest.mark.parametrize(
    ("typed", "arguments"),
    [
        (["/x/ipykernel_launcher.py", "-f", "k.json"], ["--only", "x"]),
        (["/x/ipykernel/__main__.py", "-f", "k.json"], ["--only", "x"]),
        (["job.py", "2026-11-30"], ["--only", "x"]),
        ([""], []),
    ],
)
def test_a_call_of_main_is_resumed_by_a_call(monkeypatch, home, typed, arguments):
    monkeypatch.setattr(sys, "argv", typed)
    current = current_invocation(arguments, Workspace(home))
    assert current.resume_line([]) == f"main(steps, home, {arguments})"


def test_without_arguments_those_of_a_notebook_s_kernel_are_not_taken(
    monkeypatch, home, make_step, capsys
):
    monkeypatch.setattr(sys, "argv", ["/x/ipykernel_launcher.py", "-f", "k.json"])
    step = make_step("one", "1")
    step.notebook.write_text("")
    assert main([step], home) == 2
    assert "one.ipynb is not a notebook: it is empty" in capsys.readouterr().err


def test_a_pipe_of_parameters_is_to_be_replaced_by_a_file(monkeypatch, home, tmp_path):
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    file.touch()
    for typed in (["--params", str(file), f"--params={pipe}"], ["--params", str(pipe)]):
        monkeypatch.setattr(sys, "argv", ["run_pipeline.py", *typed])
        line = current_invocation(typed, Workspace(home)).resume_line([])
        assert line.endswith(f"{pipe}  # {pipe} was a pipe: name a file with the same parameters")


def test_an_interpreter_below_the_folder_is_named_relative_to_it(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert invocation.relative_to_here(str(tmp_path / ".venv/bin/python")) == ".venv/bin/python"
    assert invocation.relative_to_here("/usr/bin/python") == "/usr/bin/python"


@pytest.mark.slow
def test_the_command_that_is_shown_runs_only_what_is_left(make_project, make_step):
    failing = "if not __import__('pathlib').Path('fixed').exists(): raise ValueError(name)"
    project = make_project(
        make_step("prep", "n", parameters="n: int = 1"),
        make_step("train", failing, parameters="name: str = 'x'"),
        make_step("check", "1"),
    )
    exit_code, output = project.run("-p", "n=2", "-p", 'name=it\'s a "$HOME"', "--force")
    assert exit_code == 1
    command = output.split("To go on from there: ")[1].strip()
    run = project.latest_record
    assert (run.steps[1].cells, run.steps[1].cells_done, run.steps[1].failed_cell) == (3, 2, 3)
    assert "in cell 3" in output
    assert "In cell 3" in project.report_html("train")
    assert 'id="cell-3"' in project.report_html("train")
    (project.folder / "fixed").touch()
    completed = subprocess.run(
        command, shell=True, cwd=project.folder, capture_output=True, text=True
    )
    assert completed.returncode == 0, completed.stderr
    steps = {step.name: step for step in project.latest_record.steps}
    assert [step.status for step in steps.values()] == ["up to date", "done", "done"]
    assert steps["train"].parameters == {"name": 'it\'s a "$HOME"'}
