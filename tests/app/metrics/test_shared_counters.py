"""What is counted is exact, whoever counts and whoever dies."""

import os
import signal
import subprocess
import sys

import pytest

from app.metrics import shared_counters
from app.metrics.metrics import Metrics
from app.metrics.shared_counters import CountersFullError, SharedCounters

COUNT = """
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
def file(tmp_path):
    return tmp_path / "kept" / "counts"


def counting(file):
    return subprocess.Popen([sys.executable, "-c", COUNT, file], stdout=subprocess.PIPE, text=True)


def sample(metrics, name):
    [line] = [
        one for one in metrics.exposition().decode().splitlines() if one.startswith(f"{name} ")
    ]
    return float(line.rpartition(" ")[2])


def test_processes_count_together_and_none_that_is_killed_takes_its_counts_along(file):
    requests = 'housing_requests_total{endpoint="/predict",status="200"}'
    reader = Metrics(file)
    size = file.stat().st_size
    for turn in (1, 2):  # those of the second turn go on in the slots of the first
        started = [counting(file) for _ in range(3)]
        assert [one.stdout.readline() for one in started] == ["counted\n"] * 3
        assert sample(reader, requests) == turn * 3 * 2_000
        assert len(reader.shared_counters.live_pids()) == 4
        for one in started:
            one.send_signal(signal.SIGKILL)
            one.wait()
            one.stdout.close()
        assert reader.shared_counters.live_pids() == {reader.shared_counters.slot: os.getpid()}
    assert sample(reader, requests) == 12_000
    assert file.stat().st_size == size
    assert [one.name for one in file.parent.iterdir()] == ["counts"]


def test_a_histogram_s_buckets_add_up(file):
    metrics = Metrics(file)
    for value in (0.0001, 0.0005, 0.002, 0.3, 100):
        metrics.observe("housing_request_seconds", value, "/predict")
    page = metrics.exposition().decode()
    for top, many in {"0.0005": 2, "0.001": 2, "0.0025": 3, "0.25": 3, "1": 4, "+Inf": 5}.items():
        place = f'endpoint="/predict",le="{top}"'
        assert f"housing_request_seconds_bucket{{{place}}} {many}.0\n" in page
    assert 'housing_request_seconds_count{endpoint="/predict"} 5.0' in page
    assert 'housing_request_seconds_sum{endpoint="/predict"} 100.3026' in page


def test_a_gauge_is_that_of_those_who_live(file):
    metrics = Metrics(file)
    metrics.set("housing_model_refused", 1)
    assert sample(metrics, "housing_model_refused") == 1
    assert sample(Metrics(file), "housing_model_refused") == 0  # a worker that starts knows nothing


def test_what_is_no_such_file_is_begun_anew(file):
    file.parent.mkdir()
    file.write_bytes(b"something else")
    metrics = Metrics(file)
    metrics.count("housing_log_failures", amount=3)
    assert sample(Metrics(file), "housing_log_failures_total") == 3


def test_versions_beyond_the_room_are_counted_together(file, monkeypatch):
    monkeypatch.setattr(shared_counters, "MAX_VALUES_PER_WORKER", 60)
    metrics = Metrics(file)
    metrics.observe("housing_prediction_usd", 200_000, "other", "other")
    for version in range(20):
        metrics.observe("housing_prediction_usd", 200_000, "houses", str(version))
    page = metrics.exposition().decode()
    counted = [one for one in page.splitlines() if one.startswith("housing_prediction_usd_count")]
    assert sum(float(one.rpartition(" ")[2]) for one in counted) == 21
    assert any('version="other"' in one and not one.endswith(" 1.0") for one in counted)


def test_there_are_no_more_slots_than_there_are(file, monkeypatch):
    monkeypatch.setattr(shared_counters, "MAX_WORKERS", 0)
    with pytest.raises(CountersFullError, match="0 processes count already"):
        SharedCounters(file)
