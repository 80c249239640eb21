"""Champion against challenger on labelled rows: when it decides, and how often it is wrong."""

import json

import numpy as np
import pytest

from housing.monitoring.comparison.model_comparison import (
    DIFFERENCE_LIMIT_USD,
    Decision,
    Loss,
    compare_errors,
    evidence_table,
    load_comparison,
    scaled_gains,
)
from housing.monitoring.comparison.paired_errors import PairedErrors
from housing.monitoring.statistics.betting import log_growth, log_mean_exp
from housing.prediction_log import archive, months
from housing.prediction_log.feedback import TrueValue
from housing.prediction_log.shadow_answers import ModelKey
from tests.support.logged_predictions import EXAMPLE_BLOCK_GROUP, timed_row, write_log
from tests.support.shadow_answers import record_truths, shadow_answer, write_answers

CHALLENGER = ModelKey("california-housing", "2")
TIME = "2026-11-20T08:00:00.000+00:00"


def random_errors(rng, mean_gain_usd, n_rows, spread_usd=15_000):
    """Return errors whose differences have a long tail, as those of real models have."""
    champion = 40_000 + rng.exponential(25_000, n_rows)
    noise = rng.laplace(0, spread_usd / np.sqrt(2), n_rows)
    challenger = np.maximum(champion - mean_gain_usd - noise, 0)
    return PairedErrors(champion, challenger, [TIME] * n_rows)


def compare(errors, **options):
    return compare_errors(errors, CHALLENGER, "1", **options)


def test_an_equal_challenger_is_rarely_called_different_however_often_one_looks():
    """At most in 5 % of all series of 400 rows, each looked at after each of its rows."""
    rng = np.random.default_rng(0)
    n_series, n_rows = 600, 400
    # rare large losses and frequent small gains, with the mean 0: the skew is what breaks t-tests
    is_loss = rng.random((n_series, n_rows)) < 0.05
    gains = np.where(is_loss, -0.95, 0.05).ravel() * DIFFERENCE_LIMIT_USD
    errors = PairedErrors(np.full(len(gains), 2e5), 2e5 - gains, [TIME] * len(gains))
    values, positions = np.unique(scaled_gains(errors), return_inverse=True)
    for sign, name in ((1, "better"), (-1, "worse")):
        growth = log_growth(0.5 + sign * (values - 0.5), 0.5)[:, positions]
        paths = log_mean_exp(np.cumsum(growth.reshape(-1, n_series, n_rows), axis=2))
        wrong = np.mean(paths.max(axis=1) >= np.log(2 / 0.05))
        assert wrong <= 0.025 + 3 * np.sqrt(0.025 / n_series), name


def test_a_challenger_that_is_1_500_dollars_better_is_seen_within_4_000_rows():
    rng = np.random.default_rng(1)
    decisions = [compare(random_errors(rng, 1_500, 4_000)).decision for _ in range(30)]
    assert decisions.count(Decision.BETTER) >= 27
    assert Decision.WORSE not in decisions


def test_a_worse_challenger_is_called_worse_and_its_loss_is_in_the_interval():
    comparison = compare(random_errors(np.random.default_rng(2), -3_000, 4_000))
    assert comparison.decision == Decision.WORSE
    assert not comparison.is_better
    assert comparison.low < -3_000 < comparison.high < 0
    assert comparison.e_value < 1 < 40 < comparison.e_value_worse
    assert comparison.challenger_error_usd > comparison.champion_error_usd


def test_few_rows_decide_nothing():
    comparison = compare(random_errors(np.random.default_rng(3), 1_500, 20))
    assert comparison.decision == Decision.UNDECIDED
    assert comparison.low < 0 < comparison.high
    assert "20 rows with a true value" in comparison.describe()
    assert "undecided" in comparison.describe()


def test_without_rows_nothing_is_known():
    comparison = compare(PairedErrors(np.empty(0), np.empty(0), []))
    assert (comparison.decision, comparison.row_count) == (Decision.UNDECIDED, 0)
    assert (comparison.low, comparison.high) == (-DIFFERENCE_LIMIT_USD, DIFFERENCE_LIMIT_USD)
    assert comparison.describe().endswith("no row that both have answered has a true value yet")


def test_a_single_row_counts_for_no_more_than_the_limit():
    errors = PairedErrors(np.array([5e6, 1e4]), np.array([0.0, 1e4]), [TIME] * 2)
    assert scaled_gains(errors).tolist() == [1.0, 0.5]
    assert compare(errors).gain == pytest.approx(DIFFERENCE_LIMIT_USD / 2)


def test_a_row_for_which_the_challenger_fails_is_its_largest_loss():
    rng = np.random.default_rng(4)
    errors = random_errors(rng, 1_500, 4_000)
    errors.challenger[::10] = np.nan
    comparison = compare(errors)
    assert (comparison.decision, comparison.failed_count) == (Decision.WORSE, 400)
    assert "400 of which it failed to answer" in comparison.describe()
    assert comparison.challenger_error_usd < comparison.champion_error_usd


def test_squared_errors_are_compared_too():
    errors = PairedErrors(np.full(2_000, 5e4), np.full(2_000, 4e4), [TIME] * 2_000)
    comparison = compare(errors, loss=Loss.SQUARED)
    assert comparison.gain == pytest.approx(5e4**2 - 4e4**2)
    assert comparison.decision == Decision.BETTER
    assert "$²" in comparison.describe()


def test_the_evidence_is_shown_after_ever_more_rows():
    errors = random_errors(np.random.default_rng(5), 1_500, 1_000)
    table = evidence_table(errors, n_points=7)
    assert table["rows"].is_monotonic_increasing
    comparison = compare(errors)
    last = table.iloc[-1]
    assert (last["rows"], last["e_value"]) == (1_000, pytest.approx(comparison.e_value))
    assert last["low"] == pytest.approx(comparison.low)
    assert evidence_table(errors)["rows"].iloc[0] == 10


@pytest.fixture
def log(home):
    """A log of 40 rows in two months, of which the champion is off by 0.5 and the challenger 0.2.

    The truth of the first 30 is known, and arrived in reverse order.
    """
    rows = [
        timed_row(
            f"2026-{10 + number % 2}-{1 + number // 2:02}T12:00:00.000+00:00",
            number,
            prediction=2.5,
            input=json.dumps(EXAMPLE_BLOCK_GROUP | {"HouseAge": number}),
        )
        for number in range(40)
    ]
    log = write_log(home / "var" / "logs.db", rows)
    write_answers(
        log,
        [shadow_answer(row["id"], 2.2, answered_at=row["asked_at"]) for row in rows[:35]]
        + [shadow_answer(row["id"], 9.0, version="3") for row in rows[:3]],
    )
    true_values = [TrueValue(row["id"], 2.0) for row in reversed(rows[:30])]
    record_truths(log, true_values, "2026-12-01T12:00:00.000+00:00")
    return log


def load(log, **options):
    return load_comparison(
        log, log.with_name("shadow.db"), months.archive_paths(), CHALLENGER, **options
    )


def test_rows_that_both_predicted_and_whose_truth_is_known_are_compared(log):
    comparison, evidence = load(log, champion_version="1")
    assert comparison.row_count == 30
    assert comparison.champion_error_usd == pytest.approx(50_000)
    assert comparison.challenger_error_usd == pytest.approx(20_000)
    assert comparison.gain == pytest.approx(30_000)
    assert comparison.decision == Decision.BETTER
    assert evidence["rows"].tolist() == [*range(1, 31)]


def test_archived_rows_are_compared_too(log):
    expected = load(log, champion_version="1").comparison
    archive.archive_rows(
        log, "2026-11-10T00:00:00.000", months.archive_folder(), lambda _count: None
    )
    assert load(log, champion_version="1").comparison == expected


def test_predictions_of_another_champion_are_left_out(log):
    assert load(log, champion_version="7").comparison.row_count == 0


def test_by_default_the_newest_models_are_compared(log):
    comparison = load_comparison(log, log.with_name("shadow.db")).comparison
    assert (comparison.challenger_version, comparison.champion_version) == ("3", "1")
    assert comparison.row_count == 3


def test_a_block_group_that_is_asked_for_again_counts_once(log):
    repetitions = [
        timed_row("2026-11-25T12:00:00.000+00:00", number, prediction=2.5,
                  input=json.dumps(EXAMPLE_BLOCK_GROUP | {"HouseAge": 1}))
        for number in range(50)
    ]  # fmt: skip
    write_log(log, repetitions)
    write_answers(log, [shadow_answer(row["id"], 2.2) for row in repetitions])
    record_truths(log, [TrueValue(row["id"], 2.0) for row in repetitions])
    assert load(log, champion_version="1").comparison.row_count == 30


def test_a_corrected_truth_replaces_the_first(log):
    row = timed_row("2026-10-01T12:00:00.000+00:00", 0)
    record_truths(log, [TrueValue(row["id"], 2.4)], "2026-12-02T12:00:00.000+00:00")
    comparison = load(log, champion_version="1").comparison
    assert comparison.row_count == 30
    assert comparison.champion_error_usd == pytest.approx((29 * 50_000 + 10_000) / 30)


def test_without_a_shadow_there_is_nothing_to_compare(home):
    log = write_log(home / "var" / "logs.db", [])
    shadow_file = log.with_name("shadow.db")
    assert load_comparison(log, shadow_file) is None
    shadow_file.touch()
    assert load_comparison(log, shadow_file) is None
    report = load_comparison(log, shadow_file, challenger=CHALLENGER)
    assert report.comparison.row_count == len(report.evidence) == 0
