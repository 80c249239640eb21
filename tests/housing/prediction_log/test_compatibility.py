"""The prediction log that commit a728a4f wrote: it reads, prints and archives as it did then."""

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from housing.paths import PROJECT_ROOT
from housing.prediction_log import archive, filters, formatting, reader, summary
from housing.schema import FEATURE_NAMES
from tests.artifacts.before_packages.former_home import copy_home
from tests.support.commands import run_command

ARCHIVED_MONTH = "logs-2026-11.db"
N_ROWS, N_ARCHIVED_ROWS, N_ERRORS = 16, 8, 5
END_OF_TIME = "9999-01-01T00:00:00.000"
COMMANDS = {
    "logs": [],
    "logs_errors": ["--problem"],
    "logs_warnings": ["--warned"],
    "logs_place": ["--place", "36.7,-119.8,50"],
    "logs_dear": ["--min-usd", "300000", "--version", "2"],
    "logs_request": ["--request", "order-18"],
    "logs_json": ["--json"],
}


@pytest.fixture
def former_home(home):
    return copy_home("service_home", home)


def rows_of(file):
    """Return the rows of a log in the order of their ids, as tuples of all columns."""
    with closing(sqlite3.connect(file)) as database:
        return database.execute("SELECT * FROM prediction ORDER BY id").fetchall()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_prints_the_log_as_before(former_home, capsys, name):
    assert run_command("logs", COMMANDS[name]) == 0
    assert capsys.readouterr().out == former_home.expected_text(name)


def test_the_command_prints_the_summary_as_before(former_home, capsys):
    """Problems of the same frequency were printed in any order then."""
    assert run_command("logs", ["--summary"]) == 0
    lines = capsys.readouterr().out.splitlines()
    expected_lines = former_home.expected_text("logs_summary").splitlines()
    assert sorted(lines) == sorted(expected_lines)
    assert [line.split()[0] for line in lines] == [line.split()[0] for line in expected_lines]
    assert run_command("logs", ["--summary", "--json"]) == 0
    expected = json.loads(former_home.expected_text("logs_summary_json"))
    assert json.loads(capsys.readouterr().out) == expected


def test_problems_of_the_same_frequency_are_in_the_order_of_the_log(former_home):
    problems = list(summary.summarize(reader.log_path(), filters.LogFilters())["problems"])
    errors = reader.read_newest(reader.log_path(), filters.LogFilters(only_errors=True), 100)
    names = [name for row in errors for name in re.findall(r"(\w+) is ", row["problem"])]
    assert [problem.split()[0] for problem in problems if ", expected a number" in problem] == [
        name for name in names if name in FEATURE_NAMES
    ]


def test_the_command_prints_an_archived_month_as_before(former_home, capsys):
    file = former_home.home / "var" / "archive" / ARCHIVED_MONTH
    assert run_command("logs", ["--from", str(file)]) == 0
    assert capsys.readouterr().out == former_home.expected_text("logs_archived")


def test_the_command_of_the_image_prints_the_log_as_before(former_home):
    command = [sys.executable, "-m", "housing.cli.logs", "--since", "2026-01-01"]
    completed = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert completed.stdout == former_home.expected_text("logs")


def test_the_log_is_read_filtered_and_summarized(former_home):
    log = reader.log_path()
    rows = list(reader.read_newest(log, filters.LogFilters(), 100))
    assert len(rows) == N_ROWS
    assert {row["caller"] for row in rows} == {"ann", "dashboard"}
    assert {row["model_version"] for row in rows} == {"2", None}
    errors = list(reader.read_newest(log, filters.LogFilters(only_errors=True), 100))
    assert [row["status"] for row in errors] == [422, 422, 400, 415, 400]
    lines = former_home.expected_text("logs_json").splitlines()
    assert [json.loads(formatting.to_json(row)) for row in rows] == [*map(json.loads, lines)]
    [unsupported] = reader.read_newest(log, filters.LogFilters(status=(415, 415)), 100)
    assert unsupported["input"] == "<a/>"
    log_summary = summary.summarize(log, filters.LogFilters(version="2"))
    assert log_summary["rows"] == N_ROWS - N_ERRORS


def test_its_rows_are_archived_into_the_month_that_exists(former_home, capsys):
    log, month = reader.log_path(), former_home.home / "var" / "archive" / ARCHIVED_MONTH
    rows_before = sorted([*rows_of(log), *rows_of(month)])
    assert len(rows_before) == N_ROWS + N_ARCHIVED_ROWS
    assert archive.archive_rows(log, END_OF_TIME, month.parent, lambda _: None) == {month: N_ROWS}
    assert rows_of(log) == []
    assert rows_of(month) == rows_before
    archive.vacuum(log)
    assert (
        run_command("logs", ["--from", str(month), "--limit", str(N_ARCHIVED_ROWS + N_ROWS)]) == 0
    )
    texts = [former_home.expected_text(name) for name in ("logs_archived", "logs")]
    assert capsys.readouterr().out == "".join(texts)


def test_archiving_reports_the_sizes_as_before(former_home, capsys):
    assert run_command("logs", ["--archive", "2026-01-01"]) == 0
    before, now = former_home.expected_text("archive"), capsys.readouterr().out
    sizes = r"[\d.]+ MB, of which new answers can use [\d.]+ MB again\n"
    pattern = re.escape(f"{former_home.home}/var/logs.db: ") + sizes
    assert re.search(pattern, before)
    assert re.search(pattern, now)
