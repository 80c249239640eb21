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
from housing.models import boosted_trees, families, intervals
from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES, TARGET


@pytest.fixture(scope="module")
def train():
    return generate_sample(1_500)


@pytest.fixture(scope="module")
def fitted(train):
    """A function that returns a family's model and graph, fitted once."""

    @cache
    def fit(family):
        model = FAMILIES[family].build(FAMILIES[family].initial_params, 0)
        model.fit(train[FEATURE_NAMES], train[TARGET])
        return model, onnx_export.to_onnx(model)

    return fit


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("use_native", [True, False], ids=["native", "onnxruntime"])
def test_the_graph_predicts_what_the_model_predicts(family, use_native, fitted, train):
    model, content = fitted(family)
    served = served_model.load(content, use_native)
    rows = np.vstack(
        [train[FEATURE_NAMES], served_model.random_rows(2_000), rows_on_thresholds(model, train)]
    )
    expected = model.predict(pd.DataFrame(rows, columns=FEATURE_NAMES))
    predictions = served_model.predict(served, rows)
    if family in ("linear", "blend"):  # a matrix product adds in an order of its own
        np.testing.assert_allclose(predictions, expected, rtol=1e-12, atol=1e-12)
    else:
        np.testing.assert_array_equal(predictions, expected)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_library_is_built_where_there_is_a_compiler():
    assert bindings.load_library() is not None


def rows_on_thresholds(model, train):
    """Return rows whose income is exactly on a split, where <= and < differ."""
    trees = model[-1] if hasattr(model, "steps") else model
    if hasattr(trees, "tree_"):
        splits = trees.tree_.threshold[trees.tree_.feature == 0]
    elif hasattr(trees, "booster_"):
        nodes = trees.booster_.trees_to_dataframe()
        splits = nodes.threshold[nodes.split_feature == "Column_0"].unique()
    else:
        return train[FEATURE_NAMES][:1]
    assert len(splits)
    rows = np.repeat(train[FEATURE_NAMES].to_numpy()[:1], len(splits), axis=0)
    rows[:, 0] = splits
    return rows


def test_scikit_learn_s_trees_replace_lightgbm_s_where_it_cannot_be_loaded(monkeypatch):
    monkeypatch.setattr(boosted_trees, "lightgbm_regressor_class", lambda: None)
    train = generate_sample(500)
    model = families.build_boosting(families.BOOSTING_PARAMS | {"trees": 30}, 0).fit(
        train[FEATURE_NAMES], train[TARGET]
    )
    predictions = served_model.predict(
        served_model.load(onnx_export.to_onnx(model)), train[FEATURE_NAMES].to_numpy()
    )
    np.testing.assert_array_equal(predictions, model.predict(train[FEATURE_NAMES]))


def test_many_rows_are_predicted_like_one():
    """Neighbors are searched in chunks of rows; nothing is lost at the edge of a chunk."""
    train, rows = generate_sample(400), served_model.random_rows(5_000)
    model = families.build_neighbor_boosting(families.BOOSTING_PARAMS | {"trees": 20}, 0).fit(
        train[FEATURE_NAMES], train[TARGET]
    )
    served = served_model.load(onnx_export.to_onnx(model))
    single = [served_model.predict(served, row[None])[0] for row in rows[2_040:2_060]]
    np.testing.assert_array_equal(served_model.predict(served, rows)[2_040:2_060], single)
    assert served_model.predict(served, rows[:0]).shape == (0,)


def test_a_tree_that_is_a_single_leaf_can_be_served():
    train = generate_sample(100)
    params = {"max_depth": 3, "min_samples_leaf": 90}
    model = FAMILIES["tree"].build(params, 0).fit(train[FEATURE_NAMES], train[TARGET])
    assert model.get_n_leaves() == 1
    predictions = served_model.predict(
        served_model.load(onnx_export.to_onnx(model)), train[FEATURE_NAMES].to_numpy()
    )
    np.testing.assert_array_equal(predictions, model.predict(train[FEATURE_NAMES]))


def test_a_model_that_cannot_be_served_is_named():
    train = generate_sample(50)
    with pytest.raises(TypeError, match="SVR cannot be served"):
        onnx_export.to_onnx(SVR().fit(train[FEATURE_NAMES], train[TARGET]))


@pytest.mark.parametrize("family", ["linear", "tree", "blend"])
def test_the_graph_gives_the_model_s_intervals(family, fitted, train):
    model, _ = fitted(family)
    y_pred = model.predict(train[FEATURE_NAMES])
    columns = (
        model[:-1].transform(train[FEATURE_NAMES])
        if hasattr(model, "steps")
        else train[FEATURE_NAMES]
    )
    uncertainty_features = np.column_stack([columns, y_pred])
    interval_model = intervals.calibrate(uncertainty_features, train[TARGET].to_numpy(), y_pred)
    content = onnx_export.to_onnx(model, interval_model)
    rows = np.vstack([train[FEATURE_NAMES], served_model.random_rows(5_000)])
    expected = calibration.predict_with_interval(
        model, interval_model, pd.DataFrame(rows, columns=FEATURE_NAMES)
    )
    for use_native in (True, False):  # onnxruntime
        served = served_model.load(content, use_native)
        predictions, low, high = served_model.predict_intervals(served, rows).T
        np.testing.assert_allclose([predictions, low, high], expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(served_model.predict(served, rows), predictions)
        assert (low < high)[: len(train)].mean() > 0.9


def test_predicting_intervals_without_them_is_refused(fitted, train):
    served = served_model.load(fitted("tree")[1])
    assert served_model.raw_outputs(served, train[FEATURE_NAMES].to_numpy()).shape == (
        len(train),
        1,
    )
    with pytest.raises(ValueError, match="registered without them"):
        served_model.predict_intervals(served, train[FEATURE_NAMES].to_numpy())
