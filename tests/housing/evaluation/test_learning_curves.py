import numpy as np
import pandas as pd
import pytest
from joblib import Parallel
from sklearn.dummy import DummyRegressor
from sklearn.tree import DecisionTreeRegressor

from housing.data.synthetic import generate_sample
from housing.evaluation import learning_curves
from housing.schema import TARGET
from housing.training import folds, search

fitted_rows = []  # by RecordingRegressor: the row numbers of each fit


class RecordingRegressor(DummyRegressor):
    """Predicts a hundredth of its number of training rows, and records which they were."""

    def fit(self, X, y):
        fitted_rows.append(set(X.index))
        self.n_rows = len(X)
        return self

    def predict(self, X):
        return np.full(len(X), self.n_rows / 100)


def split_at(n_train_rows, n_rows):
    """Return one fold, which holds the last rows out."""
    return [(np.arange(n_train_rows), np.arange(n_train_rows, n_rows))]


def test_a_larger_training_set_contains_the_smaller_one(single_process):
    frame = generate_sample(300)
    fitted_rows.clear()
    table = learning_curves.learning_curve(
        RecordingRegressor, frame, split_at(200, 300), [50, 100, 200]
    )
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
    table = learning_curves.learning_curve(RecordingRegressor, frame, fold_indices, [200, 100])
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
    table = learning_curves.learning_curve(build, frame, split_at(1_500, 2_000), [100, 400, 1_500])
    assert table["RMSE, $"].is_monotonic_decreasing


@pytest.mark.parametrize("sizes", [[100, 301], [0, 100]])
def test_a_training_size_above_the_number_of_rows_is_an_error(sizes):
    with pytest.raises(
        ValueError, match=r"train_sizes are .*, expected numbers of rows from 1 to 300"
    ):
        learning_curves.learning_curve(
            RecordingRegressor, generate_sample(350), split_at(300, 350), sizes
        )


def test_the_gain_of_a_doubling_is_measured_at_the_end_of_the_curve():
    rmse = [90_000.0, 60_000.0, 59_000.0, 58_000.0]
    table = pd.DataFrame({"RMSE, $": rmse}, [1_000, 2_000, 4_000, 8_000])
    assert learning_curves.rmse_drop_per_doubling(table) == pytest.approx(1_000)


def test_the_learning_curve_is_extrapolated_with_its_slope():
    table = pd.DataFrame({"RMSE, $": [62_500.0, 50_000.0, 40_000.0]}, [1_000, 2_000, 4_000])
    slope = learning_curves.rmse_drop_per_doubling(table) / 40_000
    assert learning_curves.extrapolated_rmse_ratio(table, 2) == pytest.approx(1 - slope)
    assert learning_curves.extrapolated_rmse_ratio(table, 1.5) == pytest.approx(
        (1 - slope) ** np.log2(1.5)
    )
    rising = table.iloc[::-1].set_axis(table.index)
    assert learning_curves.extrapolated_rmse_ratio(rising, 2) == 1


def test_the_learning_curve_of_a_search_doubles_its_sizes(home):
    train = generate_sample(1_600)
    result = search.tune_families(["tree"], train, n_trials=1)["tree"]
    table = learning_curves.search_learning_curve(result, train)
    assert list(table.index) == [150, 300, 600, 1_200]
    assert table["RMSE, $"].iloc[-1] < table["RMSE, $"].iloc[0]


@pytest.fixture
def single_process(monkeypatch):
    """Train in the test's process, where the recorded rows can be read."""
    monkeypatch.setattr(learning_curves, "Parallel", lambda n_jobs: Parallel(n_jobs=1))
