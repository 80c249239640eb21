"""A user's own files as the source of the pipeline, by the real command."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from housing.data.synthetic import generate_sample
from housing.paths import PROJECT_ROOT
from tests.support.census_counts import make_census_counts

pytestmark = pytest.mark.slow


def prepare(home, source, *arguments):
    """Run the first step on a file; return the exit code and what was printed."""
    command = [sys.executable, "run_pipeline.py", "--only", "prep", "-p", f"source={source}"]
    completed = subprocess.run(
        [*command, *arguments],
        cwd=PROJECT_ROOT,
        env={**os.environ, "HOUSING_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    return completed.returncode, completed.stdout + completed.stderr


def test_all_problems_of_a_file_are_in_the_terminal_and_the_report_until_they_are_dropped(
    home, tmp_path
):
    frame = generate_sample(150).astype(object)
    frame.loc[3, "MedInc"], frame.loc[5, "Latitude"] = "abc", 99
    source = tmp_path / "mine.csv"
    frame.rename(columns={"MedHouseVal": "medhouseval"}).to_csv(source, index=False)
    problems = [
        "column MedHouseVal is missing (the file has medhouseval: rename it)",
        "MedInc is no number in 1 row (row 4: 'abc'), expected 0 to 20 ($10,000 a year)",
        "Latitude is out of range in 1 row (row 6: 99), expected 32 to 42.5 (degrees north)",
    ]
    code, output = prepare(home, source)
    assert code == 1
    assert [line.strip() for line in output.splitlines() if line.startswith("  - ")] == [
        f"- {problem}" for problem in problems
    ]
    [report] = (home / "reports").glob("*-*/01_prep.html")
    page = report.read_text()
    assert "Traceback (most recent call last)" not in page
    assert "<img" not in page  # not one picture was drawn
    frame.to_csv(source, index=False)
    code, output = prepare(home, source, "-p", "bad_rows=drop")
    assert code == 0, output
    manifest = json.loads((home / "data" / "processed" / "manifest.json").read_text())
    assert manifest["dropped"] == {"MedInc is no number": 1, "Latitude is out of range": 1}
    assert manifest["rows"]["raw"] == 150


def test_the_book_s_file_is_prepared_without_the_rows_that_have_gaps(home, tmp_path):
    counts = make_census_counts(generate_sample(150))
    counts.loc[:2, "total_bedrooms"] = np.nan
    source = tmp_path / "housing.csv.gz"
    counts.to_csv(source, index=False)
    code, output = prepare(home, source)
    assert code == 0, output
    assert "block groups: 147" in output
    [report] = (home / "reports").glob("*-*/01_prep.html")
    assert "3 of 150 rows were left out (total_bedrooms is empty: 3)" in report.read_text()
