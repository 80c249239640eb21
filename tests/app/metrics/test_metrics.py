"""What /metrics reports while other threads count."""

import sys
import threading

import pytest

from app.metrics.metrics import Metrics


@pytest.fixture
def frequent_thread_switches():
    """Let threads take turns a thousand times as often."""
    usual_interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(usual_interval)


def test_names_that_are_added_during_a_scrape_are_entered_once(tmp_path, frequent_thread_switches):
    metrics, is_finished = Metrics(tmp_path / "counts"), threading.Event()
    errors = []

    def scrape():
        while not is_finished.is_set():
            try:
                metrics.exposition()
            except ValueError as error:
                errors.append(error)

    threads = [threading.Thread(target=scrape) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(400):
        metrics.count("housing_requests", f"/{number}", "200")
    is_finished.set()
    for thread in threads:
        thread.join()
    assert not errors
    values = metrics.shared_counters.values_by_name()
    counts = [sum(numbers) for (name, *_), numbers in values if name == "housing_requests"]
    assert counts == [1] * 400


def test_a_timestamp_that_was_never_set_is_not_reported_as_1970(tmp_path):
    """An alert would take the registry for unreachable since then, where none is followed."""
    metrics, name = Metrics(tmp_path / "counts"), "housing_registry_reached_timestamp_seconds"
    assert f"\n{name} " not in metrics.exposition().decode()
    assert "\nhousing_model_refused 0.0\n" in metrics.exposition().decode()
    metrics.set(name, 5.0)
    assert f"\n{name} 5.0\n" in metrics.exposition().decode()
