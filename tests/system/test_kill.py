"""No prediction is lost, however the service is killed: a small run of the benchmark."""

import subprocess
import sys

import pytest

from housing.paths import PROJECT_ROOT

pytestmark = pytest.mark.slow


def test_every_prediction_a_client_got_is_in_the_log_however_the_service_is_killed(champion_home):
    completed = subprocess.run(
        [sys.executable, "-m", "benchmarks.service.crash_durability", "--times", "6",
         "--connections", "16", "--home", champion_home],
        cwd=PROJECT_ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stdout + completed.stderr
    for way in ("one worker", "all workers", "the whole service"):
        assert f"| {way} | 2 |" in completed.stdout
