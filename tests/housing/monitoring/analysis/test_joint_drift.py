"""The classifier that tells traffic from held-out rows: what it sees, and what it does not."""

from datetime import date, timedelta

import numpy as np
import pytest

from housing.data.synthetic import generate_sample
from housing.monitoring.analysis.joint_drift import score_days
from housing.monitoring.quantities import RANK_VALUES
from housing.schema import FEATURE_NAMES

REFERENCE = generate_sample(1_600, seed=1)[FEATURE_NAMES]
REFERENCE_ERROR = 0.289 / np.sqrt(len(REFERENCE))  # standard error of a mean rank


def traffic(n_days, rows_per_day, seed=2):
    """Return fresh rows of each day."""
    rows = generate_sample(n_days * rows_per_day, seed=seed)[FEATURE_NAMES].reset_index(drop=True)
    days = tuple(date(2026, 1, 1) + timedelta(number) for number in range(n_days))
    return rows.assign(day=np.repeat(np.array(days), rows_per_day)), days


def mean_rank(histogram):
    """Return the mean rank of some days."""
    counts = histogram.reshape(-1, len(RANK_VALUES)).sum(axis=0)
    return counts @ RANK_VALUES / counts.sum()


def shuffle(sample, days, feature):
    """Exchange the values of a feature among the rows of some days: its distribution stays."""
    changed, is_changed = sample.copy(), sample.day.isin(days)
    values = np.random.default_rng(0).permutation(sample.loc[is_changed, feature])
    changed.loc[is_changed, feature] = values
    return changed


@pytest.mark.parametrize("seed", [2, 3])
def test_fresh_rows_of_the_same_kind_are_not_told_apart(seed):
    sample, days = traffic(30, 50, seed)
    drift = score_days(sample, REFERENCE, days)
    n_ranked = drift.histogram.sum()
    error = np.hypot(REFERENCE_ERROR, 0.289 / np.sqrt(n_ranked))
    assert n_ranked == pytest.approx(26 * 50)  # those after the first 200
    assert mean_rank(drift.histogram) == pytest.approx(0.5, abs=3 * error)
    assert drift.importances.max() < 0.05


def test_a_broken_dependence_is_seen_though_every_feature_looks_as_always():
    sample, days = traffic(30, 50)
    changed = shuffle(sample, days[12:], "Latitude")
    assert sorted(changed.Latitude[600:]) == sorted(sample.Latitude[600:])
    drift = score_days(changed, REFERENCE, days)
    assert mean_rank(drift.histogram[:12]) < 0.55
    assert mean_rank(drift.histogram[-10:]) > 0.6
    assert set(drift.importances.index[:2]) == {"Latitude", "Longitude"}
    assert drift.pairs.index[0] == "Latitude × Longitude"


def test_a_day_is_ranked_by_what_was_learnt_before_it():
    """Else betting on the ranks would not be fair."""
    sample, days = traffic(20, 50)
    early = score_days(sample[sample.day <= days[9]], REFERENCE, days)
    late = score_days(
        sample.assign(MedInc=sample.MedInc.mask(sample.day > days[9], 9)), REFERENCE, days
    )
    assert late.histogram[:10] == pytest.approx(early.histogram[:10])
    assert late.histogram[:4].sum() == 0  # nothing is learnt yet


def test_the_reference_rows_have_uniform_ranks_among_each_other():
    sample, days = traffic(5, 50)
    histogram = score_days(sample, REFERENCE, days).reference_histogram
    assert histogram.sum() == pytest.approx(len(REFERENCE))
    assert mean_rank(histogram) == pytest.approx(0.5)


@pytest.mark.parametrize("n_rows", [0, 199])
def test_too_few_rows_have_no_ranks(n_rows):
    sample, days = traffic(5, 50)
    for rows, reference in ((sample[:n_rows], REFERENCE), (sample, REFERENCE[:n_rows])):
        drift = score_days(rows, reference, days)
        assert drift.histogram.shape == (5, len(RANK_VALUES))
        assert not drift.histogram.any()
        assert drift.importances.empty
        assert drift.pairs.empty


def test_days_without_rows_and_rows_of_other_days_are_left_out():
    sample, days = traffic(10, 60)
    sample = sample[sample.day != days[7]]
    drift = score_days(sample, REFERENCE, days[:9])
    assert drift.histogram.sum(axis=1) == pytest.approx([0, 0, 0, 0, 60, 60, 60, 0, 60])


def test_a_column_that_is_always_the_same_does_no_harm():
    sample, days = traffic(8, 50)
    drift = score_days(sample.assign(HouseAge=52.0), REFERENCE.assign(HouseAge=52.0), days)
    assert np.isfinite(drift.histogram).all()
    assert drift.importances["HouseAge"] == pytest.approx(0)
