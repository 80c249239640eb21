import numpy as np
import pandas as pd
import pytest
from joblib import Parallel
from sklearn.dummy import DummyRegressor
from sklearn.tree import DecisionTreeRegressor

from housing.data.synthetic import generate_sample
from housing.evaluation import metrics
from housing.schema import FEATURE_NAMES, HOUSE_VALUE_CAP, TARGET
from housing.training import folds, search


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


fitted_rows = []


class RecordingRegressor(DummyRegressor):
    """Predicts a hundredth of its number of training rows, and records which they were."""

    def fit(self, X, y):
        fitted_rows.append(set(X.index))
        self.n_rows = len(X)
        return self

    def predict(self, X):
        return np.full(len(X), self.n_rows / 100)


def test_a_larger_training_set_contains_the_smaller_one(single_process):
    frame = generate_sample(300)
    fitted_rows.clear()
    table = metrics.learning_curve(RecordingRegressor, frame[:200], frame[200:], [50, 100, 200])
    assert [len(rows) for rows in fitted_rows] == [200, 100, 50]  # the longest task starts first
    assert fitted_rows[2] < fitted_rows[1] < fitted_rows[0] == set(range(200))
    assert fitted_rows[2] != set(range(50))
    assert list(table.index) == [50, 100, 200]
    held_out = frame[TARGET][200:]
    assert table["RMSE, $"][100] == pytest.approx(((held_out - 1) ** 2).mean() ** 0.5 * 1e5)
    assert list(table["spread, $"]) == [0, 0, 0]


def test_a_learning_curve_over_folds_is_their_mean(single_process):
    frame = generate_sample(300)
    fold_indices = folds.random_folds(300, 3)
    table = metrics.learning_curve(RecordingRegressor, frame, fold_indices, [200, 100])
    rmse = [
        ((frame[TARGET].iloc[held_out] - 1) ** 2).mean() ** 0.5 * 1e5
        for _, held_out in fold_indices
    ]
    assert list(table.index) == [100, 200]
    assert table["RMSE, $"][100] == pytest.approx(np.mean(rmse))
    assert table["spread, $"][100] == pytest.approx(np.std(rmse))


def test_more_rows_help_a_tree_in_worker_processes_too():
    frame = generate_sample(2_000)
    build = lambda: DecisionTreeRegressor(min_samples_leaf=5, random_state=0)  # noqa: E731
    table = metrics.learning_curve(build, frame[:1_500], frame[1_500:], [100, 400, 1_500])
    assert table["RMSE, $"].is_monotonic_decreasing


@pytest.mark.parametrize("sizes", [[100, 301], [0, 100]])
def test_a_training_size_above_the_number_of_rows_is_an_error(sizes):
    with pytest.raises(
        ValueError, match=r"train_sizes are .*, expected numbers of rows from 1 to 300"
    ):
        metrics.learning_curve(RecordingRegressor, generate_sample(300), generate_sample(50), sizes)


def test_the_gain_of_a_doubling_is_measured_at_the_end_of_the_curve():
    rmse = [90_000.0, 60_000.0, 59_000.0, 58_000.0]
    table = pd.DataFrame({"RMSE, $": rmse}, [1_000, 2_000, 4_000, 8_000])
    assert metrics.rmse_drop_per_doubling(table) == pytest.approx(1_000)


def test_the_learning_curve_is_extrapolated_with_its_slope():
    table = pd.DataFrame({"RMSE, $": [62_500.0, 50_000.0, 40_000.0]}, [1_000, 2_000, 4_000])
    slope = metrics.rmse_drop_per_doubling(table) / 40_000
    assert metrics.extrapolated_rmse_ratio(table, 2) == pytest.approx(1 - slope)
    assert metrics.extrapolated_rmse_ratio(table, 1.5) == pytest.approx((1 - slope) ** np.log2(1.5))
    rising = table.iloc[::-1].set_axis(table.index)
    assert metrics.extrapolated_rmse_ratio(rising, 2) == 1


def test_the_learning_curve_of_a_search_doubles_its_sizes(home):
    train = generate_sample(1_600)
    result = search.tune_families(["tree"], train, n_trials=1)["tree"]
    table = metrics.search_learning_curve(result, train)
    assert list(table.index) == [150, 300, 600, 1_200]
    assert table["RMSE, $"].iloc[-1] < table["RMSE, $"].iloc[0]


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
def single_process(monkeypatch):
    """Train in the test's process, where the recorded rows can be read."""
    monkeypatch.setattr(metrics, "Parallel", lambda n_jobs: Parallel(n_jobs=1))


@pytest.fixture
def trained_on_income():
    frame = generate_sample(500)
    constant = [name for name in FEATURE_NAMES if name != "MedInc"]
    rows = frame[FEATURE_NAMES].assign(**dict.fromkeys(constant, 1.0))  # nothing else to split on
    return DecisionTreeRegressor(max_depth=3).fit(rows, frame[TARGET])
