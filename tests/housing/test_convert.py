import numpy as np
import pandas as pd
import pytest
from sklearn.svm import SVR

from housing import convert, graph
from housing.models import FAMILIES
from housing.sample import sample
from housing.schema import NAMES, TARGET


@pytest.mark.parametrize("family", FAMILIES)
def test_the_graph_answers_what_the_model_predicts(family):
    train = sample(3_000)
    model = FAMILIES[family].build(FAMILIES[family].first, 0).fit(train[NAMES], train[TARGET])
    served = graph.session(convert.convert(model))
    rows = np.vstack([train[NAMES], graph.random_rows(10_000), _on_thresholds(model, train)])
    expected = model.predict(pd.DataFrame(rows, columns=NAMES))
    if family == "linear":
        np.testing.assert_allclose(graph.predict(served, rows), expected, rtol=1e-12, atol=1e-12)
    else:
        np.testing.assert_array_equal(graph.predict(served, rows), expected)


def _on_thresholds(model, train):
    """Rows whose income stands exactly on a split, where <= and < part ways."""
    if hasattr(model, "tree_"):
        splits = model.tree_.threshold[model.tree_.feature == 0]
    elif hasattr(model, "_predictors"):
        nodes = np.concatenate([one.nodes for [one] in model._predictors])
        splits = nodes["num_threshold"][(nodes["feature_idx"] == 0) & (nodes["is_leaf"] == 0)]
    else:
        return train[NAMES][:1]
    rows = np.repeat(train[NAMES].to_numpy()[:1], len(splits), axis=0)
    rows[:, 0] = splits
    return rows


def test_a_tree_that_is_one_leaf_is_served_too():
    train = sample(100)
    params = {"max_depth": 3, "min_samples_leaf": 90}
    model = FAMILIES["tree"].build(params, 0).fit(train[NAMES], train[TARGET])
    assert model.get_n_leaves() == 1
    answers = graph.predict(graph.session(convert.convert(model)), train[NAMES].to_numpy())
    np.testing.assert_array_equal(answers, model.predict(train[NAMES]))


def test_a_model_that_cannot_be_served_is_named():
    train = sample(50)
    with pytest.raises(TypeError, match="SVR cannot be served"):
        convert.convert(SVR().fit(train[NAMES], train[TARGET]))
