"""Random requests do not harm the service: the fuzzing benchmark, for half a minute."""

import subprocess
import sys

import pytest

from housing.paths import PROJECT_ROOT

pytestmark = pytest.mark.slow


def test_the_service_survives_random_requests_and_answers_them_correctly(champion_home, tmp_path):
    completed = subprocess.run(
        [sys.executable, "-m", "benchmarks.service.fuzzing", "--minutes", "0.5",
         "--home", champion_home, "--found", tmp_path / "found.bin"],
        cwd=PROJECT_ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "plain requests in between" in completed.stdout
