import joblib
import numpy as np
import pytest

from housing import search
from housing.models import FAMILIES
from housing.sample import sample
from housing.schema import NAMES, TARGET


@pytest.fixture(scope="module")
def train():
    return sample(800)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_beats_the_mean(train, family):
    found = search.search(family, train, trials=2)
    assert found.rmse < train[TARGET].std()
    assert len(found.model.predict(train[NAMES])) == len(train)


def test_the_same_seed_finds_the_same(train):
    first = search.search("tree", train, trials=6, seed=3)
    with joblib.parallel_config("sequential"):
        second = search.search("tree", train, trials=6, seed=3)
    assert first.params == second.params
    assert first.rmse == second.rmse
    assert first.trials.drop(columns="seconds").equals(second.trials.drop(columns="seconds"))


@pytest.mark.parametrize("trials", [1, 4, 5])
def test_as_many_trials_as_asked_for(train, trials):
    assert len(search.search("tree", train, trials).trials) == trials


def test_the_first_trial_is_the_family_s_own_and_the_best_is_taken(train):
    found = search.search("tree", train, trials=8)
    assert dict(found.trials.loc[0, list(found.params)]) == FAMILIES["tree"].first
    assert found.rmse == np.nanmin(found.trials.rmse)
    assert len(found.trials) == 8


def test_shuffled_values_cannot_be_learnt(train):
    shuffled = train.assign(**{TARGET: train[TARGET].sample(frac=1, random_state=0).to_numpy()})
    found = search.search("tree", shuffled, trials=3)
    assert found.rmse > 0.95 * train[TARGET].std()


def test_bad_requests_are_named(train):
    with pytest.raises(ValueError, match="family is 'forest', expected one of linear, tree"):
        search.search("forest", train)
    with pytest.raises(ValueError, match="trials is 0"):
        search.search("tree", train, trials=0)
