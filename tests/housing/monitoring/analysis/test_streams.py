"""How the alarm budget is divided, and which means count as normal."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from housing.monitoring.analysis.streams import (
    StreamKey,
    build_streams,
    divide_budget,
    find_callers,
    normal_range,
    reference_moments,
)
from housing.monitoring.counts import DailyCounts, RowCounts
from housing.monitoring.quantities import QUANTITIES_BY_NAME, Aspect, Dimension, HistogramKey

UNIFORM = np.full(21, 200.0)
UNIFORM[[0, -1]] = 100.0  # as ranks between two values are divided between both
HELD_OUT = RowCounts(
    {
        HistogramKey("prediction"): UNIFORM,
        HistogramKey("error"): UNIFORM,
        HistogramKey("absolute_error"): UNIFORM,
        HistogramKey("error", Dimension.REGION, "San Diego"): UNIFORM / 100,
        HistogramKey("missed"): np.array([3_600.0, 400.0]),
        HistogramKey("warned"): np.array([4_000.0, 0.0]),
    },
    {},
)


def daily_counts(histograms, callers=()):
    requests = pd.DataFrame(
        [(date(2026, 11, day), caller) for day, caller in callers], columns=["day", "caller"]
    )
    days = (date(2026, 11, 1), date(2026, 11, 2))
    empty = pd.DataFrame()
    return DailyCounts(days, histograms, {}, requests, empty, empty, empty, empty)


@pytest.mark.parametrize("n_callers", [0, 1, 50])
def test_all_streams_together_have_one_budget(n_callers):
    parts = divide_budget([f"key {number}" for number in range(n_callers)])
    total = sum(part.share * len(QUANTITIES_BY_NAME[part.key.quantity].aspects) for part in parts)
    assert 0.9 < total <= 1
    assert len({part.key for part in parts}) == len(parts)


def test_a_new_caller_takes_nothing_from_the_others():
    before, after = divide_budget(["a"]), divide_budget(["a", "b"])
    assert set(before) < set(after)


def test_callers_are_sorted_by_their_first_request():
    counts = daily_counts({}, [(2, "a"), (1, "web"), (1, ""), (2, "web")])
    assert find_callers(counts) == ["web", "a"]


def moments_of(name, aspect=Aspect.LOCATION, group=()):
    key = StreamKey(HistogramKey(name, *group), aspect)
    return reference_moments(QUANTITIES_BY_NAME[name], key, HELD_OUT)


def test_ranks_of_held_out_rows_are_normal_around_one_half():
    moments = moments_of("prediction")
    assert moments.mean == pytest.approx(0.5)
    assert moments.standard_error == pytest.approx(12**-0.5 / 4_000**0.5, rel=0.01)
    normal = normal_range(QUANTITIES_BY_NAME["prediction"], moments)
    assert normal.high - 0.5 == pytest.approx(0.5 - normal.low)
    assert 0.03 < normal.high - 0.5 < 0.05
    assert moments_of("prediction", Aspect.SPREAD).mean == pytest.approx(0.5, abs=0.01)


def test_a_group_of_few_held_out_rows_has_a_wider_normal_range():
    name = "error"
    wide = normal_range(
        QUANTITIES_BY_NAME[name], moments_of(name, group=(Dimension.REGION, "San Diego"))
    )
    narrow = normal_range(QUANTITIES_BY_NAME[name], moments_of(name))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_a_smaller_error_is_normal():
    assert normal_range(QUANTITIES_BY_NAME["absolute_error"], moments_of("absolute_error")).low == 0


def test_a_share_without_a_single_case_is_not_known_exactly():
    assert moments_of("warned").standard_error > 0


def test_a_caller_is_compared_with_all_held_out_rows():
    assert moments_of("prediction", group=(Dimension.CALLER, "web")) == moments_of("prediction")


def test_only_histograms_with_rows_are_watched():
    day_rows = np.stack([UNIFORM, UNIFORM])
    histograms = {
        HistogramKey("prediction"): day_rows,
        HistogramKey("error"): day_rows * 0,
        HistogramKey("refused"): np.array([[5.0, 0.0], [5.0, 1.0]]),
        HistogramKey("refused", Dimension.CALLER, "web"): np.array([[5.0, 0.0], [5.0, 1.0]]),
    }
    streams = build_streams(daily_counts(histograms, [(1, "web")]), HELD_OUT, 1.0)
    assert set(streams) == {
        StreamKey(HistogramKey("refused")),
        StreamKey(HistogramKey("refused", Dimension.CALLER, "web")),
        StreamKey(HistogramKey("prediction")),
        StreamKey(HistogramKey("prediction"), Aspect.SPREAD),
    }
    twice_as_often = build_streams(daily_counts(histograms), HELD_OUT, 2.0)
    key = StreamKey(HistogramKey("prediction"))
    assert streams[key].log_threshold - twice_as_often[key].log_threshold == pytest.approx(
        np.log(2)
    )
