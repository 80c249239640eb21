"""What the runner prints while it works, and its commands about past runs."""

import errno
import io
import json
import os
import pty
import re
import subprocess
import sys

import pytest
from rich.console import Console
from rich.text import Text

from pipeline import Option, main
from pipeline.cli.progress import JsonProgress, PlainProgress, QuietProgress, SafeProgress
from pipeline.cli.terminal_progress import TerminalProgress
from pipeline.runs.events import RunEvent
from pipeline.runs.records import RunRecord, RunRecordWriter, StepRecord
from pipeline.runs.results import Metric
from pipeline.runs.status import StepStatus
from pipeline.workspace import Workspace


@pytest.mark.slow
def test_plain_progress_prints_each_start_with_its_reason_and_each_result(make_step, home, capsys):
    assert main([make_step("one", "1"), make_step("two", "2")], home, []) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"run \S+: .*/reports/\S+/index.html", lines[0])
    assert lines[1] == "one        starts: it has never run here"
    assert re.fullmatch(r"one +2/2 cells +[\d.]+ s  done", lines[2])
    assert lines[3] == "two        starts: it has never run here"
    assert re.fullmatch(r"run \S+ is done", lines[5])
    assert "\x1b" not in "".join(lines)


@pytest.mark.slow
def test_quiet_prints_nothing_unless_a_step_fails(make_step, home, capsys):
    assert main([make_step("one", "1")], home, ["--quiet"]) == 0
    assert main([make_step("one", "1")], home, ["--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main([make_step("one", "1 / 0")], home, ["--quiet"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "ZeroDivisionError" in err


@pytest.mark.slow
def test_json_prints_one_object_per_line_for_each_event(make_step, home, capsys):
    assert main([make_step("one", "1")], home, ["--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [event["event"] for event in events]
    assert names[:2] == ["run started", "step started"]
    assert names[-2:] == ["step ended", "run ended"]
    assert names.count("cell") == 4
    assert events[-2]["step"]["cell_status"] == ["ran", "ran"]
    assert events[-1]["status"] == "done"
    assert main([make_step("one", "1")], home, ["--json"]) == 0
    [event] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert event["event"] == "nothing to do"


@pytest.mark.slow
def test_the_progress_that_a_cell_displays_is_reported(make_step, home, capsys, monkeypatch):
    monkeypatch.setenv("WORD", "hush-hush")
    display = "h = display({'text/plain': 'trial 1'}, raw=True, display_id=True)"
    updates = "for trial in (2, word): h.update({'text/plain': f'trial {trial}'}, raw=True)"
    two_lines = "h.update({'text/plain': 'two\\nlines'}, raw=True)"
    step = make_step("one", f"{display}\n{updates}\n{two_lines}", parameters="word: str = 'none'")
    assert main([step], home, ["--json", "-p", "word=env:WORD"]) == 0
    output = capsys.readouterr().out
    events = [json.loads(line) for line in output.splitlines()]
    headings = [event["heading"] for event in events if event["event"] == "cell"]
    assert "The one report: trial 2" in headings
    assert not any("lines" in heading for heading in headings)
    assert "hush" not in output


def run_on_terminal(project, *arguments):
    """Run the project's pipeline on a pseudo-terminal and return what it printed there."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "run_pipeline.py", *arguments],
        cwd=project.folder,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    output = b""
    while True:
        try:
            chunk = os.read(master, 4096)
        except OSError:
            break
        if not chunk:
            break
        output += chunk
    os.close(master)
    assert process.wait() == 0
    return re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", output.decode())


@pytest.mark.slow
def test_a_terminal_shows_cells_time_left_and_the_heading(make_project, make_step):
    project = make_project(make_step("one", "import time; time.sleep(1)", "time.sleep(1)"))
    first_output = run_on_terminal(project)
    assert "left" not in first_output
    second_output = run_on_terminal(project, "--force")
    line = r"one +[12]/3 cells +[\d.]+ s  (about [\d.]+ s left  )?The one report"
    assert re.search(line, first_output + second_output)
    seconds_left = [float(text) for text in re.findall(r"about ([\d.]+) s left", second_output)]
    assert seconds_left
    assert max(seconds_left) < 2.5
    assert seconds_left == sorted(seconds_left, reverse=True) or (
        min(seconds_left) < max(seconds_left)
    )


def terminal(width=80, **options):
    """Return a console that writes to a text as to a terminal."""
    return Console(file=io.StringIO(), force_terminal=True, width=width, **options)


def running_step(name="one", **fields):
    """Return a run with a step that is running."""
    started = "2026-01-01T00:00:00+00:00"  # long ago
    step = StepRecord(name, "one.html", StepStatus.RUNNING, started, **fields)
    return RunRecord("a run", started, [step]), step


def test_a_slow_kernel_start_does_not_shorten_the_estimated_time_left(home):
    run, step = running_step(cells=3, cells_done=1)
    step.cell_seconds = [50.0, 0.0, 0.0]
    seconds_left_by_durations = {
        (40.0, 30.0, 20.5): "50",
        (60.0, 30.5): "40",  # one cell fewer in the earlier run
    }
    for durations, seconds_left in seconds_left_by_durations.items():
        console = terminal()
        progress = TerminalProgress(Workspace(home), console, {"one": list(durations)})
        progress.live.start()
        progress(RunEvent.CELL, run, step)
        assert re.search(rf"about {seconds_left}\.[0-5] s left", console.file.getvalue())


@pytest.mark.parametrize("width", [40, 80])
def test_each_running_step_has_one_line_of_a_terminal(home, width):
    run, step = running_step(cells=3, cells_done=1, heading="a long heading " * 9)
    console = terminal(width)
    progress = TerminalProgress(Workspace(home), console)
    progress(RunEvent.RUN_STARTED, run, None)
    progress(RunEvent.STEP_STARTED, run, step)
    [last_line] = Text.from_ansi(console.file.getvalue().splitlines()[-1]).plain.splitlines()
    assert last_line.startswith("one          1/3 cells")
    assert len(last_line) == width
    assert last_line.endswith("…")


def test_a_terminal_shows_brackets_and_colons_as_they_are(home):
    run, step = running_step("[bold]x", heading="[red]a :smile: heading[/red]")
    console = terminal()
    progress = TerminalProgress(Workspace(home), console)
    progress(RunEvent.RUN_STARTED, run, None)
    step.failure = "[/bold] is no list[int]"
    step.status = StepStatus.FAILED
    progress(RunEvent.STEP_ENDED, run, step)
    step.status = StepStatus.RUNNING
    progress(RunEvent.STEP_STARTED, run, step)
    output = Text.from_ansi(console.file.getvalue()).plain
    assert re.search(r"^\[bold\]x .* failed$", output, re.MULTILINE)
    assert "[red]a :smile: heading[/red]" in output
    step.status = StepStatus.FAILED
    progress(RunEvent.RUN_ENDED, run, None)
    assert "[/bold] is no list[int]" in Text.from_ansi(console.file.getvalue()).plain


def test_a_long_line_above_the_running_steps_is_not_broken(home):
    """A path can be copied from a narrow terminal."""
    run, _ = running_step()
    console = terminal(20)
    progress = TerminalProgress(Workspace(home), console)
    progress(RunEvent.RUN_STARTED, run, None)
    page = home / "reports" / "a run" / "index.html"
    assert f"run a run: {page}\n" in console.file.getvalue()


def test_the_colours_of_a_terminal_are_left_out_on_request(home, monkeypatch):
    run, step = running_step(cells=1, cells_done=1)
    step.status = StepStatus.DONE
    for no_color in (True, False):
        console = terminal(color_system="truecolor", no_color=no_color)
        TerminalProgress(Workspace(home), console)(RunEvent.STEP_ENDED, run, step)
        assert ("\x1b[32m" in console.file.getvalue()) is not no_color


def test_the_cursor_is_there_while_steps_run(home):
    """A runner that is killed could not bring it back."""
    run, _ = running_step()
    console = terminal()
    TerminalProgress(Workspace(home), console)(RunEvent.RUN_STARTED, run, None)
    output = console.file.getvalue()
    assert output.rindex("\x1b[?25h") > output.rindex("\x1b[?25l")


def test_a_step_that_runs_for_many_reasons_names_three(home, capsys):
    reasons = [f"input {name} is altered" for name in "abcde"]
    step = StepRecord("one", "one.html", StepStatus.RUNNING, why=reasons)
    run = RunRecord("a run", "2026-01-01T00:00:00+00:00", [step])
    PlainProgress(Workspace(home))(RunEvent.STEP_STARTED, run, step)
    expected = "; ".join(reasons[:3]) + " and 2 more"
    assert capsys.readouterr().out == f"one        starts: {expected}\n"


def test_json_prints_a_metric_with_its_number(home, capsys):
    step = StepRecord("one", "one.html", StepStatus.DONE)
    step.headline = {"RMSE": Metric(9.5, "$9.5", "lower", 10), "family": "forest"}
    run = RunRecord("a run", "2026-01-01T00:00:00+00:00", [step])
    JsonProgress(Workspace(home))(RunEvent.RUN_ENDED, run, None)
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["status"]) == ("run ended", "done")
    rmse = {"value": 9.5, "text": "$9.5", "better": "lower", "before": 10}
    assert event["headline"] == {"RMSE": rmse, "family": "forest"}


@pytest.mark.slow
def test_runs_and_show_print_the_history(make_step, home, capsys):
    published = json.dumps({"headline": {"RMSE": "$43,000"}, "notice": "MADE UP"})
    cell = f"import os; open(os.environ['PIPELINE_RESULTS'], 'w').write({published!r})"
    good_step = make_step("one", cell, parameters="n: int = 1")
    bad_step = make_step("bad", "print('last words'); 1 / 0")
    assert main([good_step], home, ["runs"]) == 0
    assert capsys.readouterr().out == "no run yet\n"
    assert main([good_step], home, ["-p", "n=2"]) == 0
    assert main([good_step, bad_step], home, ["-p", "n=2"]) == 1
    capsys.readouterr()
    assert main([good_step], home, ["runs"]) == 0
    header, new_row, old_row = capsys.readouterr().out.splitlines()
    assert header.split() == ["run", "status", "took", "steps", "result"]
    assert re.search(r"failed .* =one !bad +RMSE: \$43,000", new_row)
    assert re.search(r"done .* one +RMSE: \$43,000; one.n=2", old_row)
    new_id, old_id = new_row.split()[0], old_row.split()[0]
    for run_ref in ("latest", new_id, new_id[:-2]):
        assert main([good_step], home, ["show", run_ref]) == 0
        output = capsys.readouterr().out
        assert f"run {new_id}: failed" in output
        assert f"one: up to date since run {old_id}" in output
        for text in ("NOTE: MADE UP", "ZeroDivisionError", "last output: last words", "bad.html"):
            assert text in output
    assert main([good_step], home, ["show", "1999"]) == 2
    assert "there is no run '1999'; the newest is" in capsys.readouterr().err


@pytest.mark.slow
def test_a_project_s_option_reaches_the_kernels_and_is_no_reason_to_run(
    make_step, home, capsys, monkeypatch
):
    step = make_step("one", "import os; print('seen from ' + os.environ['PLACE'])")
    options = {"--place": Option("PLACE", "WHERE", "where the work is done")}
    monkeypatch.setenv("PLACE", "the shell")
    page = home / "reports" / "latest" / "one.html"
    assert main([step], home, ["--place", "the option"], options=options) == 0
    assert "seen from the option" in page.read_text()
    for arguments in (["--place", "elsewhere"], []):
        assert main([step], home, arguments, options=options) == 0
        assert "nothing to do" in capsys.readouterr().out
    assert main([step], home, ["--force"], options=options) == 0
    assert "seen from the shell" in page.read_text()
    assert os.environ["PLACE"] == "the shell"


def ended_run(*steps):
    """Return a run of an hour ago that has ended."""
    run = RunRecord("20260101-000000-abcd", "2026-01-01T00:00:00+00:00", list(steps))
    run.ended = "2026-01-01T00:01:12+00:00"
    return run


def test_plain_progress_is_a_line_for_each_start_and_each_result(home, capsys):
    step = StepRecord("one", "one.html", StepStatus.DONE, cells=2, cells_done=2)
    step.headline, step.why = {"RMSE": "$43,000"}, ["it has never run here"]
    run, show_progress = ended_run(step), PlainProgress(Workspace(home))
    for event in (RunEvent.RUN_STARTED, RunEvent.STEP_STARTED, RunEvent.CELL, RunEvent.TICK):
        show_progress(event, run, step)
    for event in (RunEvent.STEP_ENDED, RunEvent.STOPPING, RunEvent.RUN_ENDED):
        show_progress(event, run, step)
    reports = home / "reports"
    assert capsys.readouterr().out.splitlines() == [
        f"run {run.id}: {reports / run.id / 'index.html'}",
        "one        starts: it has never run here",
        "one          2/2 cells     0.0 s  done",
        "stopping; send the signal (Ctrl-C) once more to kill the kernels",
        f"run {run.id} is done",
        "  RMSE: $43,000",
        f"reports: {reports / 'latest'}",
    ]


def test_quiet_progress_prints_what_went_wrong_on_stderr(home, capsys):
    step = StepRecord("one", "one.html", StepStatus.DONE, cells=2, cells_done=1)
    show_progress = QuietProgress(Workspace(home))
    for event in RunEvent:
        show_progress(event, ended_run(step), step)
    assert capsys.readouterr() == ("", "")
    step.status, step.failure = StepStatus.FAILED, "ZeroDivisionError"
    show_progress(RunEvent.RUN_ENDED, ended_run(step), None)
    message = "The step one failed after 1 of 2 cells: ZeroDivisionError.\n"
    assert capsys.readouterr() == ("", message)


def test_all_lines_of_an_error_that_renders_itself_are_printed(home, capsys):
    step = StepRecord("one", "one.html", StepStatus.FAILED)
    step.failure = "DataError: a.csv: one; and 1 more"
    step.traceback = "a.csv:\n- one\n- two"
    run = ended_run(step)
    PlainProgress(Workspace(home))(RunEvent.RUN_ENDED, run, None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("DataError: a.csv: one; and 1 more.")
    assert lines[1:4] == ["  a.csv:", "  - one", "  - two"]


def test_json_progress_is_an_object_for_each_event(home, capsys):
    step = StepRecord("one", "one.html", StepStatus.DONE, cells=2, cells_done=1, heading="[a]")
    show_progress = JsonProgress(Workspace(home))
    for event in RunEvent:
        is_about_step = event in (RunEvent.STEP_STARTED, RunEvent.CELL, RunEvent.STEP_ENDED)
        show_progress(event, ended_run(step), step if is_about_step else None)
    events = {
        event["event"]: event for event in map(json.loads, capsys.readouterr().out.splitlines())
    }
    assert events.keys() == set(RunEvent) - {RunEvent.TICK}
    assert all({"event", "run", "at"} <= event.keys() for event in events.values())
    cell = {"step": "one", "cells": 2, "cells_done": 1, "heading": "[a]"}
    assert cell.items() <= events["cell"].items()
    assert events["step ended"]["step"]["status"] == "done"
    assert events["run ended"]["status"] == "done"


@pytest.fixture
def history(home):
    """A home with two runs: the newer failed in its second step."""
    good = StepRecord("one", "one.html", StepStatus.DONE, parameters={"n": "[2]"})
    good.headline, good.notice = {"RMSE": "$43,000"}, "MADE UP"
    bad = StepRecord("bad", "bad.html", StepStatus.FAILED, output="a\nlast words\n")
    bad.failure, bad.why = "ZeroDivisionError: [bold]", ["it has never run here"]
    again = StepRecord("one", "one.html", StepStatus.UP_TO_DATE, reused="20260101-000000-abcd")
    for run_id, steps in (("20260101-000000-abcd", [good]), ("20260102-000000-abcd", [again, bad])):
        run = RunRecord(run_id, "2026-01-01T00:00:00+00:00", steps)
        folder = Workspace(home).run_folder(run_id)
        folder.mkdir(parents=True)
        RunRecordWriter(run, folder).close()
    return home


def test_the_table_of_runs_has_a_line_for_each_run(history, capsys):
    assert main([], history, ["runs"]) == 0
    header, newer, older = capsys.readouterr().out.splitlines()
    assert header.split() == ["run", "status", "took", "steps", "result"]
    assert re.fullmatch(r"20260102-000000-abcd  failed  .*  =one !bad", newer)
    assert re.fullmatch(r"20260101-\S+  done    .*  one        RMSE: \$43,000; one.n=\[2\]", older)
    assert main([], history, ["runs", "--last", "1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("run_ref", ["latest", "20260102", "20260102-000000-abcd"])
def test_show_describes_each_step(history, capsys, run_ref):
    assert main([], history, ["show", run_ref]) == 0
    output = capsys.readouterr().out
    for text in (
        "run 20260102-000000-abcd: failed, ",
        "one: up to date since run 20260101-000000-abcd",
        "\nbad: failed, ",
        "  why: it has never run here\n  ZeroDivisionError: [bold]\n",
        "  last output: last words",
    ):
        assert text in output


def test_an_unknown_run_is_named(history, home, capsys):
    assert main([], history, ["show", "1999"]) == 2
    expected = "there is no run '1999'; the newest is 20260102-000000-abcd\n"
    assert capsys.readouterr().err == expected
    assert main([], history, ["show", "2026"]) == 2
    assert "'2026' is the start of 2 runs: 20260101-" in capsys.readouterr().err


class Terminal(io.StringIO):
    """A text that passes for a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_terminal_s_table_of_runs_has_the_same_text(history, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main([], history, ["runs"]) == 0
    text = Text.from_ansi(sys.stdout.getvalue()).plain
    for word in ("20260102-000000-abcd", "failed", "=one !bad", "RMSE: $43,000", "one.n=[2]"):
        assert word in " ".join(text.split())
    assert ("\x1b[31mfailed" in sys.stdout.getvalue()) is (columns > 40)


def test_a_run_whose_output_cannot_be_printed_goes_on_and_says_so():
    events = []

    def print_event(event, run, step):
        events.append(event)
        raise OSError(errno.ENOSPC, "No space left on device")

    run = RunRecord("20261130-120000-0000", "", [])
    listener = SafeProgress(print_event)
    listener(RunEvent.RUN_STARTED, run, None)
    listener(RunEvent.RUN_ENDED, run, None)
    assert events == [RunEvent.RUN_STARTED]
    with pytest.raises(OSError, match=r"No space left on device; all the same the run .* is done"):
        listener.raise_error(run)
    listener.error = BrokenPipeError()  # as by `head`, which has read enough
    listener.raise_error(run)
