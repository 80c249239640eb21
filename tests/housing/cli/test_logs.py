"""What `run_pipeline.py logs` prints; run as a process where that matters."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from housing.paths import PROJECT_ROOT
from tests.support.commands import run_command
from tests.support.logged_predictions import (
    FIRST_LOG_SCHEMA,
    REFUSAL_MESSAGE,
    prediction_row,
    refused_row,
    timed_row,
    write_log,
)


@pytest.fixture
def log(home):
    rows = [
        prediction_row(0),
        refused_row(1),
        prediction_row(2, low=3.422473, high=5.00001, warnings='["f\\u001br"]'),
    ]
    return write_log(home / "var" / "logs.db", rows)


def start_command(*arguments, **options):
    """Start the command as from a terminal: a shell in the background would have Ctrl-C ignored."""
    command = [sys.executable, str(PROJECT_ROOT / "run_pipeline.py"), "logs", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes, **{"preexec_fn": catch_ctrl_c} | options)


def catch_ctrl_c():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ignore_ctrl_c():
    """Do what a shell does for a command in the background of a script, and nohup."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def test_an_answer_is_a_line_of_100_columns(log, capsys):
    assert run_command("logs", []) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == (
        "2026-11-01 00:00:00  200  $419,027                       v1    0.41 ms  37.88,-122.23"
    )
    assert second == f"2026-11-01 00:08:00  422  refused in 0.41 ms: {REFUSAL_MESSAGE}"
    assert third == (
        "2026-11-01 00:16:00  200  $419,027 [342,247 to 500,001]  v1    0.41 ms  37.88,-122.23  f r"
    )
    assert len(third) <= 100


def test_json_has_all_columns(log, capsys):
    run_command("logs", ["--json", "--limit", "1"])
    row = json.loads(capsys.readouterr().out)
    assert row["id"] == f"{2:032x}-0"
    assert row["input"]["Latitude"] == 37.88
    assert row["warnings"] == ["f\x1br"]
    assert {"caller_id", "traceparent", "caller", "run_id", "request_id"} <= row.keys()


def test_the_body_of_a_refused_request_stays_a_text(log, capsys):
    run_command("logs", ["--json", "--problem"])
    assert json.loads(capsys.readouterr().out)["input"] == '{"MedInc": -1'


def test_the_database_of_the_service_is_the_one_that_is_read(home, monkeypatch, capsys):
    monkeypatch.setenv(
        "HOUSING_DATABASE", str(write_log(home / "other.db", [prediction_row(7)], FIRST_LOG_SCHEMA))
    )
    run_command("logs", [])
    assert capsys.readouterr().out.startswith("2026-11-01 00:56:00  200  $419,027")


def test_no_matching_row_is_reported_in_a_sentence(log, home, monkeypatch, capsys):
    assert run_command("logs", ["--status", "500"]) == 0
    assert "no answer matches; it has those from 2026-11-01T00:00" in capsys.readouterr().err
    monkeypatch.setenv("HOUSING_DATABASE", str(home / "none.db"))
    for arguments in ([], ["--summary"], ["--archive", "1d"]):
        assert run_command("logs", arguments) == 0
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith(f"{home / 'none.db'}: nothing is logged yet; ")


def test_the_summary_is_for_a_person_or_a_machine(log, capsys):
    run_command("logs", ["--summary"])
    output = capsys.readouterr().out
    assert "answers    3 to 3 requests\nstatus     200: 2 (66.7%)\n" in output
    assert "latency    median 0.41 ms, p99 0.41 ms, of requests\n" in output
    assert "problem    1 requests: MedInc is …, expected a number from 0 to 20" in output
    assert "asked      2026-11-01 00:00  3\n" in output
    run_command("logs", ["--summary", "--json"])
    assert json.loads(capsys.readouterr().out)["status"] == {"200": 2, "422": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "none.db"], "--from is 'none.db', expected a log"),
        (["--limit", "-1"], "--limit is -1, expected 0 or more"),
        (["--follow", "--until", "1h"], "--until cannot be used here: --follow has no end"),
        (["--summary", "--limit", "1"], "--limit cannot be used here: --summary is of all"),
        (["--to", "x"], "--to cannot be used here: it belongs to --archive"),
        (["--archive", "1d", "--from", "x"], "--from cannot be used here: --archive moves"),
        (["--archive", "2999-01-01"], "--archive is '2999-01-01', expected a time in the past"),
        (["--archive", "soon"], "--archive is 'soon', expected an ISO date"),
    ],
)
def test_wrong_options_are_refused(log, capsys, arguments, message):
    assert run_command("logs", arguments) == 2
    assert capsys.readouterr().err.startswith(message)


def test_a_file_that_is_no_log_is_a_sentence_and_exit_code_1(home, monkeypatch, capsys):
    (home / "text").write_text("no database " * 100)
    monkeypatch.setenv("HOUSING_DATABASE", str(home / "text"))
    assert run_command("logs", []) == 1
    assert "file is not a database; expected the service's log" in capsys.readouterr().err


def test_new_answers_are_followed_until_ctrl_c(log):
    process = start_command("--follow", "--limit", "1", "--status", "200", start_new_session=True)
    try:
        assert "f r" in process.stdout.readline()
        write_log(log, [refused_row(3), prediction_row(4)])
        written_at = time.monotonic()
        assert process.stdout.readline().startswith("2026-11-01 00:32:00  200  $419,027")
        assert time.monotonic() - written_at < 5
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (130, "", "")


def test_in_the_background_ctrl_c_is_ignored_and_sigterm_ends_the_command(log):
    process = start_command(
        "--follow", "--limit", "1", start_new_session=True, preexec_fn=ignore_ctrl_c
    )
    try:
        assert "f r" in process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        write_log(log, [prediction_row(4)])
        assert process.stdout.readline().startswith("2026-11-01 00:32:00  200  $419,027")
        process.terminate()
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (-signal.SIGTERM, "", "")


def test_a_closed_pipe_is_no_error(home):
    write_log(home / "var" / "logs.db", [prediction_row(number) for number in range(3000)])
    process = start_command("--limit", "3000")
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(20) == 0


class TestTrueValues:
    """Answers whose true value is known, in the log and in an archived month."""

    @pytest.fixture
    def log(self, home):
        rows = [timed_row(f"2026-10-0{day}T12:00:00.000+00:00") for day in (1, 2)]
        log = write_log(home / "var" / "logs.db", rows)
        file = home / "truths.csv"
        file.write_text(f"id,truth\n{rows[0]['id']},4.0\n{rows[0]['id']},4.526\n")
        assert run_command("feedback", [file]) == 0
        return log

    def test_the_current_value_and_the_error_are_shown(self, log, capsys):
        capsys.readouterr()
        assert run_command("logs", []) == 0
        first, second = capsys.readouterr().out.splitlines()
        assert first.endswith("37.88,-122.23  true $452,600, error −$33,573")
        assert "true" not in second
        assert run_command("logs", ["--json", "--labelled"]) == 0
        [row] = map(json.loads, capsys.readouterr().out.splitlines())
        assert row["truth"] == 4.526
        assert run_command("logs", ["--labelled", "--summary"]) == 0
        assert capsys.readouterr().out.startswith("answers    1 to 1 requests")

    def test_they_stay_in_the_log_and_are_shown_of_an_archived_month(self, log, home, capsys):
        assert run_command("logs", ["--archive", "2026-11-01"]) == 0
        month = home / "var" / "archive" / "logs-2026-10.db"
        capsys.readouterr()
        assert run_command("logs", ["--from", month, "--labelled"]) == 0
        [line] = capsys.readouterr().out.splitlines()
        assert line.endswith("true $452,600, error −$33,573")


def test_a_log_of_an_older_service_has_no_true_values(home, capsys):
    write_log(home / "var" / "logs.db", [prediction_row(0)], FIRST_LOG_SCHEMA)
    assert run_command("logs", ["--labelled"]) == 0
    assert "no answer matches" in capsys.readouterr().err
