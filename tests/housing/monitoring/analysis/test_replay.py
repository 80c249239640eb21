"""Simulated traffic is counted as the daily store counts the log."""

from datetime import date

import numpy as np
import pytest

from housing.monitoring.analysis.replay import count_traffic
from housing.monitoring.quantities import Dimension, HistogramKey
from housing.monitoring.reference.row_counts import count_rows

N_DAYS = 5
FIRST_DAY = date(2026, 10, 1)


@pytest.fixture
def traffic(held_out):
    """Return labelled rows on random days, of which a tenth was refused."""
    generator = np.random.default_rng(0)
    rows = held_out.labelled().reset_index(drop=True)
    is_refused = np.arange(len(rows)) % 10 == 0
    return rows.assign(
        caller=generator.choice(["bank", "portal"], len(rows)),
        day=generator.integers(0, N_DAYS, len(rows)),
        status=np.where(is_refused, 422, 200),
        problem=np.where(is_refused, "MedInc is out of range", ""),
    )


@pytest.fixture
def counts(traffic, held_out):
    labelled = traffic[traffic.status == 200].assign(day=N_DAYS - 1)
    return count_traffic(traffic, labelled, held_out.reference, FIRST_DAY, N_DAYS)


@pytest.mark.parametrize("day", [0, N_DAYS - 1])
def test_each_day_is_counted_as_if_it_were_alone(counts, traffic, held_out, day):
    answered = traffic[traffic.status == 200]
    tables = [answered[answered.day == day].drop(columns="truth")]
    tables += [answered] if day == N_DAYS - 1 else []
    for table in tables:
        alone = count_rows(table.reset_index(drop=True), held_out.reference)
        for key, histogram in alone.histograms.items():
            assert counts.histograms[key][day] == pytest.approx(histogram), key
        for key, moments in alone.moments.items():
            assert counts.moments[key][day] == pytest.approx(moments), key


def test_true_values_count_on_the_day_of_their_arrival(counts, traffic):
    errors = counts.histograms[HistogramKey("error")].sum(axis=1)
    assert errors == pytest.approx([0] * (N_DAYS - 1) + [(traffic.status == 200).sum()])


def test_refused_rows_count_as_requests_alone(counts, traffic):
    refused = counts.histograms[HistogramKey("refused")]
    assert refused.sum(axis=0).tolist() == traffic.status.value_counts()[[200, 422]].tolist()
    by_caller = [
        counts.histograms[HistogramKey("refused", Dimension.CALLER, caller)]
        for caller in ("bank", "portal")
    ]
    assert np.array_equal(sum(by_caller), refused)
    assert counts.refusals.rows.sum() == (traffic.status == 422).sum()
    requests = counts.requests
    assert requests.sampled.sum() == (traffic.status == 200).sum()
    assert requests[requests.status == 422].version.isna().all()
