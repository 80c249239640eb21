"""The grammar of the command line: commands, options, mistakes, help; and how a command ends."""

import errno
import re
import subprocess
import sys

import pytest

from pipeline import Option, Step, main
from pipeline.cli import selection
from pipeline.cli.parser import CommandLine
from pipeline.runs.records import RunRecord, RunRecordWriter
from pipeline.workspace import Workspace


@pytest.fixture
def sing_calls():
    """What the command `sing` was called with."""
    return []


@pytest.fixture
def type_command(make_step, home, sing_calls):
    """Type a command of a project with one step, `train`, and a command of its own, `sing`."""

    def sing(song, loud, json):
        """Sing a song.

        This line is not shown.
        """
        sing_calls.append((song, loud, json))
        if song in ERRORS:
            raise ERRORS[song]
        return 5

    def add_sing(add_command):
        parser = add_command("sing", sing)
        parser.add_argument("song", nargs="?")
        parser.add_argument("--loud", type=int)
        parser.add_argument("--json", action="store_true")

    step = make_step("train", "1", parameters="trials: int = 1  # how many [bold]there are")
    options = {"--place": Option("PLACE", "WHERE", "where the work is done")}

    def type_command(*arguments):
        return main([step], home, list(arguments), commands=[add_sing], options=options)

    return type_command


ERRORS = {
    "wrong": ValueError("the song is wrong"),
    "unknown": LookupError("there is no such song"),
    "failed": RuntimeError("the voice failed"),
    "full": OSError("the disk is full"),
    "closed": BrokenPipeError(),
    "stopped": KeyboardInterrupt(),
}


def test_a_project_adds_commands_with_arguments_of_their_types(type_command, sing_calls):
    assert type_command("sing", "a song", "--loud", "3") == 5
    assert sing_calls == [("a song", 3, False)]


@pytest.mark.parametrize(
    "arguments", [["--json", "sing", "x"], ["sing", "--json", "x"], ["sing", "x", "--json"]]
)
def test_a_flag_of_all_stands_before_or_after_the_command(type_command, sing_calls, arguments):
    assert type_command(*arguments) == 5
    assert sing_calls == [("x", None, True)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("explian", "there is no command 'explian'; did you mean 'explain'?"),
        ("sign", "there is no command 'sign'; did you mean 'sing'?"),
        ("train", "train is a step: python run_pipeline.py --only train"),
        ("--onyl train", "there is no option --onyl; did you mean '--only'?"),
        ("--unti=train", "there is no option --unti; did you mean '--until'?"),
        ("sing --lout 3", "there is no option --lout; did you mean '--loud'?"),
        ("--only trian", "there is no step 'trian'; did you mean 'train'?"),
        ("explain --only trian", "there is no step 'trian'; did you mean 'train'?"),
        ("accept trian", "there is no step 'trian'; did you mean 'train'?"),
        ("explain -p trails=1", "there is no parameter 'trails'; did you mean 'trials'?"),
        ("show", "the following arguments are required: RUN"),
        ("show 1 2", "unexpected argument '2'"),
        ("runs --last 0", "--last is 0, expected at least 1"),
        ("runs --last -1", "--last is -1, expected at least 1"),
        ("--only train explain", "a command comes first: run_pipeline.py explain"),
        ("sing --loud x", "argument --loud: invalid int value: 'x'"),
        ("sing --json=1", "ignored explicit argument"),
        ("prune --kee 3", "there is no option --kee"),  # no abbreviation
    ],
)
def test_a_mistake_is_one_line_that_says_what_was_meant(type_command, capsys, arguments, message):
    assert type_command(*arguments.split()) == 2
    output = capsys.readouterr()
    assert message in output.err
    assert (output.out, output.err.count("\n")) == ("", 1)


@pytest.mark.parametrize("option", ["list", "explain", "accept"])
def test_an_option_of_an_earlier_version_names_the_command(type_command, capsys, option):
    assert type_command(f"--{option}", "train") == 2
    message = f"--{option} is a command: python run_pipeline.py {option}\n"
    assert capsys.readouterr().err.endswith(message)


def test_a_value_may_look_like_an_option(type_command, sing_calls):
    assert type_command("sing", "--loud=-3", "--", "--explain") == 5
    assert type_command("sing", "--no words") == 5
    assert sing_calls == [("--explain", -3, False), ("--no words", None, False)]


def test_options_may_stand_between_positional_arguments(home):
    calls = []
    command_line = CommandLine("run_pipeline.py", [])
    parser = command_line.add_command("compare", lambda **values: calls.append(values) or 0)
    for name in ("old", "new"):
        parser.add_argument(name, nargs="?")
    parser.add_argument("--wide", action="store_true")
    for arguments in ("a b --wide", "a --wide b", "--wide a b"):
        assert command_line.run(["compare", *arguments.split()]) == 0
    assert calls == [{"old": "a", "new": "b", "wide": True}] * 3


def test_the_options_of_a_run_select_for_explain_too(type_command, capsys):
    for arguments in (["-p", "trials=2"], ["--only", "train"], ["--force"], ["--until", "train"]):
        assert type_command("explain", *arguments) == 0
        assert capsys.readouterr().out.startswith("train      run   ")
    assert type_command("explain", "--sweep", "train.trials=1,2") == 0
    assert capsys.readouterr().out.count("\n") == 2


def test_help_lists_commands_options_and_parameters(type_command, capsys):
    for arguments in (["--help"], ["run", "--help"], ["-p", "trials=1", "-h"]):
        assert type_command(*arguments) == 0
        output = capsys.readouterr().out
        assert re.search(r"--place WHERE +where the work is done", output)
        assert "  trials  int  1  how many [bold]there are\n" in output
    assert type_command("--help") == 0
    output = capsys.readouterr().out
    assert re.search(r"^    sing +Sing a song\.$", output, re.MULTILINE)
    assert re.search(r"^    prune ", output, re.MULTILINE)
    assert "This line is not shown" not in output


def test_help_and_list_say_which_notebook_is_broken(make_step, home, capsys, tmp_path):
    (tmp_path / "odd.ipynb").write_text("no JSON")
    (tmp_path / "empty.ipynb").write_text('{"nbformat": 4, "cells": [{"cell_type": "code"}]}')
    (tmp_path / "folder.ipynb").mkdir()
    names = ("odd", "empty", "folder", "gone")
    steps = [Step(name, tmp_path / f"{name}.ipynb") for name in names]
    steps.append(make_step("good", "1", parameters="n: int = 1"))
    for arguments in (["--help"], ["list"]):
        assert main(steps, home, arguments) == 0
        output = capsys.readouterr().out
        assert output.count("its parameters cannot be read") == len(names)
        assert "odd.ipynb is not a notebook: it is not JSON" in output
        assert "  n  int  1\n" in output
    for command in ("run", "explain", "accept", "runs", "show", "compare", "render", "prune"):
        assert main(steps, home, [command, "--help"]) == 0
        assert f"usage: run_pipeline.py {command} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        ("wrong", 2, "the song is wrong\n"),
        ("unknown", 2, "there is no such song\n"),
        ("failed", 1, "the voice failed\n"),
        ("full", 1, "the disk is full\n"),
        ("stopped", 130, "stopped by Ctrl-C\n"),
    ],
)
def test_an_error_of_a_command_is_one_line_and_an_exit_code(
    type_command, capsys, error, exit_code, message
):
    assert type_command("sing", error) == exit_code
    assert capsys.readouterr() == ("", message)


@pytest.mark.slow
def test_a_closed_pipe_ends_every_command_quietly(make_project, make_step):
    project = make_project(make_step("one", "1"))
    run_folder = Workspace(project.folder).run_folder("20260101-000000-abcd")
    run_folder.mkdir(parents=True)
    RunRecordWriter(RunRecord(run_folder.name, "2026-01-01T00:00:00+00:00", []), run_folder).close()
    for command in ("runs", "show latest", "list", "explain", "--help", "runs --help"):
        pipe = f"{sys.executable} run_pipeline.py {command} | true; exit ${{PIPESTATUS[0]}}"
        completed = subprocess.run(["bash", "-c", pipe], cwd=project.folder, capture_output=True)
        assert (completed.returncode, completed.stderr) == (0, b"")


def test_a_step_that_no_option_selects_is_left_out(make_step):
    steps = [make_step(name, "1") for name in ("one", "two", "three")]
    tasks, forced_steps = selection.select_tasks(steps, [], [], [], first="two", force="three")
    assert [task.label for task in tasks] == ["two", "three"]
    assert forced_steps == {"three"}


def test_help_that_cannot_be_printed_is_an_error(type_command, monkeypatch, capsys):
    def write(_text):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys.stdout, "write", write)
    assert type_command("--help") == 1
    assert "the output cannot be written: No space left on device" in capsys.readouterr().err
