"""What `run_pipeline.py feedback` takes from a file, what it prints, and its exit codes."""

import gzip
import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pandas as pd
import pytest

from housing.paths import PROJECT_ROOT
from housing.prediction_log import archive, months
from tests.support.commands import run_command
from tests.support.logged_predictions import FIRST_LOG_SCHEMA, timed_row, write_log

NOVEMBER = "2026-11-07T12:00:00.000+00:00"
IDS = [timed_row(NOVEMBER, number)["id"] for number in range(3)]


@pytest.fixture
def log(home):
    """A log that an older service began."""
    rows = [timed_row(NOVEMBER, number) for number in range(3)]
    return write_log(home / "var" / "logs.db", rows, FIRST_LOG_SCHEMA)


def recorded(log):
    """Return the current true values of the log by the number of the prediction."""
    with closing(sqlite3.connect(log)) as connection:
        rows = connection.execute(
            "SELECT prediction_id, truth, observed_at FROM feedback WHERE superseded_at IS NULL"
        )
        return {IDS.index(row_id): (truth, observed_at) for row_id, truth, observed_at in rows}


@pytest.mark.parametrize(
    "content",
    [
        f"id,truth_usd,observed_at\n{IDS[0]},450000,2024-11-29\n{IDS[1]},$,\n{IDS[1]},125000,\n",
        f"id;truth;observed_at\n{IDS[0]};4,5;2024-11-29\n{IDS[1]};1,25;\n\n{IDS[2]};x;\n",
        json.dumps(
            [
                {"id": IDS[0], "truth": 4.5, "observed_at": "2024-11-29"},
                {"id": IDS[1], "actual": 1.25},
                "no row",
            ]
        ),
        f'{{"id": "{IDS[0]}", "truth": 4.5, "observed_at": "2024-11-29T00:00:00Z"}}\n\n'
        f'{{"id": "{IDS[1]}", "truth_usd": 125000}}\n{{"id": \n',
    ],
    ids=["csv", "semicolons", "json", "json lines"],
)
@pytest.mark.parametrize("is_packed", [False, True])
def test_files_are_taken_as_people_write_them(log, home, capsys, content, is_packed):
    file = home / "truths"
    data = ("\ufeff" + content).encode()
    file.write_bytes(gzip.compress(data) if is_packed else data)
    assert run_command("feedback", [file]) == 1
    output = capsys.readouterr()
    assert output.out == "true values: 2 accepted, 0 unchanged, 0 corrected, 1 refused\n"
    assert output.err.startswith("row ")
    assert recorded(log) == {0: (4.5, "2024-11-29T00:00:00.000+00:00"), 1: (1.25, None)}


def test_parquet_of_pandas_is_taken(log, home, capsys):
    frame = pd.DataFrame(
        {
            "request_id": [row_id[:32] for row_id in IDS],
            "index": [0, 0, 1],
            "truth_usd": [450_000, 125_000, 1e5],
            "observed_at": pd.to_datetime(["2024-11-29", None, None]),
        }
    )
    file = home / "truths.parquet"
    frame.to_parquet(file, index=False)
    assert run_command("feedback", [file]) == 1
    assert capsys.readouterr().err.startswith("row 3: index is 1, and the request")
    assert recorded(log) == {0: (4.5, "2024-11-29T00:00:00.000+00:00"), 1: (1.25, None)}


def test_the_same_file_again_changes_nothing(log, home, capsys):
    file = home / "truths.csv"
    file.write_text(f"id,truth\n{IDS[0]},4.5\n")
    assert run_command("feedback", [file]) == 0
    assert run_command("feedback", [file]) == 0
    assert capsys.readouterr().out.splitlines()[1] == (
        "true values: 0 accepted, 1 unchanged, 0 corrected, 0 refused"
    )


def test_archived_months_are_looked_at(log, home):
    archive.archive_rows(log, "2026-12-01", months.archive_folder(), lambda _: None)
    file = home / "truths.csv"
    file.write_text(f"id,truth\n{IDS[2]},4.5\n")
    assert run_command("feedback", [file]) == 0
    assert recorded(log) == {2: (4.5, None)}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("id,price\na,1\n", "'price' is not a field of feedback"),
        ("id\na\n", "there is no column truth, truth_usd or actual"),
        ("id,id,truth\na,b,1\n", "the column id is there more than once"),
        ("", "truths.csv is empty"),
        ("id,truth\n", "has no row"),
        ("[]", "has no row"),
        ("[1,\n2\n", "truths.csv is not JSON"),
        ("<html>", "a web page or XML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(log, home, capsys, content, problem):
    file = home / "truths.csv"
    file.write_text(content)
    assert run_command("feedback", [file]) == 2
    assert problem in capsys.readouterr().err


def test_a_file_or_log_that_is_missing_is_named(home, capsys):
    file = home / "truths.csv"
    assert run_command("feedback", [file]) == 2
    assert "truths.csv" in capsys.readouterr().err
    file.write_text("id,truth\na,1\n")
    assert run_command("feedback", [file]) == 2
    assert "nothing is logged yet" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_of_the_image_does_the_same(log, home):
    file = home / "truths.csv"
    file.write_text(f"id,truth\n{IDS[0]},4.5\nunknown,1\n")
    command = [sys.executable, "-m", "housing.cli.feedback", str(file)]
    completed = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert completed.returncode == 1
    assert completed.stdout == "true values: 1 accepted, 0 unchanged, 0 corrected, 1 refused\n"
    assert completed.stderr.startswith("row 2: id is 'unknown'")
