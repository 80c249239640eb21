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

from housing.export.graph_builder import GraphBuilder, TreeNode, add_tree_ensemble, make_value_info
from housing.models import features
from housing.models.blend import MIN_DISTANCE_DEGREES, Blend
from housing.models.families import LGBMRegressor
from housing.models.features import LocationFeatures, NeighborFeatures
from housing.models.intervals import MIN_SCALE, IntervalModel
from housing.models.mlp import ClippedMLPRegressor
from housing.schema import FEATURE_NAMES


def to_onnx(model: BaseEstimator, interval_model: IntervalModel | None = None) -> bytes:
    """The graph of a fitted model: input `rows` (n, 8) float64, output (n,) in $100,000.

    With the model's intervals it has a second output, `scale`: by how much a guess like this one is
    off, (n,) in $100,000. Raises TypeError for a kind of model or transformer that has no
    conversion here.
    """
    draft = GraphBuilder()
    *steps, last = model if isinstance(model, Pipeline) else [model]
    columns = "rows"
    for step in steps:
        columns = _add_estimator(step, draft, columns)
    guess = draft.add_node("Reshape", _add_estimator(last, draft, columns), np.array([-1, 1]))
    if interval_model:
        signs = _round_to_float32(draft, draft.add_node("Concat", columns, guess, axis=1))
        scale = draft.add_node(
            "Max", _add_estimator(interval_model.scale, draft, signs), np.array(MIN_SCALE)
        )
        draft.add_node("Reshape", scale, np.array([-1]), output_name="scale")
        draft.outputs.append(make_value_info("scale", TensorProto.DOUBLE, None))
        draft.metadata["intervals"] = json.dumps(
            {"lows": interval_model.lows.tolist(), "highs": interval_model.highs.tolist()}
        )
    draft.add_node("Reshape", guess, np.array([-1]), output_name="house_value")
    graph = helper.make_graph(
        draft.nodes, "house_value", draft.inputs, draft.outputs, draft.constants
    )
    versions = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)]
    made = helper.make_model(graph, opset_imports=versions, ir_version=10)
    helper.set_model_props(made, draft.metadata)
    onnx.checker.check_model(made)
    return made.SerializeToString()


@singledispatch
def _add_estimator(estimator: BaseEstimator, builder: GraphBuilder, input_name: str) -> str:
    """Adds the nodes of one estimator, applied to the tensor x; gives its output's name."""
    raise TypeError(
        f"{type(estimator).__name__} cannot be served: housing/export/onnx_export.py has no conversion for it"
    )


@_add_estimator.register
def _(estimator: Pipeline, builder: GraphBuilder, input_name: str) -> str:
    for step in estimator:
        input_name = _add_estimator(step, builder, input_name)
    return input_name


@_add_estimator.register
def _(estimator: ColumnTransformer, builder: GraphBuilder, input_name: str) -> str:
    parts = []
    for _name, transformer, columns in estimator.transformers_:
        names = [FEATURE_NAMES[one] if isinstance(one, int) else one for one in columns]
        picked = builder.add_node(
            "Gather", input_name, np.array([FEATURE_NAMES.index(one) for one in names]), axis=1
        )
        parts.append(_add_estimator(transformer, builder, picked))
    return builder.add_node("Concat", *parts, axis=1)


@_add_estimator.register
def _(estimator: FunctionTransformer, builder: GraphBuilder, input_name: str) -> str:
    if estimator.func is None:
        return input_name
    if estimator.func is np.log1p:
        return builder.add_node("Log", builder.add_node("Add", input_name, np.array(1.0)))
    raise TypeError(
        f"the function {estimator.func} cannot be served: housing/export/onnx_export.py knows log1p"
    )


@_add_estimator.register
def _(estimator: StandardScaler, builder: GraphBuilder, input_name: str) -> str:
    return builder.add_node(
        "Div", builder.add_node("Sub", input_name, estimator.mean_), estimator.scale_
    )


@_add_estimator.register
def _(estimator: PolynomialFeatures, builder: GraphBuilder, input_name: str) -> str:
    """Each product is a chain of columns; a column of ones fills the shorter chains."""
    ones = estimator.n_features_in_
    wide = builder.add_node(
        "Pad", input_name, np.array([0, 0, 0, 1]), np.array(1.0), mode="constant"
    )  # the ones stand last
    chains = np.full((len(estimator.powers_), estimator.degree), ones)
    for row, powers in zip(chains, estimator.powers_, strict=True):
        factors = np.repeat(np.arange(ones), powers)
        row[: len(factors)] = factors
    product = builder.add_node("Gather", wide, chains[:, 0], axis=1)
    for factor in chains.T[1:]:
        product = builder.add_node("Mul", product, builder.add_node("Gather", wide, factor, axis=1))
    return product


@_add_estimator.register
def _(estimator: Ridge, builder: GraphBuilder, input_name: str) -> str:
    return builder.add_node(
        "Add",
        builder.add_node("MatMul", input_name, estimator.coef_),
        np.asarray(estimator.intercept_),
    )


@_add_estimator.register
def _(estimator: DecisionTreeRegressor, builder: GraphBuilder, input_name: str) -> str:
    """scikit-learn's trees look at rows in float32, so the graph rounds them the same way."""
    return add_tree_ensemble(
        [_tree_nodes(estimator)], builder, _round_to_float32(builder, input_name)
    )


@_add_estimator.register
def _(estimator: ExtraTreesRegressor, builder: GraphBuilder, input_name: str) -> str:
    total = add_tree_ensemble(
        [_tree_nodes(one) for one in estimator.estimators_],
        builder,
        _round_to_float32(builder, input_name),
    )
    return builder.add_node("Div", total, np.array(float(len(estimator.estimators_))))


def _round_to_float32(builder: GraphBuilder, input_name: str) -> str:
    return builder.cast(builder.cast(input_name, TensorProto.FLOAT), TensorProto.DOUBLE)


def _tree_nodes(estimator: DecisionTreeRegressor) -> list[TreeNode]:
    tree = estimator.tree_
    return list(
        zip(
            tree.children_left == -1, tree.feature, tree.threshold,
            tree.children_left, tree.children_right, tree.value.ravel(), strict=True,
        )
    )  # fmt: skip


@_add_estimator.register
def _(estimator: HistGradientBoostingRegressor, builder: GraphBuilder, input_name: str) -> str:
    """The baseline is the first tree's only leaf: sums then run in scikit-learn's order."""
    baseline = [(True, 0, 0.0, 0, 0, float(estimator._baseline_prediction.item()))]
    fields = ["is_leaf", "feature_idx", "num_threshold", "left", "right", "value"]
    boosted = (predictor.nodes for [predictor] in estimator._predictors)
    return add_tree_ensemble(
        [baseline, *(nodes[fields].tolist() for nodes in boosted)], builder, input_name
    )


def _add_lightgbm(estimator: LGBMRegressor, builder: GraphBuilder, input_name: str) -> str:
    described = estimator.booster_.dump_model()["tree_info"]
    return add_tree_ensemble(
        [_flatten_tree(one["tree_structure"]) for one in described], builder, input_name
    )


if LGBMRegressor is not None:
    _add_estimator.register(LGBMRegressor, _add_lightgbm)


def _flatten_tree(root: dict[str, Any]) -> list[TreeNode]:
    """LightGBM's nested nodes as a list, each before its children."""
    nodes: list[TreeNode] = []

    def append_subtree(node: dict[str, Any]) -> int:
        at = len(nodes)
        nodes.append((True, 0, 0.0, 0, 0, node.get("leaf_value", 0.0)))
        if "split_feature" in node:
            left, right = append_subtree(node["left_child"]), append_subtree(node["right_child"])
            nodes[at] = (False, node["split_feature"], node["threshold"], left, right, 0.0)
        return at

    append_subtree(root)
    return nodes


@_add_estimator.register
def _(estimator: LocationFeatures, builder: GraphBuilder, input_name: str) -> str:
    """Products and sums one by one: a matrix product would round otherwise.

    Turned axes and cities at once, (n, 2, both): north and east, less an offset, times a scale.
    """
    cities = np.array(list(features.JOB_CENTERS.values())).T
    turned, both = features.ROTATED_AXES.shape[1], features.ROTATED_AXES.shape[1] + cities.shape[1]
    offsets = np.hstack([np.zeros_like(features.ROTATED_AXES), cities])
    shrunk = np.array([[1.0], [features.LONGITUDE_SCALE]]).repeat(cities.shape[1], 1)
    scales = np.hstack([features.ROTATED_AXES, shrunk])
    sides = np.array([[features.LATITUDE_INDEX], [features.LONGITUDE_INDEX]]).repeat(both, 1)
    apart = builder.add_node("Sub", builder.add_node("Gather", input_name, sides, axis=1), offsets)
    apart = builder.add_node("Mul", apart, scales)
    along, away = builder.split(apart, [turned, both - turned], 2)
    across = np.array([1])
    along = builder.add_node("ReduceSum", along, across, keepdims=0)
    squares = builder.add_node("ReduceSum", builder.add_node("Mul", away, away), across, keepdims=0)
    of = [features.ROOMS_INDEX, features.POPULATION_INDEX, features.INCOME_INDEX]
    by = [features.BEDROOMS_INDEX, features.OCCUPANCY_INDEX, features.ROOMS_INDEX]
    tops, bottoms = builder.split(
        builder.add_node("Gather", input_name, np.array(of + by), axis=1), [3, 3], 1
    )
    ratios = builder.add_node(
        "Div", tops, builder.add_node("Max", bottoms, np.array(features.MIN_DENOMINATOR))
    )
    return builder.add_node(
        "Concat", input_name, along, ratios, builder.add_node("Sqrt", squares), axis=1
    )


@_add_estimator.register
def _(estimator: NeighborFeatures, builder: GraphBuilder, input_name: str) -> str:
    """Who the neighbours are comes in from outside; what is known of them is in the graph.

    All spaces and figures at once, (n, spaces, neighbours, figures), as few nodes answer one row
    fast; the sums are those of `Neighbours._part`, and the last node puts the columns in its order.
    """
    spaces, nearest = len(estimator.spaces_), estimator.neighbor_counts_
    builder.metadata["neighbours"] = json.dumps({"spaces": estimator.spaces_, "count": nearest[-1]})
    builder.inputs.append(
        make_value_info("distance", TensorProto.DOUBLE, None, spaces, nearest[-1], 1)
    )
    builder.inputs.append(make_value_info("which", TensorProto.INT64, None, spaces, nearest[-1]))
    for at, points in enumerate(estimator.points_):
        builder.outputs.append(make_value_info(f"points_{at}", TensorProto.DOUBLE, *points.shape))
        builder.add_node("Identity", points, output_name=f"points_{at}")

    known = builder.add_node(
        "Gather", np.stack([estimator.targets_, estimator.first_column_], 1), "which"
    )
    values = builder.add_node("Gather", known, np.array([0]), axis=3)
    weights = builder.add_node(
        "Div",
        np.array(1.0),
        builder.add_node("Add", "distance", np.array(features.DISTANCE_OFFSET_DEGREES)),
    )
    products = builder.add_node("Mul", values, values), builder.add_node("Mul", weights, values)
    sums = builder.add_node(
        "CumSum", builder.add_node("Concat", known, *products, weights, axis=3), np.array(2)
    )
    upto = np.array([one - 1 for one in nearest])
    evenly, weighted, weight = builder.split(
        builder.add_node("Gather", sums, upto, axis=2), [3, 1, 1], 3
    )
    counts = np.array(nearest, float)[:, None]
    mean, theirs, square = builder.split(builder.add_node("Div", evenly, counts), [1, 1, 1], 3)
    varies = builder.add_node("Sub", square, builder.add_node("Mul", mean, mean))
    first = builder.add_node("Gather", input_name, np.array([[[0]]]), axis=1)
    figures = [
        mean,
        builder.add_node("Div", weighted, weight),
        builder.add_node("Sqrt", builder.add_node("Max", varies, np.array(0.0))),
        builder.add_node("Gather", "distance", upto, axis=2),
        builder.add_node("Sub", first, theirs),
    ]
    flat = builder.add_node("Concat", *figures, axis=3)
    flat = builder.add_node("Reshape", flat, np.array([-1, spaces * len(nearest) * len(figures)]))
    own = estimator.n_features_in_
    place = own + np.arange(spaces * len(nearest) * len(figures))
    place = place.reshape(spaces, len(nearest), len(figures))
    picked = [
        np.arange(own), place[..., 0], place[..., 1],
        place[:, -1, 2], place[:, 0, 3], place[:, -1, 3], place[:, -1, 4],
    ]  # fmt: skip
    columns = np.concatenate([one.ravel() for one in picked])
    return builder.add_node(
        "Gather", builder.add_node("Concat", input_name, flat, axis=1), columns, axis=1
    )


@_add_estimator.register
def _(estimator: ClippedMLPRegressor, builder: GraphBuilder, input_name: str) -> str:
    at = builder.add_node(
        "Min", builder.add_node("Max", input_name, estimator.clip_min_), estimator.clip_max_
    )
    *hidden, last = zip(estimator.weights_, estimator.biases_, strict=True)
    for weight, bias in hidden:
        at = builder.add_node("Relu", builder.add_node("Gemm", at, weight, bias))
    return builder.add_node("Gemm", at, *last)


@_add_estimator.register
def _(estimator: Blend, builder: GraphBuilder, input_name: str) -> str:
    few = builder.add_node("Gather", input_name, np.arange(estimator.n_far_columns), axis=1)
    wide = len(estimator.near_models)
    guesses = [
        _add_estimator(one, builder, input_name if at < wide else few)
        for at, one in enumerate(estimator.models_)
    ]
    weights = np.array([estimator.near_weights, estimator.far_weights]).T
    mixed = builder.add_node("MatMul", builder.add_node("Concat", *guesses, axis=1), weights)
    distance = builder.add_node("Gather", input_name, np.array([estimator.distance_column]), axis=1)
    ratio = builder.add_node(
        "Div",
        np.array(float(estimator.crossover_distance)),
        builder.add_node("Max", distance, np.array(MIN_DISTANCE_DEGREES)),
    )
    cube = builder.add_node("Mul", builder.add_node("Mul", ratio, ratio), ratio)
    far = builder.add_node("Div", np.array(1.0), builder.add_node("Add", np.array(1.0), cube))
    shares = builder.add_node("Concat", builder.add_node("Sub", np.array(1.0), far), far, axis=1)
    return builder.add_node("ReduceSum", builder.add_node("Mul", mixed, shares), np.array([1]))
