"""From a trained scikit-learn model to its double-precision ONNX graph.

Our own, as no converter tried writes trees in double precision that onnxruntime accepts, and
float32 thresholds answer wrong by up to $45,758.
"""

import json
from functools import singledispatch
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from housing.export.graph_builder import Draft, Node, tensor, trees
from housing.models import features
from housing.models.blend import TOUCHING, Blend
from housing.models.families import LGBMRegressor
from housing.models.features import Neighbours, Places
from housing.models.intervals import FLOOR, Intervals
from housing.models.mlp import Network
from housing.schema import NAMES


def convert(model: BaseEstimator, intervals: Intervals | None = None) -> bytes:
    """The graph of a fitted model: input `rows` (n, 8) float64, output (n,) in $100,000.

    With the model's intervals it has a second output, `scale`: by how much a guess like this one is
    off, (n,) in $100,000. Raises TypeError for a kind of model or transformer that has no
    conversion here.
    """
    draft = Draft()
    *steps, last = model if isinstance(model, Pipeline) else [model]
    columns = "rows"
    for step in steps:
        columns = _write(step, draft, columns)
    guess = draft.add("Reshape", _write(last, draft, columns), np.array([-1, 1]))
    if intervals:
        signs = _rounded(draft, draft.add("Concat", columns, guess, axis=1))
        scale = draft.add("Max", _write(intervals.scale, draft, signs), np.array(FLOOR))
        draft.add("Reshape", scale, np.array([-1]), to="scale")
        draft.outputs.append(tensor("scale", TensorProto.DOUBLE, None))
        draft.told["intervals"] = json.dumps(
            {"lows": intervals.lows.tolist(), "highs": intervals.highs.tolist()}
        )
    draft.add("Reshape", guess, np.array([-1]), to="house_value")
    graph = helper.make_graph(
        draft.nodes, "house_value", draft.inputs, draft.outputs, draft.constants
    )
    versions = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)]
    made = helper.make_model(graph, opset_imports=versions, ir_version=10)
    helper.set_model_props(made, draft.told)
    onnx.checker.check_model(made)
    return made.SerializeToString()


@singledispatch
def _write(model: BaseEstimator, draft: Draft, x: str) -> str:
    """Adds the nodes of one estimator, applied to the tensor x; gives its output's name."""
    raise TypeError(
        f"{type(model).__name__} cannot be served: housing/export/onnx_export.py has no conversion for it"
    )


@_write.register
def _(model: Pipeline, draft: Draft, x: str) -> str:
    for step in model:
        x = _write(step, draft, x)
    return x


@_write.register
def _(model: ColumnTransformer, draft: Draft, x: str) -> str:
    parts = []
    for _name, transformer, columns in model.transformers_:
        names = [NAMES[one] if isinstance(one, int) else one for one in columns]
        picked = draft.add("Gather", x, np.array([NAMES.index(one) for one in names]), axis=1)
        parts.append(_write(transformer, draft, picked))
    return draft.add("Concat", *parts, axis=1)


@_write.register
def _(model: FunctionTransformer, draft: Draft, x: str) -> str:
    if model.func is None:
        return x
    if model.func is np.log1p:
        return draft.add("Log", draft.add("Add", x, np.array(1.0)))
    raise TypeError(
        f"the function {model.func} cannot be served: housing/export/onnx_export.py knows log1p"
    )


@_write.register
def _(model: StandardScaler, draft: Draft, x: str) -> str:
    return draft.add("Div", draft.add("Sub", x, model.mean_), model.scale_)


@_write.register
def _(model: PolynomialFeatures, draft: Draft, x: str) -> str:
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
def _(model: Ridge, draft: Draft, x: str) -> str:
    return draft.add("Add", draft.add("MatMul", x, model.coef_), np.asarray(model.intercept_))


@_write.register
def _(model: DecisionTreeRegressor, draft: Draft, x: str) -> str:
    """scikit-learn's trees look at rows in float32, so the graph rounds them the same way."""
    return trees([_nodes(model)], draft, _rounded(draft, x))


@_write.register
def _(model: ExtraTreesRegressor, draft: Draft, x: str) -> str:
    total = trees([_nodes(one) for one in model.estimators_], draft, _rounded(draft, x))
    return draft.add("Div", total, np.array(float(len(model.estimators_))))


def _rounded(draft: Draft, x: str) -> str:
    return draft.cast(draft.cast(x, TensorProto.FLOAT), TensorProto.DOUBLE)


def _nodes(model: DecisionTreeRegressor) -> list[Node]:
    tree = model.tree_
    return list(
        zip(
            tree.children_left == -1, tree.feature, tree.threshold,
            tree.children_left, tree.children_right, tree.value.ravel(), strict=True,
        )
    )  # fmt: skip


@_write.register
def _(model: HistGradientBoostingRegressor, draft: Draft, x: str) -> str:
    """The baseline is the first tree's only leaf: sums then run in scikit-learn's order."""
    baseline = [(True, 0, 0.0, 0, 0, float(model._baseline_prediction.item()))]
    fields = ["is_leaf", "feature_idx", "num_threshold", "left", "right", "value"]
    boosted = (predictor.nodes for [predictor] in model._predictors)
    return trees([baseline, *(nodes[fields].tolist() for nodes in boosted)], draft, x)


def _lightgbm(model: LGBMRegressor, draft: Draft, x: str) -> str:
    described = model.booster_.dump_model()["tree_info"]
    return trees([_flat(one["tree_structure"]) for one in described], draft, x)


if LGBMRegressor is not None:
    _write.register(LGBMRegressor, _lightgbm)


def _flat(root: dict[str, Any]) -> list[Node]:
    """LightGBM's nested nodes as a list, each before its children."""
    nodes: list[Node] = []

    def add(node: dict[str, Any]) -> int:
        at = len(nodes)
        nodes.append((True, 0, 0.0, 0, 0, node.get("leaf_value", 0.0)))
        if "split_feature" in node:
            left, right = add(node["left_child"]), add(node["right_child"])
            nodes[at] = (False, node["split_feature"], node["threshold"], left, right, 0.0)
        return at

    add(root)
    return nodes


@_write.register
def _(model: Places, draft: Draft, x: str) -> str:
    """Products and sums one by one: a matrix product would round otherwise.

    Turned axes and cities at once, (n, 2, both): north and east, less an offset, times a scale.
    """
    cities = np.array(list(features.CITIES.values())).T
    turned, both = features.AXES.shape[1], features.AXES.shape[1] + cities.shape[1]
    offsets = np.hstack([np.zeros_like(features.AXES), cities])
    shrunk = np.array([[1.0], [features.SHRINK]]).repeat(cities.shape[1], 1)
    scales = np.hstack([features.AXES, shrunk])
    sides = np.array([[features.LATITUDE], [features.LONGITUDE]]).repeat(both, 1)
    apart = draft.add("Sub", draft.add("Gather", x, sides, axis=1), offsets)
    apart = draft.add("Mul", apart, scales)
    along, away = draft.split(apart, [turned, both - turned], 2)
    across = np.array([1])
    along = draft.add("ReduceSum", along, across, keepdims=0)
    squares = draft.add("ReduceSum", draft.add("Mul", away, away), across, keepdims=0)
    of = [features.ROOMS, features.PEOPLE, features.INCOME]
    by = [features.BEDROOMS, features.OCCUPANCY, features.ROOMS]
    tops, bottoms = draft.split(draft.add("Gather", x, np.array(of + by), axis=1), [3, 3], 1)
    ratios = draft.add("Div", tops, draft.add("Max", bottoms, np.array(features.LEAST)))
    return draft.add("Concat", x, along, ratios, draft.add("Sqrt", squares), axis=1)


@_write.register
def _(model: Neighbours, draft: Draft, x: str) -> str:
    """Who the neighbours are comes in from outside; what is known of them is in the graph.

    All spaces and figures at once, (n, spaces, neighbours, figures), as few nodes answer one row
    fast; the sums are those of `Neighbours._part`, and the last node puts the columns in its order.
    """
    spaces, nearest = len(model.spaces_), model.nearest_
    draft.told["neighbours"] = json.dumps({"spaces": model.spaces_, "count": nearest[-1]})
    draft.inputs.append(tensor("distance", TensorProto.DOUBLE, None, spaces, nearest[-1], 1))
    draft.inputs.append(tensor("which", TensorProto.INT64, None, spaces, nearest[-1]))
    for at, points in enumerate(model.points_):
        draft.outputs.append(tensor(f"points_{at}", TensorProto.DOUBLE, *points.shape))
        draft.add("Identity", points, to=f"points_{at}")

    known = draft.add("Gather", np.stack([model.values_, model.first_], 1), "which")
    values = draft.add("Gather", known, np.array([0]), axis=3)
    weights = draft.add("Div", np.array(1.0), draft.add("Add", "distance", np.array(features.NEAR)))
    products = draft.add("Mul", values, values), draft.add("Mul", weights, values)
    sums = draft.add("CumSum", draft.add("Concat", known, *products, weights, axis=3), np.array(2))
    upto = np.array([one - 1 for one in nearest])
    evenly, weighted, weight = draft.split(draft.add("Gather", sums, upto, axis=2), [3, 1, 1], 3)
    counts = np.array(nearest, float)[:, None]
    mean, theirs, square = draft.split(draft.add("Div", evenly, counts), [1, 1, 1], 3)
    varies = draft.add("Sub", square, draft.add("Mul", mean, mean))
    first = draft.add("Gather", x, np.array([[[0]]]), axis=1)
    figures = [
        mean,
        draft.add("Div", weighted, weight),
        draft.add("Sqrt", draft.add("Max", varies, np.array(0.0))),
        draft.add("Gather", "distance", upto, axis=2),
        draft.add("Sub", first, theirs),
    ]
    flat = draft.add("Concat", *figures, axis=3)
    flat = draft.add("Reshape", flat, np.array([-1, spaces * len(nearest) * len(figures)]))
    own = model.n_features_in_
    place = own + np.arange(spaces * len(nearest) * len(figures))
    place = place.reshape(spaces, len(nearest), len(figures))
    picked = [
        np.arange(own), place[..., 0], place[..., 1],
        place[:, -1, 2], place[:, 0, 3], place[:, -1, 3], place[:, -1, 4],
    ]  # fmt: skip
    columns = np.concatenate([one.ravel() for one in picked])
    return draft.add("Gather", draft.add("Concat", x, flat, axis=1), columns, axis=1)


@_write.register
def _(model: Network, draft: Draft, x: str) -> str:
    at = draft.add("Min", draft.add("Max", x, model.low_), model.high_)
    *hidden, last = zip(model.weights_, model.biases_, strict=True)
    for weight, bias in hidden:
        at = draft.add("Relu", draft.add("Gemm", at, weight, bias))
    return draft.add("Gemm", at, *last)


@_write.register
def _(model: Blend, draft: Draft, x: str) -> str:
    few = draft.add("Gather", x, np.arange(model.columns), axis=1)
    wide = len(model.wide)
    guesses = [_write(one, draft, x if at < wide else few) for at, one in enumerate(model.models_)]
    weights = np.array([model.near, model.far]).T
    mixed = draft.add("MatMul", draft.add("Concat", *guesses, axis=1), weights)
    distance = draft.add("Gather", x, np.array([model.distance]), axis=1)
    ratio = draft.add(
        "Div", np.array(float(model.reach)), draft.add("Max", distance, np.array(TOUCHING))
    )
    cube = draft.add("Mul", draft.add("Mul", ratio, ratio), ratio)
    far = draft.add("Div", np.array(1.0), draft.add("Add", np.array(1.0), cube))
    shares = draft.add("Concat", draft.add("Sub", np.array(1.0), far), far, axis=1)
    return draft.add("ReduceSum", draft.add("Mul", mixed, shares), np.array([1]))
