"""Numbers over time: errors with their confidence sequences, coverage, estimates, traffic."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from housing.monitoring.report import series
from tests.housing.monitoring.report.conftest import CHANGED_DAY, N_DAYS, ROWS_PER_DAY


def counts_of_days(counts, n_days):
    return replace(counts, days=tuple(date(2026, 1, 1) + timedelta(day) for day in range(n_days)))


@pytest.mark.parametrize(("n_days", "n_parts"), [(1, 1), (45, 45), (46, 7), (400, 58), (800, 27)])
def test_a_long_period_has_longer_parts(no_traffic, n_days, n_parts):
    counts = counts_of_days(no_traffic.counts, n_days)
    assert len(series.part_starts(counts)) == n_parts
    assert series.part_days(counts)[0] == pd.Timestamp("2026-01-01")


def test_the_error_of_each_part_is_the_mean_of_its_rows(risen_prices):
    table = series.error_over_time(risen_prices)
    held_out = series.held_out_error(risen_prices)
    assert table.rows.sum() == pytest.approx(N_DAYS * ROWS_PER_DAY)
    before, after = table[: CHANGED_DAY // 7], table[CHANGED_DAY // 7 + 1 :]
    assert before["mean"].to_numpy() == pytest.approx(held_out, rel=0.2)
    assert (after["mean"] > 1.5 * held_out).all()
    assert ((table.low < table["mean"]) & (table["mean"] < table.high)).all()
    assert ((before.low < held_out) & (held_out < before.high)).all()
    assert (after.low > held_out).all()
    widths = table["high so far"] - table["low so far"]
    assert widths.iloc[CHANGED_DAY // 7 - 1] < widths.iloc[0]


def test_coverage_falls_when_prices_rise(risen_prices):
    table = series.coverage_over_time(risen_prices)
    promised = series.held_out_coverage(risen_prices)
    assert table["mean"].iloc[0] == pytest.approx(promised, abs=0.06)
    assert table.high.iloc[-1] < promised


def test_an_estimate_does_not_see_risen_prices(risen_prices):
    table = series.track_record(risen_prices)
    last = table.iloc[-1]
    assert last["true error"] > 1.5 * last["labelled rows"]
    assert last["labelled rows"] == pytest.approx(table["labelled rows"].iloc[0], rel=0.15)
    assert last["labelled rows"] == pytest.approx(last["all rows"])


def test_the_class_means_are_exact_for_the_held_out_rows(reference):
    scale = reference.rank_scales["absolute_error"]
    [key] = [key for key in reference.counts.histograms if key[:2] == ("absolute_error", "")]
    histogram, moments = reference.counts.histograms[key], reference.counts.moments[key]
    mean = histogram @ series.usd_by_rank(scale) / histogram.sum()
    assert mean == pytest.approx(moments[1] / moments[0], rel=0.03)


def test_traffic_is_summed_by_part(risen_prices):
    table = series.traffic_over_time(risen_prices.counts)
    assert table.answered.sum() == N_DAYS * ROWS_PER_DAY
    assert table.refused.sum() == N_DAYS * 2
    assert table.answered.iloc[0] == 7 * ROWS_PER_DAY


def test_latencies_are_the_upper_ends_of_their_classes(risen_prices):
    table = series.latency_over_time(risen_prices.counts)
    assert (table["half of all"] == 1).all()
    assert (table["99 of 100"] == 8).all()


def test_without_rows_there_are_no_numbers(no_traffic, unlabelled):
    for analysis in (no_traffic, unlabelled):
        assert series.error_over_time(analysis).empty
        assert series.coverage_over_time(analysis).empty
    assert series.track_record(no_traffic).isna().all(axis=None)
    assert not series.traffic_over_time(no_traffic.counts).to_numpy().any()
    assert series.latency_over_time(no_traffic.counts).isna().all(axis=None)
    assert np.isfinite(series.held_out_error(no_traffic))
