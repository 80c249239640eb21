"""What /metrics says while others count."""

import sys
import threading

import pytest

from app.metrics import Metrics


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
                metrics.page()
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
    totals = metrics.cells.totals()
    counted = [sum(numbers) for (name, *_), numbers in totals if name == "housing_requests"]
    assert counted == [1] * 400
