import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from sklearn.dummy import DummyRegressor

from housing.data import loading, splitting
from housing.export import onnx_export
from housing.inference import served_model
from housing.models import families
from housing.models.families import FAMILIES
from housing.registry import gate, versions
from housing.schema import FEATURE_NAMES, TARGET

ALL = dict.fromkeys(FEATURE_NAMES, "double")


@pytest.fixture(scope="module")
def parts():
    frame = loading.load_dataset("sample", n_rows=2_000)
    train, test = splitting.split_train_test(frame.frame)
    return splitting.TrainTestSplit(train, test, {"source": "sample", "sha256": {"train": "abc"}})


def fitted(parts, **params):
    model = FAMILIES["tree"].build({"max_depth": 6, "min_samples_leaf": 5} | params, 0)
    return model.fit(parts.train[FEATURE_NAMES], parts.train[TARGET])


def judged(parts, model, served=None, champion=None, columns=ALL, **limits):
    served = served or onnx_export.to_onnx(model)
    limits = gate.DEFAULT_LIMITS._replace(**limits)
    return gate.verdict(gate.run_checks(model, served, parts, champion, columns, limits))


class Dearer:
    """A model that adds dollars to another's guesses for some rows."""

    def __init__(self, model, some, dollars):
        self.model, self.some, self.dollars = model, some, dollars

    def predict(self, rows):
        return self.model.predict(rows) + self.some(rows).to_numpy() * self.dollars / 100_000


def test_the_first_champion_must_beat_the_mean(parts):
    promoted, reason = judged(parts, fitted(parts))
    assert promoted
    assert "gained on the training mean" in reason


def test_a_model_no_better_than_the_mean_is_refused(parts):
    promoted, reason = judged(parts, fitted(parts, min_samples_leaf=1_599))
    assert not promoted
    assert "test RMSE gained on the training mean, $: 0 (limit 0)" in reason


def test_a_better_candidate_wins_and_a_worse_one_does_not(parts):
    small, large = fitted(parts, max_depth=2), fitted(parts)
    assert judged(parts, large, champion=small)[0]
    assert not judged(parts, small, champion=large)[0]
    assert not judged(parts, large, champion=small, min_gain_usd=10_000_000)[0]


def test_a_gain_by_chance_is_refused(parts):
    """Half a percent better on these rows, much better on some and much worse on others."""
    champion, truth = fitted(parts), parts.test[TARGET].to_numpy()
    error = champion.predict(parts.test[FEATURE_NAMES]) - truth
    other = error * np.random.default_rng(0).choice([0.3, 1.4], len(error))
    other *= 0.995 * np.sqrt((error @ error) / (other @ other))

    class Lucky:
        def predict(self, rows):
            return truth + other if len(rows) == len(truth) else champion.predict(rows)

    checks = gate.run_checks(Lucky(), onnx_export.to_onnx(champion), parts, champion, ALL)
    *_, surely, gained = checks
    assert gained.passed
    assert not surely.passed
    assert surely.check == "RMSE surely gained (90% interval), $"
    assert not gate.verdict(checks)[0]


def test_a_slice_that_got_worse_is_refused_and_named(parts):
    """Better on the whole, and $80,000 too dear for one income."""
    champion = fitted(parts, max_depth=1)
    candidate = Dearer(
        fitted(parts, max_depth=9), lambda rows: (rows.MedInc >= 2) & (rows.MedInc < 3), 80_000
    )
    served = onnx_export.to_onnx(fitted(parts))
    checks = gate.run_checks(candidate, served, parts, champion, ALL)
    assert checks[-1].passed
    promoted, reason = gate.verdict(checks)
    assert not promoted
    assert "income $20k to 30k got worse by, %" in reason
    lenient = gate.run_checks(
        candidate, served, parts, champion, ALL, gate.GateLimits(max_slice_loss_percent=1_000)
    )
    assert next(one for one in lenient if "got worse" in one.check).passed


def test_a_graph_that_answers_something_else_is_refused(parts):
    other = onnx_export.to_onnx(fitted(parts, max_depth=5))
    promoted, reason = judged(parts, fitted(parts), served=other)
    assert not promoted
    assert "served graph differs from the model" in reason


def test_a_graph_with_one_split_moved_by_its_last_digit_is_refused(parts):
    model = families.build_boosting(families.BOOSTING_PARAMS | {"trees": 20}, 0).fit(
        parts.train[FEATURE_NAMES], parts.train[TARGET]
    )
    served = onnx.load_from_string(onnx_export.to_onnx(model))
    assert judged(parts, model, served=served.SerializeToString())[0]
    trees = next(one for one in served.graph.node if one.op_type == "TreeEnsemble")
    told = {one.name: one for one in trees.attribute}
    splits = numpy_helper.to_array(told["nodes_splits"].t).copy()
    own = np.flatnonzero(np.array(told["nodes_featureids"].ints) < len(FEATURE_NAMES))
    splits[own[0]] = np.nextafter(splits[own[0]], np.inf)
    told["nodes_splits"].t.CopyFrom(numpy_helper.from_array(splits))
    promoted, reason = judged(parts, model, served=served.SerializeToString())
    assert not promoted
    assert "served graph differs from the model" in reason


def test_each_split_of_a_feature_has_a_row(parts):
    model = fitted(parts)
    rows = served_model.split_boundary_rows(
        onnx_export.to_onnx(model), parts.train[FEATURE_NAMES].to_numpy(), 10
    )
    split_nodes = model.tree_.feature >= 0
    wanted = set(
        zip(model.tree_.feature[split_nodes], model.tree_.threshold[split_nodes], strict=True)
    )
    held = {(at, row[at]) for row in rows for at in range(len(FEATURE_NAMES))}
    assert wanted <= held
    assert len(rows) == max(10, len(wanted))


def test_predictions_that_are_not_finite_are_refused(parts):
    broken = fitted(parts)
    broken.tree_.value[:] = np.nan
    for champion in (None, fitted(parts)):
        checks = gate.run_checks(broken, onnx_export.to_onnx(broken), parts, champion, ALL)
        promoted, reason = gate.verdict(checks)
        assert not promoted
        assert "share of finite predictions: 0" in reason
        assert json.loads(json.dumps(gate.checks_as_json(checks), allow_nan=False))


def test_predictions_far_outside_the_training_values_are_refused(parts):
    wild = Dearer(fitted(parts), lambda rows: rows.MedInc < 2, 2_000_000)
    promoted, reason = judged(parts, wild, served=onnx_export.to_onnx(fitted(parts)))
    assert not promoted
    assert "share of predictions near the training values" in reason


@pytest.mark.parametrize(
    ("columns", "wrong"),
    [
        ({}, 8),
        (dict.fromkeys(FEATURE_NAMES[1:], "double"), 1),
        (ALL | {"MedHouseVal": "double"}, 1),
        (ALL | {"HouseAge": "long"}, 2),
        (dict.fromkeys(reversed(FEATURE_NAMES), "double"), 8),
    ],
)
def test_a_signature_that_is_not_the_schema_s_is_refused(parts, columns, wrong):
    promoted, reason = judged(parts, fitted(parts), columns=columns)
    assert not promoted
    assert f"columns of the signature that are not the schema's: {wrong} (limit 0)" in reason


@pytest.mark.parametrize(
    ("limit", "said"),
    [({"max_latency_ms": 1e-9}, "one row takes, ms"), ({"max_size_mb": 1e-9}, "served graph takes, MB"),
     ({"min_test_rows": 401}, "test rows: 400 (limit 401)")],
)  # fmt: skip
def test_what_is_too_slow_too_large_or_too_little_tried_is_refused(parts, limit, said):
    promoted, reason = judged(parts, fitted(parts), **limit)
    assert not promoted
    assert reason.startswith(said)


def test_a_champion_of_another_split_is_trained_again(parts, monkeypatch):
    monkeypatch.setattr(versions, "load_model", lambda _: DummyRegressor().fit([[0]], [9.0]))
    same = versions.ModelVersion("m", "1", "r", {"train_sha256": "abc"})
    assert gate.baseline_model(same, parts).predict([[0]]) == 9
    other = same._replace(tags={"train_sha256": "other"})
    mean = parts.train[TARGET].mean()
    assert gate.baseline_model(other, parts).predict([[0]]) == pytest.approx(mean)
    assert gate.baseline_model(None, parts) is None
