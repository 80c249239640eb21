"""Export a fitted scikit-learn model to its double-precision ONNX graph.

The converters are this project's own, as no library tried writes trees in double precision that
onnxruntime accepts, and with float32 thresholds predictions are wrong by up to $45,758.
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

OPSET_VERSION, ML_OPSET_VERSION, IR_VERSION = 21, 5, 10


def to_onnx(model: BaseEstimator, interval_model: IntervalModel | None = None) -> bytes:
    """Return the graph of a fitted model: input `rows` (n, 8) float64, output (n,) in $100,000.

    With an interval_model it has a second output, `scale`: by how much a prediction like this one
    is off, (n,) in $100,000. Raises TypeError for an estimator that cannot be exported.
    """
    builder = GraphBuilder()
    *steps, final_estimator = model if isinstance(model, Pipeline) else [model]
    columns = "rows"
    for step in steps:
        columns = _add_estimator(step, builder, columns)
    prediction = builder.add_node(
        "Reshape", _add_estimator(final_estimator, builder, columns), np.array([-1, 1])
    )
    if interval_model:
        _add_interval_model(interval_model, builder, columns, prediction)
    builder.add_node("Reshape", prediction, np.array([-1]), output_name="house_value")
    graph = helper.make_graph(
        builder.nodes, "house_value", builder.inputs, builder.outputs, builder.constants
    )
    opsets = [
        helper.make_opsetid("", OPSET_VERSION),
        helper.make_opsetid("ai.onnx.ml", ML_OPSET_VERSION),
    ]
    onnx_model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    helper.set_model_props(onnx_model, builder.metadata)
    onnx.checker.check_model(onnx_model)
    return onnx_model.SerializeToString()


def _add_interval_model(
    interval_model: IntervalModel, builder: GraphBuilder, columns: str, prediction: str
) -> None:
    """Add the output `scale`, computed from the model's columns and its prediction."""
    uncertainty_features = _round_to_float32(
        builder, builder.add_node("Concat", columns, prediction, axis=1)
    )
    raw_scale = _add_estimator(interval_model.scale, builder, uncertainty_features)
    scale = builder.add_node("Max", raw_scale, np.array(MIN_SCALE))
    builder.add_node("Reshape", scale, np.array([-1]), output_name="scale")
    builder.outputs.append(make_value_info("scale", TensorProto.DOUBLE, None))
    builder.metadata["intervals"] = json.dumps(
        {"lows": interval_model.lows.tolist(), "highs": interval_model.highs.tolist()}
    )


@singledispatch
def _add_estimator(estimator: BaseEstimator, builder: GraphBuilder, input_name: str) -> str:
    """Add the nodes of one estimator, applied to the tensor input_name; return its output's name.

    Raises TypeError for an estimator without a converter here.
    """
    raise TypeError(
        f"{type(estimator).__name__} cannot be served: housing/export/onnx_export.py has no "
        "converter for it"
    )


@_add_estimator.register
def _(estimator: Pipeline, builder: GraphBuilder, input_name: str) -> str:
    for step in estimator:
        input_name = _add_estimator(step, builder, input_name)
    return input_name


@_add_estimator.register
def _(estimator: ColumnTransformer, builder: GraphBuilder, input_name: str) -> str:
    outputs = []
    for _name, transformer, columns in estimator.transformers_:
        names = [FEATURE_NAMES[column] if isinstance(column, int) else column for column in columns]
        indices = np.array([FEATURE_NAMES.index(name) for name in names])
        selected = builder.add_node("Gather", input_name, indices, axis=1)
        outputs.append(_add_estimator(transformer, builder, selected))
    return builder.add_node("Concat", *outputs, axis=1)


@_add_estimator.register
def _(estimator: FunctionTransformer, builder: GraphBuilder, input_name: str) -> str:
    if estimator.func is None:
        return input_name
    if estimator.func is np.log1p:
        return builder.add_node("Log", builder.add_node("Add", input_name, np.array(1.0)))
    raise TypeError(
        f"the function {estimator.func} cannot be served: housing/export/onnx_export.py has a "
        "converter for numpy.log1p only"
    )


@_add_estimator.register
def _(estimator: StandardScaler, builder: GraphBuilder, input_name: str) -> str:
    centered = builder.add_node("Sub", input_name, estimator.mean_)
    return builder.add_node("Div", centered, estimator.scale_)


@_add_estimator.register
def _(estimator: PolynomialFeatures, builder: GraphBuilder, input_name: str) -> str:
    """Multiply chains of columns; a column of ones fills the shorter chains."""
    n_columns = estimator.n_features_in_
    ones_column = n_columns
    padded = builder.add_node(
        "Pad", input_name, np.array([0, 0, 0, 1]), np.array(1.0), mode="constant"
    )
    chains = np.full((len(estimator.powers_), estimator.degree), ones_column)
    for chain, powers in zip(chains, estimator.powers_, strict=True):
        factors = np.repeat(np.arange(n_columns), powers)
        chain[: len(factors)] = factors
    product = builder.add_node("Gather", padded, chains[:, 0], axis=1)
    for factors in chains.T[1:]:
        factor = builder.add_node("Gather", padded, factors, axis=1)
        product = builder.add_node("Mul", product, factor)
    return product


@_add_estimator.register
def _(estimator: Ridge, builder: GraphBuilder, input_name: str) -> str:
    product = builder.add_node("MatMul", input_name, estimator.coef_)
    return builder.add_node("Add", product, np.asarray(estimator.intercept_))


@_add_estimator.register
def _(estimator: DecisionTreeRegressor, builder: GraphBuilder, input_name: str) -> str:
    """Round rows to float32 first, as scikit-learn's trees do."""
    rounded = _round_to_float32(builder, input_name)
    return add_tree_ensemble([_tree_nodes(estimator)], builder, rounded)


@_add_estimator.register
def _(estimator: ExtraTreesRegressor, builder: GraphBuilder, input_name: str) -> str:
    trees = [_tree_nodes(tree) for tree in estimator.estimators_]
    total = add_tree_ensemble(trees, builder, _round_to_float32(builder, input_name))
    return builder.add_node("Div", total, np.array(float(len(trees))))


def _round_to_float32(builder: GraphBuilder, input_name: str) -> str:
    """Add the nodes that round a tensor to single precision; return the output's name."""
    return builder.cast(builder.cast(input_name, TensorProto.FLOAT), TensorProto.DOUBLE)


def _tree_nodes(estimator: DecisionTreeRegressor) -> list[TreeNode]:
    tree = estimator.tree_
    columns = zip(
        tree.children_left == -1,
        tree.feature,
        tree.threshold,
        tree.children_left,
        tree.children_right,
        tree.value.ravel(),
        strict=True,
    )
    return [TreeNode(*fields) for fields in columns]


@_add_estimator.register
def _(estimator: HistGradientBoostingRegressor, builder: GraphBuilder, input_name: str) -> str:
    """Make the baseline the first tree's only leaf: sums then run in scikit-learn's order."""
    baseline = [TreeNode(True, value=float(estimator._baseline_prediction.item()))]
    fields = ["is_leaf", "feature_idx", "num_threshold", "left", "right", "value"]
    trees = [
        [TreeNode(*node) for node in predictor.nodes[fields].tolist()]
        for [predictor] in estimator._predictors
    ]
    return add_tree_ensemble([baseline, *trees], builder, input_name)


def _add_lightgbm(estimator: LGBMRegressor, builder: GraphBuilder, input_name: str) -> str:
    """Add the nodes of a LightGBM model; return its output's name."""
    trees = estimator.booster_.dump_model()["tree_info"]
    nodes = [_flatten_tree(tree["tree_structure"]) for tree in trees]
    return add_tree_ensemble(nodes, builder, input_name)


if LGBMRegressor is not None:
    _add_estimator.register(LGBMRegressor, _add_lightgbm)


def _flatten_tree(root: dict[str, Any]) -> list[TreeNode]:
    """Return LightGBM's nested nodes as a list, each before its children."""
    nodes: list[TreeNode] = []

    def append_subtree(node: dict[str, Any]) -> int:
        position = len(nodes)
        nodes.append(TreeNode(True, value=node.get("leaf_value", 0.0)))
        if "split_feature" in node:
            left, right = append_subtree(node["left_child"]), append_subtree(node["right_child"])
            nodes[position] = TreeNode(False, node["split_feature"], node["threshold"], left, right)
        return position

    append_subtree(root)
    return nodes


@_add_estimator.register
def _(estimator: LocationFeatures, builder: GraphBuilder, input_name: str) -> str:
    """Compute products and sums one by one: a matrix product would round differently.

    Rotated axes and job centers at once, (n, 2, both): latitude and longitude, less an offset,
    times a scale.
    """
    centers = np.array(list(features.JOB_CENTERS.values())).T
    n_rotated, n_centers = features.ROTATED_AXES.shape[1], centers.shape[1]
    offsets = np.hstack([np.zeros_like(features.ROTATED_AXES), centers])
    center_scales = np.array([[1.0], [features.LONGITUDE_SCALE]]).repeat(n_centers, 1)
    scales = np.hstack([features.ROTATED_AXES, center_scales])
    coordinate_indices = np.array([[features.LATITUDE_INDEX], [features.LONGITUDE_INDEX]])
    coordinates = builder.add_node(
        "Gather", input_name, coordinate_indices.repeat(n_rotated + n_centers, 1), axis=1
    )
    scaled = builder.add_node("Mul", builder.add_node("Sub", coordinates, offsets), scales)
    rotated, from_centers = builder.split(scaled, [n_rotated, n_centers], 2)
    coordinate_axis = np.array([1])
    rotated = builder.add_node("ReduceSum", rotated, coordinate_axis, keepdims=0)
    squares = builder.add_node("Mul", from_centers, from_centers)
    squared_distances = builder.add_node("ReduceSum", squares, coordinate_axis, keepdims=0)
    ratios = _add_ratios(builder, input_name)
    distances = builder.add_node("Sqrt", squared_distances)
    return builder.add_node("Concat", input_name, rotated, ratios, distances, axis=1)


def _add_ratios(builder: GraphBuilder, input_name: str) -> str:
    """Add the nodes for rooms per bedroom, households, and income per room."""
    numerators = [features.ROOMS_INDEX, features.POPULATION_INDEX, features.INCOME_INDEX]
    denominators = [features.BEDROOMS_INDEX, features.OCCUPANCY_INDEX, features.ROOMS_INDEX]
    selected = builder.add_node("Gather", input_name, np.array(numerators + denominators), axis=1)
    numerator, denominator = builder.split(selected, [len(numerators), len(denominators)], 1)
    bounded = builder.add_node("Max", denominator, np.array(features.MIN_DENOMINATOR))
    return builder.add_node("Div", numerator, bounded)


@_add_estimator.register
def _(estimator: NeighborFeatures, builder: GraphBuilder, input_name: str) -> str:
    """Take the neighbors' numbers and distances as inputs; what is known of them is in the graph.

    All spaces and statistics at once, (n, spaces, neighbors, statistics), as few nodes predict one
    row fast; the sums run as in `NeighborFeatures.transform`, and the last node orders the columns
    as it does.
    """
    _add_neighbor_inputs(estimator, builder)
    counts = np.array(estimator.neighbor_counts_)
    last_positions = counts - 1
    table = np.stack([estimator.targets_, estimator.first_column_], 1)
    neighbors = builder.add_node("Gather", table, "which")
    targets = builder.add_node("Gather", neighbors, np.array([0]), axis=3)
    shifted = builder.add_node("Add", "distance", np.array(features.DISTANCE_OFFSET_DEGREES))
    weights = builder.add_node("Div", np.array(1.0), shifted)
    squares = builder.add_node("Mul", targets, targets)
    weighted = builder.add_node("Mul", weights, targets)
    summands = builder.add_node("Concat", neighbors, squares, weighted, weights, axis=3)
    running_sums = builder.add_node("CumSum", summands, np.array(2))
    selected_sums = builder.add_node("Gather", running_sums, last_positions, axis=2)
    sums, weighted_sum, weight_sum = builder.split(selected_sums, [3, 1, 1], 3)
    means = builder.add_node("Div", sums, counts.astype(float)[:, None])
    mean, first_column_mean, mean_square = builder.split(means, [1, 1, 1], 3)
    squared_mean = builder.add_node("Mul", mean, mean)
    variance = builder.add_node("Sub", mean_square, squared_mean)
    first_column = builder.add_node("Gather", input_name, np.array([[[0]]]), axis=1)
    statistics = [
        mean,
        builder.add_node("Div", weighted_sum, weight_sum),
        builder.add_node("Sqrt", builder.add_node("Max", variance, np.array(0.0))),
        builder.add_node("Gather", "distance", last_positions, axis=2),
        builder.add_node("Sub", first_column, first_column_mean),
    ]
    stacked = builder.add_node("Concat", *statistics, axis=3)
    shape = len(estimator.spaces_), len(counts), len(statistics)
    flat = builder.add_node("Reshape", stacked, np.array([-1, np.prod(shape)]))
    all_columns = builder.add_node("Concat", input_name, flat, axis=1)
    order = _neighbor_column_order(estimator.n_features_in_, shape)
    return builder.add_node("Gather", all_columns, order, axis=1)


def _add_neighbor_inputs(estimator: NeighborFeatures, builder: GraphBuilder) -> None:
    """Add the neighbors' distances and numbers as inputs, and the rows fitted on as outputs.

    The service builds its indexes of the outputs `points_*`, and reads the spaces in the metadata.
    """
    n_spaces, n_neighbors = len(estimator.spaces_), estimator.neighbor_counts_[-1]
    builder.metadata["neighbours"] = json.dumps({"spaces": estimator.spaces_, "count": n_neighbors})
    builder.inputs.append(
        make_value_info("distance", TensorProto.DOUBLE, None, n_spaces, n_neighbors, 1)
    )
    builder.inputs.append(make_value_info("which", TensorProto.INT64, None, n_spaces, n_neighbors))
    for number, points in enumerate(estimator.points_):
        name = f"points_{number}"
        builder.outputs.append(make_value_info(name, TensorProto.DOUBLE, *points.shape))
        builder.add_node("Identity", points, output_name=name)


def _neighbor_column_order(n_columns: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the order of columns that `NeighborFeatures.transform` has.

    shape: (spaces, neighbor counts, statistics) of the columns that follow the n_columns own ones.
    """
    positions = n_columns + np.arange(np.prod(shape)).reshape(shape)
    columns = [
        np.arange(n_columns),
        positions[..., 0],  # mean
        positions[..., 1],  # weighted mean
        positions[:, -1, 2],  # standard deviation
        positions[:, 0, 3],  # distance to the first
        positions[:, -1, 3],  # distance to the last
        positions[:, -1, 4],  # difference of the first column
    ]
    return np.concatenate([column.ravel() for column in columns])


@_add_estimator.register
def _(estimator: ClippedMLPRegressor, builder: GraphBuilder, input_name: str) -> str:
    raised = builder.add_node("Max", input_name, estimator.clip_min_)
    activations = builder.add_node("Min", raised, estimator.clip_max_)
    *hidden_layers, (last_weights, last_biases) = zip(
        estimator.weights_, estimator.biases_, strict=True
    )
    for weights, biases in hidden_layers:
        product = builder.add_node("Gemm", activations, weights, biases)
        activations = builder.add_node("Relu", product)
    return builder.add_node("Gemm", activations, last_weights, last_biases)


@_add_estimator.register
def _(estimator: Blend, builder: GraphBuilder, input_name: str) -> str:
    far_columns = builder.add_node("Gather", input_name, np.arange(estimator.n_far_columns), axis=1)
    n_near = len(estimator.near_models)
    predictions = [
        _add_estimator(model, builder, input_name if number < n_near else far_columns)
        for number, model in enumerate(estimator.models_)
    ]
    weights = np.array([estimator.near_weights, estimator.far_weights]).T
    sides = builder.add_node("MatMul", builder.add_node("Concat", *predictions, axis=1), weights)
    distance_column = np.array([estimator.distance_column])
    distance = builder.add_node(
        "Max",
        builder.add_node("Gather", input_name, distance_column, axis=1),
        np.array(MIN_DISTANCE_DEGREES),
    )
    crossover_distance = np.array(float(estimator.crossover_distance))
    ratio = builder.add_node("Div", crossover_distance, distance)
    cube = builder.add_node("Mul", builder.add_node("Mul", ratio, ratio), ratio)
    denominator = builder.add_node("Add", np.array(1.0), cube)
    far_share = builder.add_node("Div", np.array(1.0), denominator)
    near_share = builder.add_node("Sub", np.array(1.0), far_share)
    shares = builder.add_node("Concat", near_share, far_share, axis=1)
    return builder.add_node("ReduceSum", builder.add_node("Mul", sides, shares), np.array([1]))
