"""The self-test: the rules of the monitoring at the volume of the traffic at hand."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from housing.monitoring.analysis.replay import count_traffic
from housing.monitoring.analysis.self_test import Replays, SelfTest, measure_volume, run_self_test

FIRST_DAY = date(2026, 10, 1)
N_DAYS = 20


def make_counts(held_out, rows_per_day, labelled_per_day):
    """Return the counts of days with so many rows, half of them of each of two API keys."""
    rows = held_out.labelled().reset_index(drop=True).assign(status=200, problem="")
    requests, labelled = (
        rows.iloc[np.arange(N_DAYS * n_rows) % len(rows)].assign(
            day=np.repeat(np.arange(N_DAYS), n_rows),
            caller=["bank", "portal"] * (N_DAYS * n_rows // 2),
        )
        for n_rows in (rows_per_day, labelled_per_day)
    )
    return count_traffic(requests, labelled, held_out.reference, FIRST_DAY, N_DAYS)


def answer_as_held_out(held_out):
    """Return a model that predicts what it did for the held-out rows, whatever is changed."""
    columns = held_out.requests()[["prediction", "low", "high", "warned"]]

    def answer(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(**columns.iloc[: len(rows)].reset_index(drop=True))

    return answer


def test_the_volume_is_that_of_each_day_and_caller(held_out):
    volume = measure_volume(make_counts(held_out, rows_per_day=10, labelled_per_day=4))
    assert volume.by_caller.columns.tolist() == ["bank", "portal"]
    assert (volume.by_caller == 5).to_numpy().all()
    assert volume.labelled.tolist() == [4] * N_DAYS


def test_without_traffic_there_is_nothing_to_replay(held_out):
    with pytest.raises(ValueError, match="no traffic to replay"):
        measure_volume(make_counts(held_out, rows_per_day=0, labelled_per_day=0))


def test_changed_prices_are_seen_and_clean_traffic_is_not(held_out):
    counts = make_counts(held_out, rows_per_day=60, labelled_per_day=60)
    answer = answer_as_held_out(held_out)
    result = run_self_test(
        counts, held_out.reference, held_out.test, answer, n_clean_replays=1, n_changed_replays=1
    )
    assert (result.false_alarms, result.clean_days, result.row_share) == (0, 364, 1)
    prices = result.table().loc["true values +10 %"]
    assert prices["seen, %"] == 100
    assert prices["days until seen"] < 10


def test_without_true_values_changed_prices_are_never_seen(held_out):
    counts = make_counts(held_out, rows_per_day=20, labelled_per_day=0)
    answer = answer_as_held_out(held_out)
    result = run_self_test(
        counts, held_out.reference, held_out.test, answer, n_clean_replays=0, n_changed_replays=1
    )
    assert result.table().loc["true values +10 %", "seen, %"] == 0
    assert np.isnan(result.table().loc["true values +10 %", "days until seen"])


def test_a_rate_has_its_interval():
    year = SelfTest(1.0, 1.0, 1.0, 1461, 3, ())
    rate, low, high = year.false_alarm_rate()
    assert rate == pytest.approx(0.75)
    assert low == pytest.approx(0.6187 / 4, rel=1e-3)  # chi2.ppf(0.025, 6) / 2
    assert high == pytest.approx(8.7673 / 4, rel=1e-3)  # chi2.ppf(0.975, 8) / 2


def test_the_delay_is_that_of_most_replays():
    replays = (Replays("seen", 3, 90, [9, 2]), Replays("mostly unseen", 3, 90, [2]))
    table = SelfTest(1.0, 1.0, 1.0, 365, 0, replays).table()
    assert table["days until seen"]["seen"] == 9
    assert np.isnan(table["days until seen"]["mostly unseen"])
