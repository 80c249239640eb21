import os
import signal
import threading

import distributed
import joblib
import numpy as np
import optuna
import pandas as pd
import pytest

from housing.data.synthetic import generate_sample
from housing.evaluation import metrics
from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES, TARGET
from housing.training import cache, folds, search
from tests.housing.training.test_executors import cluster


@pytest.fixture(scope="module")
def train():
    return generate_sample(400)


@pytest.fixture(autouse=True)
def one_process():
    """Run the tasks in this process: where they run is the question of test_executors.py."""
    with joblib.parallel_config("sequential"):
        yield


@pytest.mark.slow
def test_each_family_beats_the_mean(train):
    results = search.tune_families(list(FAMILIES), train, "quick")
    assert list(results) == list(FAMILIES)
    for result in results.values():
        assert result.rmse < train[TARGET].std()
        assert len(result.model.predict(train[FEATURE_NAMES])) == len(train)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_result(train, home, monkeypatch):
    first = search.tune_families(["tree"], train, n_trials=9, seed=3)["tree"]
    monkeypatch.setenv("HOUSING_HOME", str(home / "another"))  # with no cached score
    with joblib.parallel_config("loky"):  # in other processes
        second = search.tune_families(["tree"], train, n_trials=9, seed=3)["tree"]
    assert first.params == second.params
    assert first.rmse == second.rmse
    assert first.trials.drop(columns="seconds").equals(second.trials.drop(columns="seconds"))
    third = search.tune_families(["tree"], train, n_trials=9, seed=4)["tree"]
    assert not first.trials.min_samples_leaf.equals(third.trials.min_samples_leaf)


@pytest.mark.parametrize("trials", [1, 4, 5])
def test_the_number_of_trials_is_the_requested_one(train, trials):
    assert len(search.tune_families(["tree"], train, n_trials=trials)["tree"].trials) == trials


def test_the_first_trial_has_the_initial_settings_and_the_best_trial_wins():
    train = generate_sample(4_000)  # so many rows that a better trial is clearly better
    result = search.tune_families(["tree"], train, n_trials=8)["tree"]
    assert dict(result.trials.loc[0, list(result.params)]) == FAMILIES["tree"].initial_params
    assert result.rmse == np.nanmin(result.trials.rmse) < result.trials.rmse[0]
    assert len(result.trials) == 8


@pytest.mark.parametrize(
    ("fold_rmse", "selected"),
    [
        ([0.39, 0.40, 0.41], 1),  # better by 0.01 on each fold
        ([0.30, 0.44, 0.47], 0),  # better on average, by one fold only
        ([0.41, 0.42, 0.43], 0),
    ],
)
def test_a_trial_that_may_be_better_by_chance_is_not_selected(fold_rmse, selected):
    study = optuna.create_study()
    for rmse in ([0.40, 0.41, 0.42], fold_rmse):
        value = float(np.mean(rmse))
        study.add_trial(optuna.trial.create_trial(value=value, user_attrs={"folds": rmse}))
    assert search._select_trial(study).number == selected


def test_a_thorough_search_starts_from_a_larger_model(train):
    budget = search.BUDGETS["default"]._replace(param_overrides={"forest": {"n_estimators": 7}})
    result = search.tune_families(["forest"], train, budget, n_trials=3)["forest"]
    assert result.params["n_estimators"] == 7
    assert list(result.trials.n_estimators) == [7] * 3
    default = search.tune_families(["forest"], train, n_trials=1)["forest"]
    assert default.params["n_estimators"] == 40
    for family, overrides in search.BUDGETS["thorough"].param_overrides.items():
        assert set(overrides) <= set(FAMILIES[family].initial_params)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_initial_settings_are_within_the_search_space(family):
    initial = FAMILIES[family].initial_params
    assert FAMILIES[family].suggest_params(optuna.trial.FixedTrial(initial)) == initial


def test_a_trial_worse_than_most_after_one_fold_is_pruned(train):
    trials = search.tune_families(["tree"], train, n_trials=16)["tree"].trials
    pruned = trials[trials.rmse.isna()]
    assert 1 <= len(pruned) <= 12
    assert pruned.first_fold.min() > trials[trials.rmse.notna()].first_fold.median()


@pytest.mark.parametrize("n_finished_tasks", [2, 7, 17])
def test_a_stopped_search_resumes_where_it_stopped(train, home, monkeypatch, n_finished_tasks):
    uninterrupted = search.tune_families(["tree"], train, n_trials=8, seed=5)["tree"]
    monkeypatch.setenv("HOUSING_HOME", str(home / "another"))  # with no cached score
    n_started = []
    build_tree = FAMILIES["tree"].build

    def build_or_stop(*arguments):
        if len(n_started) == n_finished_tasks:
            raise KeyboardInterrupt
        n_started.append(1)
        return build_tree(*arguments)

    with monkeypatch.context() as patch:
        patch.setitem(FAMILIES, "tree", FAMILIES["tree"]._replace(build=build_or_stop))
        with pytest.raises(KeyboardInterrupt):
            search.tune_families(["tree"], train, n_trials=8, seed=5)
    assert len(list(cache.folder().rglob("output.pkl"))) == n_finished_tasks
    resumed = search.tune_families(["tree"], train, n_trials=8, seed=5)["tree"]
    assert resumed.params == uninterrupted.params
    pd.testing.assert_frame_equal(
        resumed.trials.drop(columns="seconds"), uninterrupted.trials.drop(columns="seconds")
    )
    np.testing.assert_array_equal(
        resumed.out_of_fold_predictions, uninterrupted.out_of_fold_predictions
    )


def test_more_trials_go_on_with_those_of_an_earlier_search(train, home, monkeypatch):
    search.tune_families(["tree"], train, n_trials=3, seed=5)
    longer = search.tune_families(["tree"], train, n_trials=8, seed=5)["tree"]
    monkeypatch.setenv("HOUSING_HOME", str(home / "another"))
    at_once = search.tune_families(["tree"], train, n_trials=8, seed=5)["tree"]
    assert longer.params == at_once.params
    pd.testing.assert_frame_equal(
        longer.trials.drop(columns="seconds"), at_once.trials.drop(columns="seconds")
    )


def test_scores_of_other_data_are_not_used(train):
    search.tune_families(["tree"], train, n_trials=1)
    fewer_rows = search.tune_families(["tree"], train[:-1], n_trials=1)["tree"]
    assert fewer_rows.rmse != search.tune_families(["tree"], train, n_trials=1)["tree"].rmse


def test_at_the_time_limit_the_best_so_far_is_kept(train):
    budget = search.BUDGETS["default"]._replace(max_minutes=0)
    results = search.tune_families(["linear", "tree"], train, budget)
    n_trials = [len(result.trials) for result in results.values()]
    assert n_trials == [search.TRIALS_PER_BATCH] * 2


def test_the_progress_is_reported(train):
    lines = []
    search.tune_families(["tree"], train, n_trials=5, on_progress=lines.append)
    assert lines[0] == "decision tree: trial 1 of 5"
    assert "decision tree: trial 5 of 5, best so far $" in lines[1]
    assert lines[-1].startswith("1 families, 5 trials, ")


def test_out_of_fold_predictions_are_made_without_the_row(train):
    result = search.tune_families(["tree"], train, n_trials=1)["tree"]
    result = result._replace(params={"max_depth": 30, "min_samples_leaf": 1})  # overfits fully
    predictions = search.predict_out_of_fold(result, train, folds.random_folds(len(train), 4))
    overfitted = result.model.set_params(**result.params).fit(train[FEATURE_NAMES], train[TARGET])
    fitted = overfitted.predict(train[FEATURE_NAMES])
    assert metrics.regression_scores(train[TARGET], fitted)["rmse"] < 0.01
    assert metrics.regression_scores(train[TARGET], predictions)["rmse"] > 0.3
    assert np.isfinite(predictions).all()


def test_the_predictions_of_a_search_are_out_of_fold(train):
    result = search.tune_families(["tree"], train, n_trials=2)["tree"]
    expected = search.predict_out_of_fold(result, train, folds.random_folds(len(train), 3))
    np.testing.assert_array_equal(result.out_of_fold_predictions, expected)
    # its scores are cached, its predictions are not in memory
    repeated = search.tune_families(["tree"], train, n_trials=2)["tree"]
    np.testing.assert_array_equal(repeated.out_of_fold_predictions, expected)


def test_shuffled_values_cannot_be_learnt(train):
    shuffled = train.assign(**{TARGET: train[TARGET].sample(frac=1, random_state=0).to_numpy()})
    for result in search.tune_families(["tree", "neighbours"], shuffled, "quick").values():
        assert result.rmse > 0.97 * train[TARGET].std()


def test_invalid_arguments_are_named(train):
    with pytest.raises(ValueError, match="family is 'bush', expected some of linear, tree"):
        search.tune_families(["tree", "bush"], train)
    with pytest.raises(ValueError, match="budget is 'huge', expected one of quick, default"):
        search.tune_families(["tree"], train, "huge")
    with pytest.raises(ValueError, match="trials is -1"):
        search.tune_families(["tree"], train, n_trials=-1)


@pytest.mark.slow
def test_a_worker_killed_half_way_costs_the_search_nothing(train, home, tmp_path, monkeypatch):
    """Kill one of a Dask cluster's two workers while it works on the second batch of trials."""
    local = search.tune_families(["boosting"], train, n_trials=8)["boosting"]
    monkeypatch.setenv("HOUSING_HOME", str(home / "another"))  # with no cached score
    timers = []
    with cluster(tmp_path) as (address, _), distributed.Client(address) as client:
        client.wait_for_workers(2)
        [victim, survivor] = client.run(os.getpid).values()

        def kill_in_second_batch(line):
            if "trial 5 of 8" in line:
                timers.append(threading.Timer(0.5, os.kill, (victim, signal.SIGKILL)))
                timers[0].start()

        remote = search.tune_families(
            ["boosting"],
            train,
            n_trials=8,
            on_progress=kill_in_second_batch,
            executor_address=address,
        )["boosting"]
        timers[0].join()
        assert victim not in client.run(os.getpid).values()
        assert survivor in client.run(os.getpid).values()
    assert remote.params == local.params
    np.testing.assert_array_equal(remote.out_of_fold_predictions, local.out_of_fold_predictions)
    pd.testing.assert_frame_equal(
        remote.trials.drop(columns="seconds"), local.trials.drop(columns="seconds")
    )
