"""Each worker's resources are reported for as long as it is alive."""

import os
import subprocess
import sys

import pytest

from app.metrics.families import process_families


@pytest.fixture
def zombie():
    """Return the id of a process that has ended and that nothing has waited for."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.wait()


def test_the_resources_of_each_worker_are_reported(zombie):
    families = process_families({0: os.getpid(), 2: os.getppid(), 3: zombie, 4: 2**22 + 1})
    samples = {
        (sample.name, sample.labels["worker"]): sample.value
        for family in families
        for sample in family.samples
    }
    for name in (
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
    ):
        assert samples[name, "0"] > 0
        assert samples[name, "2"] >= 0
        assert (name, "4") not in samples
    assert samples["process_start_time_seconds", "0"] >= samples["process_start_time_seconds", "2"]
