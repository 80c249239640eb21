"""The service keeps its OpenAPI document: schemathesis sends it whatever the document allows."""

import subprocess
import sys

import pytest

from housing.paths import PROJECT_ROOT

pytestmark = pytest.mark.slow


def test_schemathesis_finds_no_failure(champion_home):
    completed = subprocess.run(
        [sys.executable, "-m", "benchmarks.service.api_contract", "--examples", "50",
         "--home", champion_home],
        cwd=PROJECT_ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stdout + completed.stderr
