import shutil
from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.svm import SVR

from housing.data.synthetic import generate_sample
from housing.evaluation import calibration
from housing.export import onnx_export
from housing.inference import served_model
from housing.inference.native import bindings
from housing.models import families, intervals
from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES, TARGET


@pytest.fixture(scope="module")
def train():
    return generate_sample(3_000)


@pytest.fixture(scope="module")
def fitted(train):
    """Each family's model and graph, made once."""

    @cache
    def fit(family):
        model = (
            FAMILIES[family]
            .build(FAMILIES[family].initial_params, 0)
            .fit(train[FEATURE_NAMES], train[TARGET])
        )
        return model, onnx_export.to_onnx(model)

    return fit


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "onnxruntime"])
def test_the_graph_answers_what_the_model_predicts(family, compiled, fitted, train):
    model, content = fitted(family)
    served = served_model.load(content, compiled)
    rows = np.vstack(
        [train[FEATURE_NAMES], served_model.random_rows(10_000), _on_thresholds(model, train)]
    )
    expected = model.predict(pd.DataFrame(rows, columns=FEATURE_NAMES))
    if family in ("linear", "blend"):  # a matrix product adds in an order of its own
        np.testing.assert_allclose(
            served_model.predict(served, rows), expected, rtol=1e-12, atol=1e-12
        )
    else:
        np.testing.assert_array_equal(served_model.predict(served, rows), expected)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_where_there_is_a_compiler_c_answers():
    assert bindings.load_library() is not None


def _on_thresholds(model, train):
    """Rows whose income stands exactly on a split, where <= and < part ways."""
    trees = model[-1] if hasattr(model, "steps") else model
    if hasattr(trees, "tree_"):
        splits = trees.tree_.threshold[trees.tree_.feature == 0]
    elif hasattr(trees, "booster_"):
        told = trees.booster_.trees_to_dataframe()
        splits = told.threshold[told.split_feature == "Column_0"].unique()
    else:
        return train[FEATURE_NAMES][:1]
    assert len(splits)
    rows = np.repeat(train[FEATURE_NAMES].to_numpy()[:1], len(splits), axis=0)
    rows[:, 0] = splits
    return rows


def test_trees_of_scikit_learn_stand_in_where_lightgbm_cannot_be_loaded(monkeypatch):
    monkeypatch.setattr(families, "LGBMRegressor", None)
    train = generate_sample(500)
    model = families.build_boosting(families.BOOSTING_PARAMS | {"trees": 30}, 0).fit(
        train[FEATURE_NAMES], train[TARGET]
    )
    answers = served_model.predict(
        served_model.load(onnx_export.to_onnx(model)), train[FEATURE_NAMES].to_numpy()
    )
    np.testing.assert_array_equal(answers, model.predict(train[FEATURE_NAMES]))


def test_many_rows_are_answered_like_one():
    """Neighbours are looked for in parts; on the edge of a part nothing is lost."""
    train, rows = generate_sample(400), served_model.random_rows(5_000)
    model = families.build_neighbor_boosting(families.BOOSTING_PARAMS | {"trees": 20}, 0).fit(
        train[FEATURE_NAMES], train[TARGET]
    )
    served = served_model.load(onnx_export.to_onnx(model))
    single = [served_model.predict(served, rows[at : at + 1])[0] for at in range(2_040, 2_060)]
    np.testing.assert_array_equal(served_model.predict(served, rows)[2_040:2_060], single)
    assert served_model.predict(served, rows[:0]).shape == (0,)


def test_a_tree_that_is_one_leaf_is_served_too():
    train = generate_sample(100)
    params = {"max_depth": 3, "min_samples_leaf": 90}
    model = FAMILIES["tree"].build(params, 0).fit(train[FEATURE_NAMES], train[TARGET])
    assert model.get_n_leaves() == 1
    answers = served_model.predict(
        served_model.load(onnx_export.to_onnx(model)), train[FEATURE_NAMES].to_numpy()
    )
    np.testing.assert_array_equal(answers, model.predict(train[FEATURE_NAMES]))


def test_a_model_that_cannot_be_served_is_named():
    train = generate_sample(50)
    with pytest.raises(TypeError, match="SVR cannot be served"):
        onnx_export.to_onnx(SVR().fit(train[FEATURE_NAMES], train[TARGET]))


@pytest.mark.parametrize("family", ["linear", "tree", "blend"])
@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "onnxruntime"])
def test_the_graph_knows_the_model_s_intervals(family, compiled, fitted, train):
    model, _ = fitted(family)
    guess = model.predict(train[FEATURE_NAMES])
    columns = (
        model[:-1].transform(train[FEATURE_NAMES])
        if hasattr(model, "steps")
        else train[FEATURE_NAMES]
    )
    signs = np.column_stack([columns, guess])
    calibrated = intervals.calibrate(signs, train[TARGET].to_numpy(), guess)
    served = served_model.load(onnx_export.to_onnx(model, calibrated), compiled)
    rows = np.vstack([train[FEATURE_NAMES], served_model.random_rows(5_000)])
    expected = calibration.predict_with_interval(
        model, calibrated, pd.DataFrame(rows, columns=FEATURE_NAMES)
    )
    found = served_model.predict_intervals(served, rows).T
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(served_model.predict(served, rows), found[0])
    assert (found[1] < found[2])[: len(train)].mean() > 0.9


def test_a_graph_without_intervals_says_so(fitted, train):
    served = served_model.load(fitted("tree")[1])
    assert served_model.raw_outputs(served, train[FEATURE_NAMES].to_numpy()).shape == (3_000, 1)
    with pytest.raises(ValueError, match="registered without them"):
        served_model.predict_intervals(served, train[FEATURE_NAMES].to_numpy())
