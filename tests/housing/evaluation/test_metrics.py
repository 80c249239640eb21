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


def test_scores_are_those_of_the_definition():
    truth, guess = pd.Series([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 6.0])
    found = metrics.regression_scores(truth, guess)
    assert found["rmse"] == pytest.approx(3**0.5)
    assert found["mae"] == 1
    assert found["median_error"] == 0
    assert found["r2"] == pytest.approx(1 - 9 / 2)


def test_importance_is_in_dollars_and_finds_what_the_model_leans_on(trained_on_income):
    table = metrics.feature_importance(
        trained_on_income, generate_sample(500, seed=1), seed=0, n_repeats=3
    )
    assert table.index[0] == "MedInc"
    assert table["RMSE lost, $"].iloc[0] > 10_000
    assert (table["RMSE lost, $"].iloc[1:] == 0).all()  # no other column is looked at
    again = metrics.feature_importance(
        trained_on_income, generate_sample(500, seed=1), seed=0, n_repeats=3
    )
    pd.testing.assert_frame_equal(table, again)


def test_scores_lie_in_their_intervals_and_are_in_dollars():
    frame, guess = guessed(2_000)
    table = metrics.scores_with_intervals(frame[TARGET], guess, n_resamples=200)
    plain = metrics.regression_scores(frame[TARGET], guess)
    expected = [plain["rmse"] * 1e5, plain["mae"] * 1e5, plain["median_error"] * 1e5]
    assert list(table.value[["RMSE, $", "mean error, $", "typical error, $"]]) == pytest.approx(
        expected
    )
    assert table.value["R2"] == pytest.approx(plain["r2"])
    percent = (abs(guess - frame[TARGET]) / frame[TARGET]).median() * 100
    assert table.value["typical error, %"] == pytest.approx(percent)
    assert ((table.low < table.value) & (table.value < table.high)).all()


def test_the_interval_of_a_mean_is_as_wide_as_theory_says():
    frame, guess = guessed(2_000)
    [low, high] = metrics.scores_with_intervals(frame[TARGET], guess).loc["mean error, $"][1:]
    error = abs(guess - frame[TARGET]) * 1e5
    assert high - low == pytest.approx(2 * 1.645 * error.std() / 2_000**0.5, rel=0.1)


def test_a_higher_level_and_fewer_rows_widen_the_interval():
    frame, guess = guessed(2_000)
    width = {}
    for rows, level in ((2_000, 0.9), (2_000, 0.99), (200, 0.9)):
        part = frame[TARGET][:rows], guess[:rows]
        table = metrics.scores_with_intervals(*part, n_resamples=300, confidence_level=level)
        width[rows, level] = (table.high - table.low)["RMSE, $"]
    assert width[2_000, 0.99] > 1.2 * width[2_000, 0.9]
    assert width[200, 0.9] > 2 * width[2_000, 0.9]


def test_a_seed_repeats_the_intervals():
    frame, guess = guessed(300)
    [one, again, other] = [
        metrics.scores_with_intervals(frame[TARGET], guess, seed, n_resamples=120)
        for seed in (1, 1, 2)
    ]
    pd.testing.assert_frame_equal(one, again)
    assert (one.low != other.low).any()
    with pytest.raises(ValueError, match="level is 90, expected a number between 0 and 1"):
        metrics.scores_with_intervals(frame[TARGET], guess, confidence_level=90)


def test_the_cap_is_told_apart_from_all_else():
    truth = pd.Series([1.0, 2.0, HOUSE_VALUE_CAP, HOUSE_VALUE_CAP])
    table = metrics.scores_by_cap(truth, np.array([1.0, 4.0, HOUSE_VALUE_CAP - 1, 4.6]))
    assert list(table.index) == ["all", "below the cap", "at the cap"]
    assert list(table["block groups"]) == [4, 2, 2]
    assert list(table["share, %"]) == [100, 50, 50]
    assert table["RMSE, $"]["below the cap"] == pytest.approx(2**0.5 * 1e5)
    assert table["RMSE, $"]["at the cap"] == pytest.approx(((1 + 0.40001**2) / 2) ** 0.5 * 1e5)
    assert table["bias, $"]["at the cap"] == pytest.approx(-70_000.5)
    assert list(table["guessed $450k or more, %"]) == [25, 0, 50]


def test_a_part_without_capped_rows_has_no_error_at_the_cap():
    table = metrics.scores_by_cap(pd.Series([1.0, 2.0]), np.array([1.0, 2.5]))
    assert table["block groups"]["at the cap"] == 0
    assert np.isnan(table["RMSE, $"]["at the cap"])


def test_near_and_far_are_two_rows_in_dollars():
    frame, guess = guessed(500)
    table = metrics.random_vs_spatial_scores(frame[TARGET], frame[TARGET].to_numpy(), guess)
    assert list(table.index) == ["a place among known places", "a place without data nearby"]
    assert list(table.iloc[0]) == [0, 0, 1]
    expected = metrics.regression_scores(frame[TARGET], guess)
    assert table.iloc[1]["RMSE, $"] == pytest.approx(expected["rmse"] * 1e5)
    assert table.iloc[1]["R2"] == pytest.approx(expected["r2"])


seen = []


class Remembers(DummyRegressor):
    """Guesses a hundredth of how many rows it learnt from, and notes which they were."""

    def fit(self, X, y):
        seen.append(set(X.index))
        self.rows = len(X)
        return self

    def predict(self, X):
        return np.full(len(X), self.rows / 100)


def test_a_larger_training_set_holds_the_smaller_one(one_process):
    frame = generate_sample(300)
    seen.clear()
    table = metrics.learning_curve(Remembers, frame[:200], frame[200:], [50, 100, 200])
    assert [len(one) for one in seen] == [200, 100, 50]  # the longest does not wait for the others
    assert seen[2] < seen[1] < seen[0] == set(range(200))
    assert seen[2] != set(range(50))
    assert list(table.index) == [50, 100, 200]
    rest = frame[TARGET][200:]
    assert table["RMSE, $"][100] == pytest.approx(((rest - 1) ** 2).mean() ** 0.5 * 1e5)
    assert list(table["spread, $"]) == [0, 0, 0]


def test_a_learning_curve_over_folds_is_their_mean(one_process):
    frame = generate_sample(300)
    cuts = folds.random_folds(300, 3)
    table = metrics.learning_curve(Remembers, frame, cuts, [200, 100])
    rmse = [((frame[TARGET].iloc[rest] - 1) ** 2).mean() ** 0.5 * 1e5 for _, rest in cuts]
    assert list(table.index) == [100, 200]
    assert table["RMSE, $"][100] == pytest.approx(np.mean(rmse))
    assert table["spread, $"][100] == pytest.approx(np.std(rmse))


def test_more_rows_help_a_tree_in_worker_processes_too():
    frame = generate_sample(2_000)
    build = lambda: DecisionTreeRegressor(min_samples_leaf=5, random_state=0)  # noqa: E731
    table = metrics.learning_curve(build, frame[:1_500], frame[1_500:], [100, 400, 1_500])
    assert table["RMSE, $"].is_monotonic_decreasing


@pytest.mark.parametrize("sizes", [[100, 301], [0, 100]])
def test_more_rows_than_there_are_cannot_be_learnt_from(sizes):
    with pytest.raises(ValueError, match=r"sizes are .*, expected numbers of rows from 1 to 300"):
        metrics.learning_curve(Remembers, generate_sample(300), generate_sample(50), sizes)


def test_a_doubling_is_measured_at_the_end_of_the_curve():
    rmse = [90_000.0, 60_000.0, 59_000.0, 58_000.0]
    table = pd.DataFrame({"RMSE, $": rmse}, [1_000, 2_000, 4_000, 8_000])
    assert metrics.rmse_drop_per_doubling(table) == pytest.approx(1_000)


def test_what_more_rows_will_bring_goes_on_as_the_curve_does():
    table = pd.DataFrame({"RMSE, $": [62_500.0, 50_000.0, 40_000.0]}, [1_000, 2_000, 4_000])
    slope = metrics.rmse_drop_per_doubling(table) / 40_000
    assert metrics.extrapolated_rmse_ratio(table, 2) == pytest.approx(1 - slope)
    assert metrics.extrapolated_rmse_ratio(table, 1.5) == pytest.approx((1 - slope) ** np.log2(1.5))
    worse = table.iloc[::-1].set_axis(table.index)
    assert metrics.extrapolated_rmse_ratio(worse, 2) == 1


def test_a_search_can_be_asked_what_more_data_would_bring(home):
    train = generate_sample(1_600)
    found = search.tune_families(["tree"], train, n_trials=1)["tree"]
    table = metrics.search_learning_curve(found, train)
    assert list(table.index) == [150, 300, 600, 1_200]
    assert table["RMSE, $"].iloc[-1] < table["RMSE, $"].iloc[0]


def test_the_tables_become_numbers_to_compare_runs_by():
    frame, guess = guessed(400)
    limits = metrics.scores_with_intervals(frame[TARGET], guess, n_resamples=50)
    apart = metrics.random_vs_spatial_scores(frame[TARGET], frame[TARGET].to_numpy(), guess)
    groups = pd.Series("one", frame.index, name="band")
    covered = metrics.interval_coverage(frame[TARGET], guess - 0.3, guess + 0.3, groups)
    curve = pd.DataFrame({"RMSE, $": [62_500.0, 50_000.0, 40_000.0]}, [1_000, 2_000, 4_000])
    found = metrics.summary_metrics(limits, apart, covered, curve)
    assert found["test_rmse_low"] < found["far_rmse"] < found["test_rmse_high"]
    assert found["far_rmse"] == pytest.approx(
        metrics.regression_scores(frame[TARGET], guess)["rmse"]
    )
    assert found["interval_width"] == pytest.approx(0.6)
    assert found["interval_coverage_percent"] == pytest.approx(68, abs=7)
    assert found["rmse_less_per_doubling"] == pytest.approx(0.1125)
    assert found["test_typical_error_percent"] == limits.loc["typical error, %", "value"]


def test_coverage_counts_who_is_inside_of_all_and_by_group():
    truth = pd.Series([1.0, 2.0, 3.0, 4.0], [7, 8, 9, 10])
    groups = pd.Series(["a", "a", "a", "b"], truth.index, name="band")
    low = np.array([1.0, 0.0, 3.5, 3.0])
    table = metrics.interval_coverage(truth, low, low + np.array([0.5, 1.0, 1.0, 1.5]), groups)
    assert list(table.index) == ["all", "a", "b"]
    assert table.index.name == "band"
    assert list(table["block groups"]) == [4, 3, 1]
    assert list(table["inside, %"]) == pytest.approx([50, 100 / 3, 100])
    assert list(table["mean width, $"]) == pytest.approx([100_000, 250_000 / 3, 150_000])


def guessed(rows):
    """A sample and guesses that are wrong by $30,000 or so."""
    frame = generate_sample(rows)
    return frame, frame[TARGET].to_numpy() + np.random.default_rng(0).normal(0, 0.3, rows)


@pytest.fixture
def one_process(monkeypatch):
    """What the workers do stays in sight of the test."""
    monkeypatch.setattr(metrics, "Parallel", lambda n_jobs: Parallel(n_jobs=1))


@pytest.fixture
def trained_on_income():
    frame = generate_sample(500)
    others = [one for one in FEATURE_NAMES if one != "MedInc"]
    same = frame[FEATURE_NAMES].assign(**dict.fromkeys(others, 1.0))  # nothing else to split on
    return DecisionTreeRegressor(max_depth=3).fit(same, frame[TARGET])
