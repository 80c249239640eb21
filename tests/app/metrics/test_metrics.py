"""What /metrics says while others count."""

import sys
import threading

import pytest

from app.metrics.metrics import Metrics


@pytest.fixture
def hurried():
    """Threads take turns a thousand times as often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


def test_names_that_come_up_while_it_is_scraped_are_entered_once(tmp_path, hurried):
    metrics, over, failed = Metrics(tmp_path / "counts"), threading.Event(), []

    def scrape():
        while not over.is_set():
            try:
                metrics.exposition()
            except ValueError as torn:
                failed.append(torn)

    threads = [threading.Thread(target=scrape) for _ in range(3)]
    for one in threads:
        one.start()
    for at in range(400):
        metrics.count("housing_requests", f"/{at}", "200")
    over.set()
    for one in threads:
        one.join()
    assert not failed
    totals = metrics.shared_counters.values_by_name()
    counted = [sum(numbers) for (name, *_), numbers in totals if name == "housing_requests"]
    assert counted == [1] * 400


def test_a_time_that_nobody_has_set_is_not_told_as_1970(tmp_path):
    """An alert would take the registry for away since then, where nobody follows one."""
    metrics, name = Metrics(tmp_path / "counts"), "housing_registry_reached_timestamp_seconds"
    assert f"\n{name} " not in metrics.exposition().decode()
    assert "\nhousing_model_refused 0.0\n" in metrics.exposition().decode()
    metrics.set(name, 5.0)
    assert f"\n{name} 5.0\n" in metrics.exposition().decode()
