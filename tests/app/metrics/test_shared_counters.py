"""Counts are exact, whichever process counts and whichever is killed."""

import os
import signal
import subprocess
import sys

import pytest

from app.metrics import shared_counters
from app.metrics.metrics import Metrics
from app.metrics.shared_counters import CountersFullError, SharedCounters

COUNT_PROGRAM = """
import sys, time
from pathlib import Path
from app.metrics.metrics import Metrics
metrics = Metrics(Path(sys.argv[1]))
for _ in range(2_000):
    metrics.count("housing_requests", "/predict", "200")
print("counted", flush=True)
time.sleep(60)
"""


@pytest.fixture
def counters_file(tmp_path):
    return tmp_path / "counters" / "counts"


def start_counting_process(counters_file):
    return subprocess.Popen(
        [sys.executable, "-c", COUNT_PROGRAM, counters_file], stdout=subprocess.PIPE, text=True
    )


def sample(metrics, name):
    lines = metrics.exposition().decode().splitlines()
    [line] = [line for line in lines if line.startswith(f"{name} ")]
    return float(line.rpartition(" ")[2])


def test_all_that_count_in_a_file_count_together(counters_file):
    requests = 'housing_requests_total{endpoint="/predict",status="200"}'
    workers = [Metrics(counters_file) for _ in range(3)]
    for worker in workers:
        for _ in range(20):
            worker.count("housing_requests", "/predict", "200")
    assert [sample(worker, requests) for worker in workers] == [60] * 3


@pytest.mark.slow
def test_processes_count_together_and_a_killed_process_loses_no_count(counters_file):
    requests = 'housing_requests_total{endpoint="/predict",status="200"}'
    reader = Metrics(counters_file)
    size = counters_file.stat().st_size
    for turn in (1, 2):  # the processes of the second turn claim the slots of the first
        processes = [start_counting_process(counters_file) for _ in range(3)]
        assert [process.stdout.readline() for process in processes] == ["counted\n"] * 3
        assert sample(reader, requests) == turn * 3 * 2_000
        assert len(reader.shared_counters.live_pids()) == 4
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
        assert reader.shared_counters.live_pids() == {reader.shared_counters.slot: os.getpid()}
    assert sample(reader, requests) == 12_000
    assert counters_file.stat().st_size == size
    assert [path.name for path in counters_file.parent.iterdir()] == ["counts"]


def test_the_buckets_of_a_histogram_are_cumulative(counters_file):
    metrics = Metrics(counters_file)
    for value in (0.0001, 0.0005, 0.002, 0.3, 100):
        metrics.observe("housing_request_seconds", value, "/predict")
    page = metrics.exposition().decode()
    cumulative = {"0.0005": 2, "0.001": 2, "0.0025": 3, "0.25": 3, "1": 4, "+Inf": 5}
    for bound, count in cumulative.items():
        labels = f'endpoint="/predict",le="{bound}"'
        assert f"housing_request_seconds_bucket{{{labels}}} {count}.0\n" in page
    assert 'housing_request_seconds_count{endpoint="/predict"} 5.0' in page
    assert 'housing_request_seconds_sum{endpoint="/predict"} 100.3026' in page


def test_a_gauge_combines_the_live_workers_only(counters_file):
    metrics = Metrics(counters_file)
    metrics.set("housing_model_refused", 1)
    assert sample(metrics, "housing_model_refused") == 1
    assert sample(Metrics(counters_file), "housing_model_refused") == 0  # a new worker's own value


def test_a_file_of_another_format_is_replaced(counters_file):
    counters_file.parent.mkdir()
    counters_file.write_bytes(b"something else")
    metrics = Metrics(counters_file)
    metrics.count("housing_log_failures", amount=3)
    assert sample(Metrics(counters_file), "housing_log_failures_total") == 3


def test_versions_beyond_the_capacity_are_counted_together(counters_file, monkeypatch):
    monkeypatch.setattr(shared_counters, "MAX_VALUES_PER_WORKER", 60)
    metrics = Metrics(counters_file)
    metrics.observe("housing_prediction_usd", 200_000, "other", "other")
    for version in range(20):
        metrics.observe("housing_prediction_usd", 200_000, "houses", str(version))
    lines = metrics.exposition().decode().splitlines()
    counts = [line for line in lines if line.startswith("housing_prediction_usd_count")]
    assert sum(float(line.rpartition(" ")[2]) for line in counts) == 21
    assert any('version="other"' in line and not line.endswith(" 1.0") for line in counts)


def test_a_worker_without_a_free_slot_is_refused(counters_file, monkeypatch):
    monkeypatch.setattr(shared_counters, "MAX_WORKERS", 0)
    with pytest.raises(CountersFullError, match="0 processes hold a slot already"):
        SharedCounters(counters_file)
