import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeRegressor

from housing.data.synthetic import generate_sample
from housing.evaluation import metrics
from housing.schema import FEATURE_NAMES, HOUSE_VALUE_CAP, TARGET


def test_scores_match_their_definitions():
    y_true, y_pred = pd.Series([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 6.0])
    scores = metrics.regression_scores(y_true, y_pred)
    assert scores["rmse"] == pytest.approx(3**0.5)
    assert scores["mae"] == 1
    assert scores["median_error"] == 0
    assert scores["r2"] == pytest.approx(1 - 9 / 2)


def test_importance_is_in_dollars_and_ranks_the_used_feature_first(trained_on_income):
    table = metrics.feature_importance(
        trained_on_income, generate_sample(500, seed=1), seed=0, n_repeats=3
    )
    assert table.index[0] == "MedInc"
    assert table["RMSE lost, $"].iloc[0] > 10_000
    assert (table["RMSE lost, $"].iloc[1:] == 0).all()  # no other column is used
    repeated = metrics.feature_importance(
        trained_on_income, generate_sample(500, seed=1), seed=0, n_repeats=3
    )
    pd.testing.assert_frame_equal(table, repeated)


def test_scores_lie_in_their_intervals_and_are_in_dollars():
    frame, y_pred = sample_with_predictions(2_000)
    table = metrics.scores_with_intervals(frame[TARGET], y_pred, n_resamples=200)
    scores = metrics.regression_scores(frame[TARGET], y_pred)
    expected = [scores["rmse"] * 1e5, scores["mae"] * 1e5, scores["median_error"] * 1e5]
    assert list(table.value[["RMSE, $", "mean error, $", "typical error, $"]]) == pytest.approx(
        expected
    )
    assert table.value["R2"] == pytest.approx(scores["r2"])
    percent = (abs(y_pred - frame[TARGET]) / frame[TARGET]).median() * 100
    assert table.value["typical error, %"] == pytest.approx(percent)
    assert ((table.low < table.value) & (table.value < table.high)).all()


def test_the_interval_of_a_mean_is_as_wide_as_in_theory():
    frame, y_pred = sample_with_predictions(2_000)
    [low, high] = metrics.scores_with_intervals(frame[TARGET], y_pred).loc["mean error, $"][1:]
    error = abs(y_pred - frame[TARGET]) * 1e5
    assert high - low == pytest.approx(2 * 1.645 * error.std() / 2_000**0.5, rel=0.1)


def test_a_higher_confidence_level_and_fewer_rows_widen_the_interval():
    frame, y_pred = sample_with_predictions(2_000)
    width = {}
    for rows, level in ((2_000, 0.9), (2_000, 0.99), (200, 0.9)):
        table = metrics.scores_with_intervals(
            frame[TARGET][:rows], y_pred[:rows], n_resamples=300, confidence_level=level
        )
        width[rows, level] = (table.high - table.low)["RMSE, $"]
    assert width[2_000, 0.99] > 1.2 * width[2_000, 0.9]
    assert width[200, 0.9] > 2 * width[2_000, 0.9]


def test_a_seed_repeats_the_intervals():
    frame, y_pred = sample_with_predictions(300)
    [first, repeated, different] = [
        metrics.scores_with_intervals(frame[TARGET], y_pred, seed, n_resamples=120)
        for seed in (1, 1, 2)
    ]
    pd.testing.assert_frame_equal(first, repeated)
    assert (first.low != different.low).any()
    with pytest.raises(
        ValueError, match="confidence_level is 90, expected a number between 0 and 1"
    ):
        metrics.scores_with_intervals(frame[TARGET], y_pred, confidence_level=90)


def test_scores_at_the_cap_are_separate():
    y_true = pd.Series([1.0, 2.0, HOUSE_VALUE_CAP, HOUSE_VALUE_CAP])
    table = metrics.scores_by_cap(y_true, np.array([1.0, 4.0, HOUSE_VALUE_CAP - 1, 4.6]))
    assert list(table.index) == ["all", "below the cap", "at the cap"]
    assert list(table["block groups"]) == [4, 2, 2]
    assert list(table["share, %"]) == [100, 50, 50]
    assert table["RMSE, $"]["below the cap"] == pytest.approx(2**0.5 * 1e5)
    assert table["RMSE, $"]["at the cap"] == pytest.approx(((1 + 0.40001**2) / 2) ** 0.5 * 1e5)
    assert table["bias, $"]["at the cap"] == pytest.approx(-70_000.5)
    assert list(table["predicted $450k or more, %"]) == [25, 0, 50]


def test_without_capped_rows_the_error_at_the_cap_is_nan():
    table = metrics.scores_by_cap(pd.Series([1.0, 2.0]), np.array([1.0, 2.5]))
    assert table["block groups"]["at the cap"] == 0
    assert np.isnan(table["RMSE, $"]["at the cap"])


def test_random_and_spatial_folds_are_two_rows_in_dollars():
    frame, y_pred = sample_with_predictions(500)
    table = metrics.random_vs_spatial_scores(frame[TARGET], frame[TARGET].to_numpy(), y_pred)
    assert list(table.index) == ["a place among known places", "a place without data nearby"]
    assert list(table.iloc[0]) == [0, 0, 1]
    expected = metrics.regression_scores(frame[TARGET], y_pred)
    assert table.iloc[1]["RMSE, $"] == pytest.approx(expected["rmse"] * 1e5)
    assert table.iloc[1]["R2"] == pytest.approx(expected["r2"])


def test_the_summary_metrics_are_the_numbers_of_the_tables():
    frame, y_pred = sample_with_predictions(400)
    score_intervals = metrics.scores_with_intervals(frame[TARGET], y_pred, n_resamples=50)
    fold_comparison = metrics.random_vs_spatial_scores(
        frame[TARGET], frame[TARGET].to_numpy(), y_pred
    )
    groups = pd.Series("all rows", frame.index, name="band")
    coverage = metrics.interval_coverage(frame[TARGET], y_pred - 0.3, y_pred + 0.3, groups)
    curve = pd.DataFrame({"RMSE, $": [62_500.0, 50_000.0, 40_000.0]}, [1_000, 2_000, 4_000])
    summary = metrics.summary_metrics(score_intervals, fold_comparison, coverage, curve)
    assert summary["test_rmse_low"] < summary["far_rmse"] < summary["test_rmse_high"]
    assert summary["far_rmse"] == pytest.approx(
        metrics.regression_scores(frame[TARGET], y_pred)["rmse"]
    )
    assert summary["interval_width"] == pytest.approx(0.6)
    assert summary["interval_coverage_percent"] == pytest.approx(68, abs=7)
    assert summary["rmse_less_per_doubling"] == pytest.approx(0.1125)
    assert summary["test_typical_error_percent"] == score_intervals.loc["typical error, %", "value"]


def test_coverage_counts_the_values_inside_of_all_rows_and_by_group():
    y_true = pd.Series([1.0, 2.0, 3.0, 4.0], [7, 8, 9, 10])
    groups = pd.Series(["a", "a", "a", "b"], y_true.index, name="band")
    low = np.array([1.0, 0.0, 3.5, 3.0])
    table = metrics.interval_coverage(y_true, low, low + np.array([0.5, 1.0, 1.0, 1.5]), groups)
    assert list(table.index) == ["all", "a", "b"]
    assert table.index.name == "band"
    assert list(table["block groups"]) == [4, 3, 1]
    assert list(table["inside, %"]) == pytest.approx([50, 100 / 3, 100])
    assert list(table["mean width, $"]) == pytest.approx([100_000, 250_000 / 3, 150_000])


def sample_with_predictions(rows):
    """Return a sample and predictions whose errors are about $30,000."""
    frame = generate_sample(rows)
    return frame, frame[TARGET].to_numpy() + np.random.default_rng(0).normal(0, 0.3, rows)


@pytest.fixture
def trained_on_income():
    frame = generate_sample(500)
    constant = [name for name in FEATURE_NAMES if name != "MedInc"]
    rows = frame[FEATURE_NAMES].assign(**dict.fromkeys(constant, 1.0))  # nothing else to split on
    return DecisionTreeRegressor(max_depth=3).fit(rows, frame[TARGET])
