"""The OpenAPI document holds: schemathesis asks the real service whatever the document allows."""

import subprocess
import sys

import pytest

from housing.paths import PROJECT_ROOT

pytestmark = pytest.mark.slow


def test_schemathesis_finds_nothing(champion_home):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.service.api_contract", "--examples", "50",
         "--home", champion_home],
        cwd=PROJECT_ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
