"""The error that is expected of rows without a true value, and what it cannot know."""

import numpy as np
import pytest

from housing.monitoring.reference.estimated_error import (
    ErrorRows,
    cross_fitted_estimates,
    fit_error_table,
)
from housing.monitoring.reference.rank_scale import fit_rank_scale


def draw_rows(n_rows, seed=0, distance_km=1.0):
    """Return rows, and errors that are larger where intervals are wide and training rows far."""
    generator = np.random.default_rng(seed)
    rows = ErrorRows(
        generator.uniform(0.2, 2, n_rows),
        generator.choice([0.0, 0.5, 3.0, 20.0], n_rows) * distance_km,
        generator.uniform(0.5, 5, n_rows),
        generator.uniform(1, 10, n_rows),
    )
    expected = 20_000 * rows.widths * np.where(rows.distances_km > 5, 2, 1)
    return rows, generator.exponential(expected), expected


def test_fresh_rows_are_estimated_as_well_as_their_errors_are_random():
    rows, errors, _ = draw_rows(2_000)
    fresh_rows, fresh_errors, expected = draw_rows(2_000, seed=1)
    estimates = fit_error_table(rows, errors).estimate(fresh_rows)
    standard_error = fresh_errors.std() / np.sqrt(2_000) * np.sqrt(2)  # of both samples
    assert estimates.mean() == pytest.approx(fresh_errors.mean(), abs=3 * standard_error)
    # of single rows: within a tenth of what they were drawn from, on average
    assert np.abs(estimates / expected - 1).mean() < 0.1


def test_traffic_far_from_the_training_rows_is_expected_to_be_worse():
    rows, errors, _ = draw_rows(2_000)
    far_rows, far_errors, _ = draw_rows(2_000, seed=1, distance_km=100)
    estimates = fit_error_table(rows, errors).estimate(far_rows)
    assert estimates.mean() > 1.3 * errors.mean()
    assert estimates.mean() == pytest.approx(far_errors.mean(), rel=0.15)


def test_the_estimates_of_each_band_add_up_to_its_errors():
    rows, errors, _ = draw_rows(4_000)
    estimates = fit_error_table(rows, errors).estimate(rows)
    assert estimates.sum() == pytest.approx(errors.sum(), rel=0.01)
    for bands in rows.bands():
        for band in np.unique(bands):
            in_band = bands == band
            # drawn a little towards an ordinary band
            assert estimates[in_band].sum() == pytest.approx(errors[in_band].sum(), rel=0.03)


def test_a_wider_interval_never_means_a_smaller_error():
    rows, errors, _ = draw_rows(500)
    table = fit_error_table(rows, errors)
    assert (np.diff(table.errors_usd) >= 0).all()
    assert (np.diff(table.widths) > 0).all()


def test_prices_that_rose_are_not_seen():
    """Nothing that is known at prediction time changes, so only true values show it."""
    rows, errors, _ = draw_rows(1_000)
    table = fit_error_table(rows, errors)
    true_values = rows.predictions + errors / 1e5
    after_the_rise = np.abs(rows.predictions - 1.2 * true_values) * 1e5
    assert after_the_rise.mean() > 1.5 * errors.mean()
    assert table.estimate(rows).mean() == pytest.approx(errors.mean(), rel=0.02)


def test_held_out_rows_are_estimated_without_their_own_errors():
    rows, errors, _ = draw_rows(1_000)
    estimates = cross_fitted_estimates(rows, errors)
    changed_errors = errors.copy()
    changed_errors[7] += 1e6
    changed = cross_fitted_estimates(rows, changed_errors)
    assert changed[7] == estimates[7]
    assert (changed != estimates).sum() > 100
    assert estimates.mean() == pytest.approx(errors.mean(), rel=0.02)


def test_without_intervals_the_factors_alone_decide():
    rows, errors, _ = draw_rows(2_000)
    rows = rows._replace(widths=np.full(2_000, np.nan))
    estimates = fit_error_table(rows, errors).estimate(rows)
    is_far = rows.distances_km > 5
    assert estimates[is_far].mean() == pytest.approx(errors[is_far].mean(), rel=0.1)
    assert estimates[is_far].mean() > 1.7 * estimates[~is_far].mean()


def test_a_row_without_an_interval_has_no_estimate_if_the_held_out_rows_have_intervals():
    rows, errors, _ = draw_rows(200)
    table = fit_error_table(rows, errors)
    assert np.isnan(table.estimate(rows._replace(widths=np.full(200, np.nan)))).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_estimates_of_fresh_rows_have_the_ranks_of_those_of_held_out_rows(seed):
    """Though these come from tables that were fitted to four fifths of the rows each."""
    rows, errors, _ = draw_rows(1_000)
    fresh_rows, _, _ = draw_rows(1_000, seed)
    scale = fit_rank_scale(cross_fitted_estimates(rows, errors))
    mean_rank = scale.ranks(fit_error_table(rows, errors).estimate(fresh_rows)).mean()
    assert mean_rank == pytest.approx(0.5, abs=3 * 0.289 * np.sqrt(2 / 1_000))
