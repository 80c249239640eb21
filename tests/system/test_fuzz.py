"""Nothing that is sent at random harms the service: the benchmark, for half a minute."""

import subprocess
import sys

import pytest

from housing.paths import PROJECT_ROOT

pytestmark = pytest.mark.slow


def test_whatever_is_sent_the_service_lives_and_says_nothing_wrong(champion_home, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.service.fuzzing", "--minutes", "0.5",
         "--home", champion_home, "--found", tmp_path / "found.bin"],
        cwd=PROJECT_ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "plain requests in between" in done.stdout
