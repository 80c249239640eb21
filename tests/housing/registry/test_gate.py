import json
import re

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
from housing.registry import gate, gate_checks, versions
from housing.schema import FEATURE_NAMES, TARGET

SIGNATURE = dict.fromkeys(FEATURE_NAMES, "double")


@pytest.fixture(scope="module")
def split():
    dataset = loading.load_dataset("sample", n_rows=2_000)
    train, test = splitting.split_train_test(dataset.frame)
    return splitting.TrainTestSplit(train, test, {"source": "sample", "sha256": {"train": "abc"}})


def fit_tree(split, **params):
    model = FAMILIES["tree"].build({"max_depth": 6, "min_samples_leaf": 5} | params, 0)
    return model.fit(split.train[FEATURE_NAMES], split.train[TARGET])


def judge(split, model, onnx_model=None, champion=None, columns=SIGNATURE, **changed_limits):
    onnx_model = onnx_model or onnx_export.to_onnx(model)
    limits = gate.DEFAULT_LIMITS._replace(**changed_limits)
    return gate.verdict(gate.run_checks(model, onnx_model, split, champion, columns, limits))


class BiasedModel:
    """A model that adds dollars to another's predictions for the selected rows."""

    def __init__(self, model, select_rows, dollars):
        self.model, self.select_rows, self.dollars = model, select_rows, dollars

    def predict(self, rows):
        bias = self.select_rows(rows).to_numpy() * self.dollars / 100_000
        return self.model.predict(rows) + bias


def test_the_first_champion_must_beat_the_mean(split):
    promoted, reason = judge(split, fit_tree(split))
    assert promoted
    assert re.fullmatch(
        r"all 10 checks passed; its test RMSE is \$[\d,]+ lower than that of always predicting the "
        "training mean",
        reason,
    )


def test_a_model_no_better_than_the_mean_is_refused(split):
    promoted, reason = judge(split, fit_tree(split, min_samples_leaf=1_599))
    assert not promoted
    assert reason.endswith(
        "its test RMSE is $0 lower than that of always predicting the training mean "
        "(required: more than $0 lower)"
    )


def test_a_better_candidate_is_promoted_and_a_worse_one_is_not(split):
    small, large = fit_tree(split, max_depth=2), fit_tree(split)
    assert judge(split, large, champion=small)[0]
    promoted, reason = judge(split, small, champion=large)
    assert not promoted
    assert re.search(r"its test RMSE is \$[\d,]+ higher than the champion's \(required", reason)
    assert not judge(split, large, champion=small, min_gain_usd=10_000_000)[0]


def test_a_gain_by_chance_is_refused(split):
    """Half a percent better on these rows, much better on some and much worse on others."""
    champion, truth = fit_tree(split), split.test[TARGET].to_numpy()
    champion_error = champion.predict(split.test[FEATURE_NAMES]) - truth
    error = champion_error * np.random.default_rng(0).choice([0.3, 1.4], len(truth))
    error *= 0.995 * np.sqrt((champion_error @ champion_error) / (error @ error))

    class LuckyModel:
        def predict(self, rows):
            return truth + error if len(rows) == len(truth) else champion.predict(rows)

    checks = gate.run_checks(
        LuckyModel(), onnx_export.to_onnx(champion), split, champion, SIGNATURE
    )
    *_, interval_check, gain_check = checks
    assert gain_check.passed
    assert not interval_check.passed
    assert interval_check.check == "RMSE gain, lower end of its 90% interval, $"
    promoted, reason = gate.verdict(checks)
    assert not promoted
    assert re.fullmatch(
        r"the gain may be chance: its confidence interval starts at −\$[\d,]+", reason
    )


def test_a_slice_that_got_worse_is_refused_and_named(split):
    """Better on average, and $80,000 too dear for one income band."""
    champion = fit_tree(split, max_depth=1)
    candidate = BiasedModel(
        fit_tree(split, max_depth=9), lambda rows: (rows.MedInc >= 2) & (rows.MedInc < 3), 80_000
    )
    onnx_model = onnx_export.to_onnx(fit_tree(split))
    checks = gate.run_checks(candidate, onnx_model, split, champion, SIGNATURE)
    assert checks[-1].passed
    promoted, reason = gate.verdict(checks)
    assert not promoted
    assert "RMSE increase of income $20k to 30k, %" in reason
    limits = gate.GateLimits(max_slice_loss_percent=1_000)
    lenient_checks = gate.run_checks(candidate, onnx_model, split, champion, SIGNATURE, limits)
    assert next(check for check in lenient_checks if "RMSE increase" in check.check).passed


def test_a_graph_that_predicts_something_else_is_refused(split):
    onnx_model = onnx_export.to_onnx(fit_tree(split, max_depth=5))
    promoted, reason = judge(split, fit_tree(split), onnx_model)
    assert not promoted
    assert "served graph differs from the model" in reason


def test_a_graph_with_one_split_moved_by_its_last_digit_is_refused(split):
    model = families.build_boosting(families.BOOSTING_PARAMS | {"trees": 20}, 0).fit(
        split.train[FEATURE_NAMES], split.train[TARGET]
    )
    onnx_model = onnx.load_from_string(onnx_export.to_onnx(model))
    assert judge(split, model, onnx_model.SerializeToString())[0]
    trees = next(node for node in onnx_model.graph.node if node.op_type == "TreeEnsemble")
    attributes = {attribute.name: attribute for attribute in trees.attribute}
    thresholds = numpy_helper.to_array(attributes["nodes_splits"].t).copy()
    feature_ids = np.array(attributes["nodes_featureids"].ints)
    node = np.flatnonzero(feature_ids < len(FEATURE_NAMES))[0]  # splits on a feature of the schema
    thresholds[node] = np.nextafter(thresholds[node], np.inf)
    attributes["nodes_splits"].t.CopyFrom(numpy_helper.from_array(thresholds))
    promoted, reason = judge(split, model, onnx_model.SerializeToString())
    assert not promoted
    assert "served graph differs from the model" in reason


def test_each_split_of_a_feature_has_a_boundary_row(split):
    model = fit_tree(split)
    rows = served_model.split_boundary_rows(
        onnx_export.to_onnx(model), split.train[FEATURE_NAMES].to_numpy(), 10
    )
    split_nodes = model.tree_.feature >= 0
    thresholds = set(
        zip(model.tree_.feature[split_nodes], model.tree_.threshold[split_nodes], strict=True)
    )
    row_values = {(index, row[index]) for row in rows for index in range(len(FEATURE_NAMES))}
    assert thresholds <= row_values
    assert len(rows) == max(10, len(thresholds))


def test_predictions_that_are_not_finite_are_refused(split):
    broken_model = fit_tree(split)
    broken_model.tree_.value[:] = np.nan
    onnx_model = onnx_export.to_onnx(broken_model)
    for champion in (None, fit_tree(split)):
        checks = gate.run_checks(broken_model, onnx_model, split, champion, SIGNATURE)
        promoted, reason = gate.verdict(checks)
        assert not promoted
        assert "share of finite predictions: 0" in reason
        assert json.loads(json.dumps(gate_checks.checks_as_json(checks), allow_nan=False))


def test_predictions_far_outside_the_training_values_are_refused(split):
    model = BiasedModel(fit_tree(split), lambda rows: rows.MedInc < 2, 2_000_000)
    promoted, reason = judge(split, model, onnx_export.to_onnx(fit_tree(split)))
    assert not promoted
    assert "share of predictions near the training values" in reason


@pytest.mark.parametrize(
    ("columns", "n_mismatches"),
    [
        ({}, 8),
        (dict.fromkeys(FEATURE_NAMES[1:], "double"), 1),
        (SIGNATURE | {"MedHouseVal": "double"}, 1),
        (SIGNATURE | {"HouseAge": "long"}, 2),
        (dict.fromkeys(reversed(FEATURE_NAMES), "double"), 8),
    ],
)
def test_a_signature_that_differs_from_the_schema_is_refused(split, columns, n_mismatches):
    promoted, reason = judge(split, fit_tree(split), columns=columns)
    assert not promoted
    assert f"signature columns that differ from the schema: {n_mismatches} (limit 0)" in reason


@pytest.mark.parametrize(
    ("limit", "expected_reason"),
    [
        ({"max_latency_ms": 1e-9}, "median latency of one row, ms"),
        ({"max_size_mb": 1e-9}, "size of the served graph, MB"),
        ({"min_test_rows": 401}, "test rows: 400 (limit 401)"),
    ],
)
def test_a_slow_large_or_barely_tested_model_is_refused(split, limit, expected_reason):
    promoted, reason = judge(split, fit_tree(split), **limit)
    assert not promoted
    assert reason.startswith(expected_reason)


def test_a_champion_of_another_split_is_trained_again(split, monkeypatch):
    monkeypatch.setattr(versions, "load_model", lambda _: DummyRegressor().fit([[0]], [9.0]))
    champion = versions.ModelVersion("m", "1", "r", {"train_sha256": "abc"})
    assert gate.baseline_model(champion, split).predict([[0]]) == 9
    champion_of_another_split = champion._replace(tags={"train_sha256": "another"})
    mean = split.train[TARGET].mean()
    refitted_model = gate.baseline_model(champion_of_another_split, split)
    assert refitted_model.predict([[0]]) == pytest.approx(mean)
    assert gate.baseline_model(None, split) is None
