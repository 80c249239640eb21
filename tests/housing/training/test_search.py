import os
import signal
import threading

import distributed
import joblib
import numpy as np
import optuna
import pandas as pd
import pytest

from housing import paths
from housing.data.synthetic import generate_sample
from housing.evaluation import metrics
from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES, TARGET
from housing.training import cross_validation, folds, search
from tests.housing.training.test_executors import cluster


@pytest.fixture(scope="module")
def train():
    return generate_sample(800)


def test_each_family_beats_the_mean(train):
    found = search.tune_families(list(FAMILIES), train, "quick")
    assert list(found) == list(FAMILIES)
    for one in found.values():
        assert one.rmse < train[TARGET].std()
        assert len(one.model.predict(train[FEATURE_NAMES])) == len(train)


def test_the_same_seed_finds_the_same(train, home, monkeypatch):
    first = search.tune_families(["tree"], train, n_trials=9, seed=3)["tree"]
    monkeypatch.setenv("HOUSING_HOME", str(home / "another"))  # where no score is known yet
    with joblib.parallel_config("sequential"):
        second = search.tune_families(["tree"], train, n_trials=9, seed=3)["tree"]
    assert first.params == second.params
    assert first.rmse == second.rmse
    assert first.trials.drop(columns="seconds").equals(second.trials.drop(columns="seconds"))
    third = search.tune_families(["tree"], train, n_trials=9, seed=4)["tree"]
    assert not first.trials.min_samples_leaf.equals(third.trials.min_samples_leaf)


@pytest.mark.parametrize("trials", [1, 4, 5])
def test_as_many_trials_as_asked_for(train, trials):
    assert len(search.tune_families(["tree"], train, n_trials=trials)["tree"].trials) == trials


def test_the_first_trial_is_the_family_s_own_and_the_best_is_taken():
    train = generate_sample(4_000)  # so many that a better one is surely better
    found = search.tune_families(["tree"], train, n_trials=8)["tree"]
    assert dict(found.trials.loc[0, list(found.params)]) == FAMILIES["tree"].initial_params
    assert found.rmse == np.nanmin(found.trials.rmse) < found.trials.rmse[0]
    assert len(found.trials) == 8


@pytest.mark.parametrize(
    ("each_fold", "taken"),
    [
        ([0.39, 0.40, 0.41], 1),  # better by 0.01 on each fold
        ([0.30, 0.44, 0.47], 0),  # better on the whole, but for one fold
        ([0.41, 0.42, 0.43], 0),
    ],
)
def test_a_trial_that_may_be_better_by_luck_is_not_taken(each_fold, taken):
    study = optuna.create_study()
    for each in ([0.40, 0.41, 0.42], each_fold):
        value = float(np.mean(each))
        study.add_trial(optuna.trial.create_trial(value=value, user_attrs={"folds": each}))
    assert search._select_trial(study).number == taken


def test_a_thorough_search_starts_from_a_larger_model(train):
    budget = search.BUDGETS["default"]._replace(param_overrides={"forest": {"n_estimators": 7}})
    found = search.tune_families(["forest"], train, budget, n_trials=3)["forest"]
    assert found.params["n_estimators"] == 7
    assert list(found.trials.n_estimators) == [7] * 3
    assert (
        search.tune_families(["forest"], train, n_trials=1)["forest"].params["n_estimators"] == 40
    )
    for family, larger in search.BUDGETS["thorough"].param_overrides.items():
        assert set(larger) <= set(FAMILIES[family].initial_params)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_guess_is_one_that_the_search_may_propose(family):
    first = FAMILIES[family].initial_params
    assert FAMILIES[family].suggest_params(optuna.trial.FixedTrial(first)) == first


def test_what_is_worse_than_most_after_one_fold_is_given_up(train):
    found = search.tune_families(["tree"], train, n_trials=16)["tree"].trials
    given_up = found[found.rmse.isna()]
    assert 1 <= len(given_up) <= 12
    assert given_up.first_fold.min() > found[found.rmse.notna()].first_fold.median()


def test_a_search_that_was_stopped_goes_on_where_it_was(train, monkeypatch):
    whole = search.tune_families(["tree"], train, n_trials=8, seed=5)["tree"]
    [file] = (paths.var() / "searches").glob("*.jsonl")
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:7]) + lines[7][:20])  # it died while it wrote the eighth
    computed = []
    score = cross_validation._score_fold
    monkeypatch.setattr(
        cross_validation, "_score_fold", lambda *asked: computed.append(asked) or score(*asked)
    )
    with joblib.parallel_config("sequential"):
        again = search.tune_families(["tree"], train, n_trials=8, seed=5)["tree"]
    assert len(computed) == len(lines) - 7
    assert again.params == whole.params
    pd.testing.assert_frame_equal(
        again.trials.drop(columns="seconds"), whole.trials.drop(columns="seconds")
    )


def test_other_data_knows_no_score_of_these(train):
    search.tune_families(["tree"], train, n_trials=1)
    other = search.tune_families(["tree"], train[:-1], n_trials=1)["tree"]
    assert len(list((paths.var() / "searches").glob("*.jsonl"))) == 2
    assert other.rmse != search.tune_families(["tree"], train, n_trials=1)["tree"].rmse


def test_when_the_time_is_up_the_best_so_far_is_kept(train):
    budget = search.BUDGETS["default"]._replace(max_minutes=0)
    found = search.tune_families(["linear", "tree"], train, budget)
    assert [len(one.trials) for one in found.values()] == [
        search.TRIALS_PER_BATCH,
        search.TRIALS_PER_BATCH,
    ]


def test_it_says_how_far_it_is(train):
    said = []
    search.tune_families(["tree"], train, n_trials=5, on_progress=said.append)
    assert said[0] == "decision tree: trial 1 of 5"
    assert "decision tree: trial 5 of 5, best so far $" in said[1]
    assert said[-1].startswith("1 families, 5 trials, ")


def test_out_of_fold_guesses_are_made_without_the_row(train):
    found = search.tune_families(["tree"], train, n_trials=1)["tree"]
    found = found._replace(params={"max_depth": 30, "min_samples_leaf": 1})  # learns rows by heart
    guesses = search.predict_out_of_fold(found, train, folds.random_folds(len(train), 4))
    by_heart = found.model.set_params(**found.params).fit(train[FEATURE_NAMES], train[TARGET])
    assert (
        metrics.regression_scores(train[TARGET], by_heart.predict(train[FEATURE_NAMES]))["rmse"]
        < 0.01
    )
    assert metrics.regression_scores(train[TARGET], guesses)["rmse"] > 0.3
    assert np.isfinite(guesses).all()


def test_the_search_s_own_guesses_are_out_of_fold(train):
    found = search.tune_families(["tree"], train, n_trials=2)["tree"]
    expected = search.predict_out_of_fold(found, train, folds.random_folds(len(train), 3))
    np.testing.assert_array_equal(found.out_of_fold_predictions, expected)
    again = search.tune_families(["tree"], train, n_trials=2)[
        "tree"
    ]  # whose scores are known already
    np.testing.assert_array_equal(again.out_of_fold_predictions, expected)


def test_shuffled_values_cannot_be_learnt(train):
    shuffled = train.assign(**{TARGET: train[TARGET].sample(frac=1, random_state=0).to_numpy()})
    for found in search.tune_families(["tree", "neighbours"], shuffled, "quick").values():
        assert found.rmse > 0.97 * train[TARGET].std()


def test_bad_requests_are_named(train):
    with pytest.raises(ValueError, match="family is 'bush', expected some of linear, tree"):
        search.tune_families(["tree", "bush"], train)
    with pytest.raises(ValueError, match="budget is 'huge', expected one of quick, default"):
        search.tune_families(["tree"], train, "huge")
    with pytest.raises(ValueError, match="trials is -1"):
        search.tune_families(["tree"], train, n_trials=-1)


@pytest.mark.slow
def test_a_worker_killed_half_way_costs_the_search_nothing(train, home, tmp_path, monkeypatch):
    """Two workers of a Dask cluster, one killed while it works on the second batch of trials."""
    here = search.tune_families(["boosting"], train, n_trials=8)["boosting"]
    monkeypatch.setenv("HOUSING_HOME", str(home / "another"))  # where no score is known yet
    killed = []
    with cluster(tmp_path) as (address, _), distributed.Client(address) as client:
        client.wait_for_workers(2)
        [victim, other] = client.run(os.getpid).values()

        def say(line):
            if "trial 5 of 8" in line:
                killed.append(threading.Timer(0.5, os.kill, (victim, signal.SIGKILL)))
                killed[0].start()

        there = search.tune_families(
            ["boosting"], train, n_trials=8, on_progress=say, executor_address=address
        )["boosting"]
        killed[0].join()
        assert victim not in client.run(os.getpid).values()
        assert other in client.run(os.getpid).values()
    assert there.params == here.params
    np.testing.assert_array_equal(there.out_of_fold_predictions, here.out_of_fold_predictions)
    pd.testing.assert_frame_equal(
        there.trials.drop(columns="seconds"), here.trials.drop(columns="seconds")
    )
