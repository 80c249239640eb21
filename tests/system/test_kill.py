"""No answer is lost, however the service dies: the benchmark, a small one."""

import subprocess
import sys

import pytest

from housing.paths import PROJECT_ROOT

pytestmark = pytest.mark.slow


def test_every_answer_anybody_got_is_in_the_log_however_the_service_is_killed(champion_home):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.service.crash_durability", "--times", "6",
         "--connections", "16", "--home", champion_home],
        cwd=PROJECT_ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for way in ("one worker", "all workers", "the whole service"):
        assert f"| {way} | 2 |" in done.stdout
