import json
import os
import pty
import re
import subprocess
import sys

import pytest

from pipeline import Option, main
from pipeline.cli import progress
from pipeline.runs.records import RunRecord, StepRecord


def test_plain_lines_say_what_starts_why_and_how_it_ended(make_step, home, capsys):
    assert main([make_step("one", "1"), make_step("two", "2")], home, []) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"run \S+: .*/reports/\S+/index.html", lines[0])
    assert lines[1] == "one        starts: it has never run here"
    assert re.fullmatch(r"one +2/2 cells +[\d.]+ s  done", lines[2])
    assert lines[3] == "two        starts: it has never run here"
    assert re.fullmatch(r"run \S+ is done", lines[5])
    assert "\x1b" not in "".join(lines)


def test_quiet_says_nothing_unless_something_is_wrong(make_step, home, capsys):
    assert main([make_step("one", "1")], home, ["--quiet"]) == 0
    assert main([make_step("one", "1")], home, ["--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main([make_step("one", "1 / 0")], home, ["--quiet"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "ZeroDivisionError" in err


def test_json_is_one_object_a_line_for_each_event(make_step, home, capsys):
    assert main([make_step("one", "1")], home, ["--json"]) == 0
    events = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
    names = [one["event"] for one in events]
    assert names[:2] == ["run started", "step started"]
    assert names[-2:] == ["step ended", "run ended"]
    assert names.count("cell") == 4
    assert events[-2]["step"]["cell_status"] == ["ran", "ran"]
    assert events[-1]["status"] == "done"
    assert main([make_step("one", "1")], home, ["--json"]) == 0
    [event] = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
    assert event["event"] == "nothing to do"


def test_a_cell_that_says_how_far_it_is_is_heard(make_step, home, capsys, monkeypatch):
    monkeypatch.setenv("WORD", "hush-hush")
    shown = "h = display({'text/plain': 'trial 1'}, raw=True, display_id=True)"
    told = "for one in (2, word): h.update({'text/plain': f'trial {one}'}, raw=True)"
    lines = "h.update({'text/plain': 'two\\nlines'}, raw=True)"
    one = make_step("one", f"{shown}\n{told}\n{lines}", parameters="word: str = 'none'")
    assert main([one], home, ["--json", "-p", "word=env:WORD"]) == 0
    said = capsys.readouterr().out
    events = [json.loads(line) for line in said.splitlines()]
    headings = [event["heading"] for event in events if event["event"] == "cell"]
    assert "The one report: trial 2" in headings
    assert not any("lines" in heading for heading in headings)
    assert "hush" not in said


def on_a_terminal(project, *arguments):
    """What the run wrote, as a terminal got it."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "run_pipeline.py", *arguments], cwd=project.folder, stdout=its, stderr=its
    )
    os.close(its)
    said = b""
    while True:
        try:
            found = os.read(ours, 4096)
        except OSError:
            break
        if not found:
            break
        said += found
    os.close(ours)
    assert process.wait() == 0
    return said.decode()


def test_a_terminal_shows_cells_time_left_and_the_heading(make_project, make_step):
    made = make_project(make_step("one", "import time; time.sleep(1)", "time.sleep(1)"))
    first = on_a_terminal(made)
    assert re.search(r"one +1/3 cells +[\d.]+ s  The one report", first)
    assert "left" not in first
    again = on_a_terminal(made, "--force")
    left = [float(one) for one in re.findall(r"about ([\d.]+) s left", again)]
    assert left
    assert max(left) < 2.5
    assert left == sorted(left, reverse=True) or min(left) < max(left)


def test_the_start_of_a_step_takes_nothing_from_the_time_of_its_cells(home, capsys):
    began = "2026-01-01T00:00:00+00:00"  # long ago: the kernel was slow to start
    step = StepRecord("one", "one.html", status="running", started=began, cells=3, cells_done=1)
    step.cell_seconds = [50.0, 0.0, 0.0]
    run = RunRecord("a run", began, [step])
    for cells, left in {(40.0, 30.0, 20.5): "50", (60.0, 30.5): "40"}.items():  # or a cell less
        progress.TerminalProgress(home, {"one": list(cells)})("cell", run, step)
        assert re.search(rf"about {left}\.[0-5] s left", capsys.readouterr().out)


def test_runs_and_show_tell_the_history(make_step, home, capsys):
    told = json.dumps({"headline": {"RMSE": "$43,000"}, "notice": "MADE UP"})
    cell = f"import os; open(os.environ['PIPELINE_HANDOVER'], 'w').write({told!r})"
    one = make_step("one", cell, parameters="n: int = 1")
    bad = make_step("bad", "print('last words'); 1 / 0")
    assert main([one], home, ["runs"]) == 0
    assert capsys.readouterr().out == "no run yet\n"
    assert main([one], home, ["-p", "n=2"]) == 0
    assert main([one, bad], home, ["-p", "n=2"]) == 1
    capsys.readouterr()
    assert main([one], home, ["runs"]) == 0
    head, new, old = capsys.readouterr().out.splitlines()
    assert head.split() == ["run", "status", "took", "steps", "result"]
    assert re.search(r"failed .* =one !bad +RMSE: \$43,000", new)
    assert re.search(r"done .* one +RMSE: \$43,000; one.n=2", old)
    for name in ("latest", new.split()[0], new.split()[0][:-2]):
        assert main([one], home, ["show", name]) == 0
        said = capsys.readouterr().out
        assert f"run {new.split()[0]}: failed" in said
        assert f"one: up to date since run {old.split()[0]}" in said
        for part in ("NOTE: MADE UP", "ZeroDivisionError", "last output: last words", "bad.html"):
            assert part in said
    assert main([one], home, ["show", "1999"]) == 2
    assert "there is no run '1999'; the newest is" in capsys.readouterr().err


def test_a_project_adds_commands_of_its_own(make_step, home):
    heard = []
    commands = {"champions": lambda arguments: heard.append(arguments) or 5}
    assert main([make_step("one", "1")], home, ["champions", "-v"], commands) == 5
    assert heard == [["-v"]]


def test_a_project_s_option_reaches_the_kernels_and_is_no_reason_to_run(
    make_step, home, capsys, monkeypatch
):
    one = make_step("one", "import os; print('seen from ' + os.environ['PLACE'])")
    options = {"--place": Option("PLACE", "WHERE", "where the work is done")}
    monkeypatch.setenv("PLACE", "the shell")
    page = home / "reports" / "latest" / "one.html"
    assert main([one], home, ["--place", "the option"], options=options) == 0
    assert "seen from the option" in page.read_text()
    for arguments in (["--place", "elsewhere"], []):
        assert main([one], home, arguments, options=options) == 0
        assert "nothing to do" in capsys.readouterr().out
    assert main([one], home, ["--force"], options=options) == 0
    assert "seen from the shell" in page.read_text()
    assert os.environ["PLACE"] == "the shell"


def test_help_tells_a_project_s_commands_and_options(make_step, home, capsys):
    def sing(_arguments):
        """A song, in full.

        Not this.
        """

    options = {"--place": Option("PLACE", "WHERE", "where the work is done")}
    with pytest.raises(SystemExit):
        main([make_step("one", "1")], home, ["--help"], {"sing": sing}, options=options)
    said = capsys.readouterr().out
    assert "run_pipeline.py sing       A song, in full.\n" in said
    assert "run_pipeline.py prune " in said
    assert re.search(r"--place WHERE +where the work is done", said)
    assert "Not this" not in said
