"""Problems of refused requests are grouped by their kind, so that the groups stay few."""

from collections import Counter
from datetime import date

import numpy as np
import pytest

from housing.monitoring.daily import day_scan
from housing.monitoring.daily.day_scan import LATENCY_ENDS_MS, OTHER_PROBLEMS, Refusal
from housing.monitoring.daily.log_files import LogFiles
from housing.monitoring.daily.log_values import parse_inputs, parse_numbers
from tests.support.logged_predictions import write_log
from tests.support.traffic_log import refused_traffic_row, traffic_row

DAY = "2026-11-01"


@pytest.fixture
def scan(home):
    """Write rows of a day to a log, and scan that day."""

    def scan_rows(rows):
        log = write_log(home / "var" / "logs.db", rows)
        with LogFiles(log, list).open_day(date.fromisoformat(DAY)) as day_files:
            return day_scan.scan_day(day_files)

    return scan_rows


def test_a_problem_counts_whatever_the_value(scan):
    problems = [
        "MedInc is -1, expected a number from 0 to 20 (median household income; $10,000 a year)",
        "row 3: MedInc is 'x', expected a number from 0 to 20 (median household income; "
        "$10,000 a year); row 4: HouseAge is -2, expected a number from 0 to 100 (years)",
    ]
    rows = [refused_traffic_row(DAY, 2 * n, problem) for n, problem in enumerate(problems)]
    [(refusal, row_count)] = scan(rows).refusals.items()
    assert refusal.caller == "key-0"
    assert refusal.problem.startswith("MedInc is …, expected a number from 0 to 20")
    assert row_count == 2


def test_the_rarest_problems_of_a_caller_count_together(scan, monkeypatch):
    monkeypatch.setattr(day_scan, "MAX_DAILY_PROBLEMS", 1)
    monkeypatch.setattr(day_scan, "PRUNED_PROBLEMS", 2)
    problems = ["a", "b", "b", "c"]
    rows = [refused_traffic_row(DAY, n, text, caller="ann") for n, text in enumerate(problems)]
    rows.append(refused_traffic_row(DAY, 9, "d", caller=None))
    assert scan(rows).refusals == Counter(
        {Refusal("ann", "b"): 2, Refusal("ann", OTHER_PROBLEMS): 2, Refusal("", "d"): 1}
    )


def test_a_long_problem_is_cut(scan):
    [refusal] = scan([refused_traffic_row(DAY, 0, "x" * 1_000)]).refusals
    assert len(refusal.problem) == day_scan.MAX_PROBLEM_CHARS


def test_a_latency_counts_in_the_class_that_ends_above_it(scan):
    latencies = [0.0, 0.1, 0.11, 99.0, 1e9, float("inf")]
    rows = [traffic_row(DAY, n, latency_ms=latency) for n, latency in enumerate(latencies)]
    [histogram] = scan(rows).latencies.values()
    assert histogram.sum() == len(latencies)
    assert LATENCY_ENDS_MS[np.repeat(np.arange(len(histogram)), histogram)].tolist() == [
        0.1, 0.1, 0.1259, 100.0, np.inf, np.inf,
    ]  # fmt: skip


def test_what_is_no_number_is_missing():
    numbers = parse_numbers([1, 2.5, None, "x", b"\xff", "3"])
    np.testing.assert_array_equal(numbers, [1, 2.5, np.nan, np.nan, np.nan, 3])


@pytest.mark.parametrize("text", [None, "", "{}", "[1]", "2", '{"MedInc": "x"}', b"\xff", "1,2"])
def test_a_damaged_input_spoils_no_other(text):
    features = parse_inputs([traffic_row(DAY, 0)["input"], text])
    assert np.isfinite(features[0]).all()
    assert np.isnan(features[1]).all()
