import numpy as np
import pytest
from sklearn.dummy import DummyRegressor

from housing import convert, data, gate, registry, split
from housing.models import FAMILIES
from housing.schema import NAMES, TARGET


@pytest.fixture(scope="module")
def parts():
    frame = data.load("sample", rows=1_000)
    train, test = split.split(frame.frame)
    return split.Split(train, test, {"source": "sample", "sha256": {"train": "abc"}})


def fitted(parts, **params):
    model = FAMILIES["tree"].build({"max_depth": 6, "min_samples_leaf": 5} | params, 0)
    return model.fit(parts.train[NAMES], parts.train[TARGET])


def judged(parts, model, graph=None, champion=None, min_gain=0.0):
    served = graph or convert.convert(model)
    return gate.verdict(gate.judge(model, served, parts, champion, min_gain))


def test_the_first_champion_must_beat_the_mean(parts):
    promoted, reason = judged(parts, fitted(parts))
    assert promoted
    assert "gained on the training mean" in reason


def test_a_model_no_better_than_the_mean_is_refused(parts):
    promoted, reason = judged(parts, fitted(parts, min_samples_leaf=799))
    assert not promoted
    assert "test RMSE gained on the training mean, $: 0 (limit 0)" in reason


def test_a_better_candidate_wins_and_a_worse_one_does_not(parts):
    small, large = fitted(parts, max_depth=2), fitted(parts)
    assert judged(parts, large, champion=small)[0]
    assert not judged(parts, small, champion=large)[0]
    assert not judged(parts, large, champion=small, min_gain=10_000_000)[0]


def test_a_graph_that_answers_something_else_is_refused(parts):
    other = convert.convert(fitted(parts, max_depth=5))
    promoted, reason = judged(parts, fitted(parts), graph=other)
    assert not promoted
    assert "served graph differs from the model" in reason


def test_predictions_that_are_not_finite_are_refused(parts):
    broken = fitted(parts)
    broken.tree_.value[:] = np.nan
    promoted, reason = judged(parts, broken)
    assert not promoted
    assert "share of finite predictions: 0" in reason


def test_a_champion_of_another_split_is_trained_again(parts, monkeypatch):
    monkeypatch.setattr(registry, "load_version", lambda _: DummyRegressor().fit([[0]], [9.0]))
    same = registry.Version("m", "1", "r", {"train_sha256": "abc"})
    assert gate.to_beat(same, parts).predict([[0]]) == 9
    other = same._replace(tags={"train_sha256": "other"})
    mean = parts.train[TARGET].mean()
    assert gate.to_beat(other, parts).predict([[0]]) == pytest.approx(mean)
    assert gate.to_beat(None, parts) is None
