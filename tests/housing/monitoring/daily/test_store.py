"""The counts of each day agree with the log, whatever has happened to it since the last look."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date

import numpy as np
import pytest

from housing.monitoring.daily import row_sample, store_file
from housing.monitoring.daily import store as daily_store
from housing.monitoring.daily.log_values import ModelKey
from housing.monitoring.quantities import Dimension, HistogramKey
from housing.paths import PROJECT_ROOT
from housing.prediction_log import months
from housing.schema import FEATURE_NAMES
from tests.support.logged_predictions import FIRST_LOG_SCHEMA, prediction_row, write_log
from tests.support.traffic_log import (
    MODEL_NAME,
    archive_until,
    load_reference,
    record_truth,
    reference,
    refused_traffic_row,
    traffic_row,
    write_traffic,
)

TODAY = date(2026, 11, 30)
DAYS = ["2026-10-31", "2026-11-01", "2026-11-03"]
FIRST_DAY, LAST_DAY = date(2026, 10, 31), date(2026, 11, 3)
PREDICTION, ERROR = HistogramKey("prediction"), HistogramKey("error")


@pytest.fixture
def log(home):
    """A log of three days in two months, one of them without a row in between."""
    log = home / "var" / "logs.db"
    write_traffic(log, DAYS)
    return log


@pytest.fixture
def refresh(home, log):
    """Refresh the store, and return how many days were read."""

    def refresh_store(store=None, references=load_reference, **options):
        store = store or daily_store.store_path()
        return daily_store.refresh(store, log, references, today=TODAY, **options)

    return refresh_store


def read(**options):
    return daily_store.read(daily_store.store_path(), MODEL_NAME, **options)


def read_anew(refresh, home, **options):
    """Return the counts of a store that is made from nothing."""
    store = home / "fresh" / "daily.db"
    store.unlink(missing_ok=True)
    refresh(store)
    return daily_store.read(store, MODEL_NAME, **options)


def assert_equal_counts(counts, expected):
    assert counts.days == expected.days
    for name in ("histograms", "moments"):
        arrays, expected_arrays = getattr(counts, name), getattr(expected, name)
        assert set(arrays) == set(expected_arrays)
        for key, array in arrays.items():
            np.testing.assert_array_equal(array, expected_arrays[key], str(key))
    for name in ("requests", "refusals", "latencies", "cells", "sample"):
        frame, expected_frame = getattr(counts, name), getattr(expected, name)
        assert frame.to_dict("records") == expected_frame.to_dict("records")


def rows_by_day(counts, key=PREDICTION):
    return counts.histograms[key].sum(axis=1).round(6).tolist()


def test_days_come_without_gaps_and_each_row_counts_once(refresh):
    refresh()
    counts = read()
    assert counts.days == tuple(date.fromordinal(FIRST_DAY.toordinal() + n) for n in range(4))
    assert rows_by_day(counts) == [6, 6, 0, 6]
    assert rows_by_day(counts, HistogramKey("prediction", Dimension.CALLER, "key-1")) == [
        3,
        3,
        0,
        3,
    ]
    assert counts.moments[PREDICTION].shape == (4, 3)
    assert counts.requests.rows.sum() == counts.requests.sampled.sum() == 18
    assert counts.latencies.rows.sum() == counts.cells.rows.sum() == 18
    assert (counts.latencies.upper_ms >= 0.412).all()
    assert (counts.latencies.upper_ms < 0.6).all()
    assert len(counts.sample) == 18
    assert set(FEATURE_NAMES) < set(counts.sample.columns)


def test_only_new_days_and_days_with_new_rows_are_read(refresh, log):
    assert refresh().days_read == 3
    assert refresh() == daily_store.RefreshSummary(0, 3, 0, {})
    write_traffic(log, ["2026-11-04"])
    write_log(log, [traffic_row("2026-11-01", 50)])
    assert refresh().days_read == 2
    assert rows_by_day(read()) == [6, 7, 0, 6, 6]


def test_a_refresh_without_news_reads_the_indexes_alone(refresh, log, monkeypatch):
    write_traffic(log, ["2026-11-04"])
    record_truth(log, [traffic_row("2026-11-01", 0)], "2026-11-02")
    refresh()
    statements, connect = [], sqlite3.connect

    def connect_traced(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect_traced)
    refresh()
    monkeypatch.undo()
    with closing(sqlite3.connect(log)) as database:
        counting = [text for text in statements if "FROM prediction WHERE" in text]
        assert len(counting) > 4
        for statement in counting:
            plans = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}")]
            assert any("COVERING INDEX prediction_asked_at" in plan for plan in plans), plans
            assert not any("TEMP B-TREE" in plan for plan in plans), plans


def test_requests_are_grouped_by_status_caller_and_version(refresh, log):
    write_log(log, [refused_traffic_row("2026-11-01", 20 + n, "no JSON") for n in range(2)])
    write_log(log, [traffic_row("2026-11-01", 30, model_version="2", caller=None)])
    refresh()
    rows = read(since=date(2026, 11, 1), until=date(2026, 11, 1)).requests
    assert sorted(map(tuple, rows.fillna("-").values.tolist())) == [
        (date(2026, 11, 1), "-", "key-0", 422, 1, 0),
        (date(2026, 11, 1), "-", "key-1", 422, 1, 0),
        (date(2026, 11, 1), "1", "key-0", 200, 3, 3),
        (date(2026, 11, 1), "1", "key-1", 200, 3, 3),
        (date(2026, 11, 1), "2", "", 200, 1, 1),
    ]


def test_refused_rows_are_counted_against_all(refresh, log):
    write_log(log, [refused_traffic_row("2026-11-01", 20, "no JSON")])
    refresh()
    counts = read()
    assert counts.histograms[HistogramKey("refused")].tolist() == [[6, 0], [6, 1], [0, 0], [6, 0]]
    of_caller = counts.histograms[HistogramKey("refused", Dimension.CALLER, "key-0")]
    assert of_caller.tolist() == [[3, 0], [3, 1], [0, 0], [3, 0]]


def test_refusals_count_for_each_model_and_other_rows_for_their_own(refresh, log):
    write_log(log, [refused_traffic_row("2026-11-01", 20, "no JSON")])
    write_log(log, [traffic_row("2026-11-01", 30 + n, model_name="sample") for n in range(2)])
    refresh()
    assert read().requests.rows.sum() == 19
    counts = daily_store.read(daily_store.store_path(), "sample")
    assert counts.requests.rows.sum() == 3
    assert rows_by_day(counts) == [0, 2, 0, 0]
    assert counts.refusals.rows.sum() == 1


def test_versions_are_counted_together_or_apart(refresh, log):
    write_log(log, [traffic_row("2026-11-01", 30 + n, model_version="2") for n in range(2)])
    refresh()
    assert rows_by_day(read()) == [6, 8, 0, 6]
    assert rows_by_day(read(version="1")) == [6, 6, 0, 6]
    assert rows_by_day(read(version="2")) == [0, 2, 0, 0]
    assert read(version="2").requests.rows.sum() == 2
    assert list(read(version="2").sample.version) == ["2", "2"]


@pytest.mark.parametrize("cutoff", ["2026-11-01", "2026-11-01T00:02", "2026-12-01"])
def test_archiving_changes_no_day(refresh, log, home, cutoff):
    write_log(log, [refused_traffic_row("2026-11-01", 20, "no JSON")])
    refresh()
    expected = read()
    archive_until(log, cutoff)
    assert refresh().days_read == 0
    assert_equal_counts(read(), expected)
    assert_equal_counts(read_anew(refresh, home), expected)


def test_a_row_that_is_in_the_log_and_in_its_month_counts_once(refresh, log, home):
    refresh()
    expected = read()
    rows = [traffic_row("2026-11-01", number) for number in range(4)]
    write_log(months.month_file(months.archive_folder(), "2026-11"), rows)
    assert refresh().days_read == 0
    assert_equal_counts(read_anew(refresh, home), expected)


def test_rows_may_be_archived_while_a_day_is_read(refresh, log, home):
    refresh()
    expected = read()
    list_calls = []

    def archive_and_list():
        list_calls.append(1)
        if len(list_calls) == 4:  # of the first day, after the log was opened
            archive_until(log, "2026-11-02")
        return months.archive_paths()

    store = home / "fresh" / "daily.db"
    refresh(store, list_archives=archive_and_list)
    assert len(months.archive_paths()) == 2
    assert_equal_counts(daily_store.read(store, MODEL_NAME), expected)
    assert refresh(store).days_read == 0


def test_the_service_writes_while_a_day_is_read(refresh, log, home):
    def write_and_list():
        with closing(sqlite3.connect(log, timeout=0)) as database, database:
            database.execute("UPDATE prediction SET latency_ms = latency_ms")
        return months.archive_paths()

    assert refresh(list_archives=write_and_list).days_read == 3


def test_days_whose_rows_are_gone_are_forgotten(refresh, log):
    archive_until(log, "2026-11-01")
    refresh()
    [month] = months.archive_paths()
    month.unlink()
    assert refresh().days_read == 1
    assert read().days[0] == date(2026, 11, 1)
    assert read().requests.rows.sum() == 12


def test_true_values_count_on_the_day_of_their_arrival(refresh, log):
    rows = [traffic_row("2026-10-31", number) for number in range(3)]
    record_truth(log, rows, "2026-11-05")
    archive_until(log, "2026-11-01")
    assert refresh().days_read == 4
    counts = read()
    assert rows_by_day(counts, ERROR) == [0, 0, 0, 0, 0, 3]
    row_count, total, _ = counts.moments[ERROR][-1]
    assert total / row_count == pytest.approx(10_000)
    record_truth(log, [traffic_row("2026-11-01", 4)], "2026-11-05")
    assert refresh().days_read == 1
    assert rows_by_day(read(), ERROR)[-1] == 4


def test_a_correction_changes_its_day_and_that_of_the_former_value(refresh, log):
    rows = [traffic_row("2026-10-31", number) for number in range(3)]
    record_truth(log, rows, "2026-11-02")
    refresh()
    record_truth(log, rows[:1], "2026-11-03", error=0.5)
    assert refresh().days_read == 2
    counts = read()
    assert rows_by_day(counts, ERROR) == [0, 0, 2, 1]
    assert counts.moments[ERROR][-1][1] == pytest.approx(50_000)
    record_truth(log, rows[:1], "2026-11-03", error=0.2)
    assert refresh().days_read == 1
    assert read().moments[ERROR][-1][1] == pytest.approx(20_000)


def test_true_values_of_a_month_that_comes_later_are_counted_then(refresh, log, home):
    record_truth(log, [traffic_row("2026-10-31", 0), traffic_row("2026-11-01", 1)], "2026-11-05")
    archive_until(log, "2026-11-01")
    [month] = months.archive_paths()
    hidden = month.rename(home / "month.db")
    refresh()
    assert rows_by_day(read(), ERROR)[-1] == 1
    assert refresh().days_read == 0
    hidden.rename(month)
    assert refresh().days_read == 2
    assert rows_by_day(read(), ERROR)[-1] == 2


def test_another_reference_of_a_version_counts_its_days_again(refresh, log):
    write_log(log, [traffic_row("2026-11-01", 30, model_version="2")])
    record_truth(log, [traffic_row("2026-11-01", 30)], "2026-11-05")
    refresh()

    def load_other(name, version):
        return reference(0.1 if version == "2" else 0)

    assert refresh(references=load_other).days_read == 2
    assert refresh(references=load_other).days_read == 0


def test_rows_of_a_version_without_a_reference_are_requests_alone(refresh):
    def fail(name, version):
        raise LookupError(f"version {version} was deleted")

    summary = refresh(references=fail)
    assert summary.uncounted_versions == {ModelKey(MODEL_NAME, "1"): "version 1 was deleted"}
    counts = read()
    assert PREDICTION not in counts.histograms
    assert (counts.requests.rows.sum(), counts.requests.sampled.sum()) == (18, 0)
    assert refresh(references=fail).days_read == 0
    assert refresh().days_read == 3
    assert rows_by_day(read()) == [6, 6, 0, 6]


def test_repeats_of_an_input_by_a_caller_count_once_a_day(refresh, log):
    same = traffic_row("2026-11-01", 0)["input"]
    rows = [traffic_row("2026-11-01", 30 + n, input=same) for n in range(10)]
    write_log(log, rows)
    refresh()
    requests = read().requests
    assert requests.rows[requests.day == date(2026, 11, 1)].sum() == 16
    # the input was new for one of the two callers, and not for the other
    assert rows_by_day(read()) == [6, 7, 0, 6]


@pytest.mark.parametrize("cutoff", ["2026-11-01T02:00", "2026-11-03"])
def test_of_many_rows_a_sample_is_counted(refresh, log, home, monkeypatch, cutoff):
    monkeypatch.setattr(row_sample, "MAX_DAILY_ROWS", 20)
    write_log(log, [traffic_row("2026-11-01", 100 + n) for n in range(60)])
    refresh()
    counts = read()
    assert rows_by_day(counts) == [6, 20, 0, 6]
    assert counts.requests.rows.sum() == 78
    archive_until(log, cutoff)
    assert_equal_counts(read_anew(refresh, home), counts)


def test_of_many_true_values_a_sample_is_counted(refresh, log, monkeypatch):
    monkeypatch.setattr("housing.monitoring.daily.day_sources.MAX_DAILY_ROWS", 4)
    record_truth(log, [traffic_row("2026-11-01", number) for number in range(6)], "2026-11-05")
    refresh()
    assert rows_by_day(read(), ERROR)[-1] == 4
    assert refresh().days_read == 0


def test_damaged_rows_count_as_requests_alone(refresh, log):
    damage = {
        10: {"input": None},
        11: {"input": '{"MedInc": "high"}'},
        12: {"input": '{"MedInc"'},
        13: {"prediction": None},
        14: {"input": "[1, 2]"},
    }
    write_log(
        log, [traffic_row("2026-11-01", number, **columns) for number, columns in damage.items()]
    )
    with closing(sqlite3.connect(log)) as database, database:
        database.execute("UPDATE prediction SET latency_ms = 'slow' WHERE rowid = 1")
        database.execute("UPDATE prediction SET status = 'fine' WHERE rowid = 2")
        database.execute("UPDATE prediction SET caller = CAST(x'ff' AS TEXT) WHERE rowid = 3")
        database.execute("UPDATE prediction SET warnings = x'ff' WHERE rowid = 4")
    refresh()
    counts = read()
    assert rows_by_day(counts) == [5, 6, 0, 6]
    assert counts.requests.rows.sum() == 23
    assert counts.latencies.rows.sum() == 22


def test_rows_of_an_absurd_time_count_nowhere(refresh, log):
    times = [
        "", "yesterday", "2026-02-31T00:00", "2026-11-1", "2026-W45-1", "1970-01-01", "2999-01-01",
    ]  # fmt: skip
    write_log(log, [prediction_row(500 + n, asked_at=time) for n, time in enumerate(times)])
    summary = refresh()
    assert (summary.days_read, summary.undated_rows) == (3, len(times))
    assert read().requests.rows.sum() == 18


def test_a_log_of_the_first_service_is_counted(home):
    log = write_log(
        home / "old" / "logs.db", [prediction_row(n) for n in range(3)], FIRST_LOG_SCHEMA
    )
    store = daily_store.store_path()
    daily_store.refresh(store, log, load_reference, today=TODAY)
    assert read().requests.caller.tolist() == [""]
    assert read().requests.rows.tolist() == [3]


@pytest.mark.parametrize("exists", [True, False])
def test_a_log_without_a_row_has_no_days(home, exists):
    log = home / "empty" / "logs.db"
    if exists:
        write_log(log)
    store = daily_store.store_path()
    assert daily_store.refresh(store, log, load_reference).days_read == 0
    with pytest.raises(LookupError, match="has no day yet"):
        read()
    counts = read(since=FIRST_DAY, until=LAST_DAY)
    assert len(counts.days) == 4
    assert counts.histograms == {}
    assert len(counts.requests) == len(counts.sample) == 0


def test_a_store_is_to_be_refreshed_before_it_is_read():
    with pytest.raises(LookupError, match=r"daily.db does not exist: refresh it first"):
        read()


def test_since_may_not_be_after_until(refresh):
    refresh()
    with pytest.raises(ValueError, match="since is 2026-11-03, until 2026-10-31"):
        read(since=LAST_DAY, until=FIRST_DAY)


def test_older_days_may_be_left_out(refresh):
    assert refresh(since=date(2026, 11, 1)).days_read == 2
    assert refresh().days_read == 1
    assert refresh(since=date(2026, 11, 1)).days_read == 0
    assert rows_by_day(read()) == [6, 6, 0, 6]


def test_a_store_of_another_format_is_made_anew(refresh, monkeypatch):
    refresh()
    monkeypatch.setattr(store_file, "COUNTING_VERSION", store_file.COUNTING_VERSION + 1)
    with pytest.raises(LookupError, match="has another format"):
        read()
    assert refresh().days_read == 3
    assert rows_by_day(read()) == [6, 6, 0, 6]


@pytest.mark.parametrize(
    "content", [b"", b"no database" * 500, b"SQLite format 3\0" + 5_000 * b"x"]
)
def test_a_damaged_store_is_made_anew(refresh, content):
    refresh()
    daily_store.store_path().write_bytes(content)
    assert refresh().days_read == 3
    assert rows_by_day(read()) == [6, 6, 0, 6]


def test_two_refreshes_take_turns(refresh):
    with ThreadPoolExecutor() as executor:
        summaries = [executor.submit(refresh) for _ in range(2)]
    assert sorted(summary.result().days_read for summary in summaries) == [0, 3]
    assert rows_by_day(read()) == [6, 6, 0, 6]


def test_a_refresh_that_was_interrupted_is_continued(refresh, home):
    def interrupt(number, total):
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refresh(on_progress=interrupt)
    assert refresh().days_read == 1
    assert_equal_counts(read(), read_anew(refresh, home))


@pytest.mark.slow
def test_a_refresh_that_was_killed_is_continued(refresh, log, home):
    code = """
import os, sys
from datetime import date
from pathlib import Path
from housing.monitoring.daily import store as daily_store
from tests.support.traffic_log import load_reference

store, log = map(Path, sys.argv[1:])
daily_store.refresh(
    store, log, load_reference, today=date(2026, 11, 30),
    on_progress=lambda number, total: number == 2 and os.kill(os.getpid(), 9),
)
"""
    command = [sys.executable, "-c", code, daily_store.store_path(), log]
    assert subprocess.run(command, cwd=PROJECT_ROOT, check=False).returncode == -9
    assert refresh().days_read == 1
    assert_equal_counts(read(), read_anew(refresh, home))


def test_progress_is_reported_by_the_day(refresh):
    progress = []
    refresh(on_progress=lambda number, total: progress.append((number, total)))
    assert progress == [(1, 3), (2, 3), (3, 3)]
