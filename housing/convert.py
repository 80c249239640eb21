"""From a trained scikit-learn model to its double-precision ONNX graph.

Our own, as no converter tried writes trees in double precision that onnxruntime accepts, and
float32 thresholds answer wrong by up to $45,758.
"""

from collections.abc import Iterator
from functools import singledispatch
from itertools import count
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from housing.schema import NAMES


class _Draft:
    """A graph in the making: nodes and constants, each with a name of its own."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._names = (f"t{number}" for number in count())

    def add(self, operator: str, *inputs: str | np.ndarray, **attributes: Any) -> str:
        """Adds a node; arrays among its inputs become constants. Gives its output's name."""
        names = [one if isinstance(one, str) else self._constant(one) for one in inputs]
        output = next(self._names)
        self.nodes.append(helper.make_node(operator, names, [output], **attributes))
        return output

    def _constant(self, value: np.ndarray) -> str:
        name = next(self._names)
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def convert(model: BaseEstimator) -> bytes:
    """The graph of a fitted model: input `rows` (n, 8) float64, output (n,) in $100,000.

    Raises TypeError for a kind of model or transformer that has no conversion here.
    """
    draft = _Draft()
    flat = draft.add("Reshape", _write(model, draft, "rows"), np.array([-1]))
    graph = helper.make_graph(
        draft.nodes,
        "house_value",
        [helper.make_tensor_value_info("rows", TensorProto.DOUBLE, [None, len(NAMES)])],
        [helper.make_tensor_value_info(flat, TensorProto.DOUBLE, [None])],
        draft.constants,
    )
    versions = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)]
    made = helper.make_model(graph, opset_imports=versions, ir_version=10)
    onnx.checker.check_model(made)
    return made.SerializeToString()


@singledispatch
def _write(model: BaseEstimator, draft: _Draft, x: str) -> str:
    """Adds the nodes of one estimator, applied to the tensor x; gives its output's name."""
    raise TypeError(
        f"{type(model).__name__} cannot be served: housing/convert.py has no conversion for it"
    )


@_write.register
def _(model: Pipeline, draft: _Draft, x: str) -> str:
    for step in model:
        x = _write(step, draft, x)
    return x


@_write.register
def _(model: ColumnTransformer, draft: _Draft, x: str) -> str:
    parts = []
    for _name, transformer, columns in model.transformers_:
        names = [NAMES[one] if isinstance(one, int) else one for one in columns]
        picked = draft.add("Gather", x, np.array([NAMES.index(one) for one in names]), axis=1)
        parts.append(_write(transformer, draft, picked))
    return draft.add("Concat", *parts, axis=1)


@_write.register
def _(model: FunctionTransformer, draft: _Draft, x: str) -> str:
    if model.func is None:
        return x
    if model.func is np.log1p:
        return draft.add("Log", draft.add("Add", x, np.array(1.0)))
    raise TypeError(f"the function {model.func} cannot be served: housing/convert.py knows log1p")


@_write.register
def _(model: StandardScaler, draft: _Draft, x: str) -> str:
    return draft.add("Div", draft.add("Sub", x, model.mean_), model.scale_)


@_write.register
def _(model: PolynomialFeatures, draft: _Draft, x: str) -> str:
    """Each product is a chain of columns; a column of ones fills the shorter chains."""
    ones = model.n_features_in_
    wide = draft.add(
        "Pad", x, np.array([0, 0, 0, 1]), np.array(1.0), mode="constant"
    )  # the ones stand last
    chains = np.full((len(model.powers_), model.degree), ones)
    for row, powers in zip(chains, model.powers_, strict=True):
        factors = np.repeat(np.arange(ones), powers)
        row[: len(factors)] = factors
    product = draft.add("Gather", wide, chains[:, 0], axis=1)
    for factor in chains.T[1:]:
        product = draft.add("Mul", product, draft.add("Gather", wide, factor, axis=1))
    return product


@_write.register
def _(model: Ridge, draft: _Draft, x: str) -> str:
    return draft.add("Add", draft.add("MatMul", x, model.coef_), np.asarray(model.intercept_))


@_write.register
def _(model: DecisionTreeRegressor, draft: _Draft, x: str) -> str:
    """scikit-learn's trees look at rows in float32, so the graph rounds them the same way."""
    rounded = draft.add("Cast", draft.add("Cast", x, to=TensorProto.FLOAT), to=TensorProto.DOUBLE)
    tree = model.tree_
    nodes = zip(
        tree.children_left == -1, tree.feature, tree.threshold,
        tree.children_left, tree.children_right, tree.value.ravel(), strict=True,
    )  # fmt: skip
    return _trees([list(nodes)], draft, rounded)


@_write.register
def _(model: HistGradientBoostingRegressor, draft: _Draft, x: str) -> str:
    """The baseline is the first tree's only leaf: sums then run in scikit-learn's order."""
    baseline = [(True, 0, 0.0, 0, 0, float(model._baseline_prediction.item()))]
    fields = ["is_leaf", "feature_idx", "num_threshold", "left", "right", "value"]
    boosted = (predictor.nodes for [predictor] in model._predictors)
    return _trees([baseline, *(nodes[fields].tolist() for nodes in boosted)], draft, x)


def _trees(trees: list[list[tuple]], draft: _Draft, x: str) -> str:
    """One TreeEnsemble of (is leaf, feature, threshold, left, right, value) nodes, summed."""
    roots, splits, features, children = [], [], [], ([], [])
    is_leaf, leaves = ([], []), []
    for nodes in trees:
        if nodes[0][0]:  # a lone leaf cannot be a root: a split with the same leaf on both sides
            nodes = [(False, 0, 0.0, 1, 1, 0.0), *nodes]
        place = _places(nodes, len(splits), len(leaves))
        roots.append(len(splits))
        for leaf, feature, threshold, left, right, value in nodes:
            if leaf:
                leaves.append(value)
                continue
            splits.append(threshold)
            features.append(feature)
            for side, child in enumerate((left, right)):
                children[side].append(place[child])
                is_leaf[side].append(int(nodes[child][0]))
    return draft.add(
        "TreeEnsemble",
        x,
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function=1,
        tree_roots=roots,
        nodes_featureids=[int(one) for one in features],
        nodes_splits=_double("splits", splits),
        nodes_modes=helper.make_tensor(
            "modes", TensorProto.UINT8, [len(splits)], [0] * len(splits)
        ),
        nodes_truenodeids=children[0],
        nodes_falsenodeids=children[1],
        nodes_trueleafs=is_leaf[0],
        nodes_falseleafs=is_leaf[1],
        leaf_targetids=[0] * len(leaves),
        leaf_weights=_double("leaves", leaves),
    )


def _places(nodes: list[tuple], split: int, leaf: int) -> list[int]:
    """Where each node will stand: the graph numbers splits and leaves apart, over all trees."""
    splits, leaves = count(split), count(leaf)

    def place() -> Iterator[int]:
        for node in nodes:
            yield next(leaves) if node[0] else next(splits)

    return list(place())


def _double(name: str, values: list[float]) -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.DOUBLE, [len(values)], values)
