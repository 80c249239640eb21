"""Export a fitted scikit-learn model to its double-precision ONNX graph.

The converters are this project's own, as no library tried writes trees in double precision that
onnxruntime accepts, and with float32 thresholds predictions are wrong by up to $45,758.
"""

import json
from collections.abc import Callable, Mapping
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

from housing.export import feature_converters, tree_converters
from housing.export.graph_builder import GraphBuilder, make_value_info
from housing.models.blend import MIN_DISTANCE_DEGREES, Blend
from housing.models.boosted_trees import lightgbm_regressor_class
from housing.models.features import LocationFeatures, NeighborFeatures
from housing.models.intervals import MIN_SCALE, IntervalModel
from housing.models.mlp import ClippedMLPRegressor
from housing.schema import FEATURE_NAMES

# adds an estimator, applied to the tensor of a name, and returns its output's name
Converter = Callable[[Any, GraphBuilder, str], str]
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
    uncertainty_features = tree_converters.round_to_float32(
        builder, builder.add_node("Concat", columns, prediction, axis=1)
    )
    raw_scale = _add_estimator(interval_model.scale, builder, uncertainty_features)
    scale = builder.add_node("Max", raw_scale, np.array(MIN_SCALE))
    builder.add_node("Reshape", scale, np.array([-1]), output_name="scale")
    builder.outputs.append(make_value_info("scale", TensorProto.DOUBLE, None))
    builder.metadata["intervals"] = json.dumps(
        {"lows": interval_model.lows.tolist(), "highs": interval_model.highs.tolist()}
    )


def _add_estimator(estimator: BaseEstimator, builder: GraphBuilder, input_name: str) -> str:
    """Add the nodes of one estimator, applied to the tensor input_name; return its output's name.

    Raises TypeError for an estimator without a converter here.
    """
    return _find_converter(estimator)(estimator, builder, input_name)


def _find_converter(estimator: BaseEstimator) -> Converter:
    for estimator_class in type(estimator).__mro__:
        if estimator_class in CONVERTERS:
            return CONVERTERS[estimator_class]
    lightgbm_class = lightgbm_regressor_class()
    if lightgbm_class and isinstance(estimator, lightgbm_class):
        return tree_converters.add_lightgbm
    raise TypeError(
        f"{type(estimator).__name__} cannot be served: housing/export/onnx_export.py has no "
        "converter for it"
    )


def _add_pipeline(estimator: Pipeline, builder: GraphBuilder, input_name: str) -> str:
    for step in estimator:
        input_name = _add_estimator(step, builder, input_name)
    return input_name


def _add_column_transformer(
    estimator: ColumnTransformer, builder: GraphBuilder, input_name: str
) -> str:
    outputs = []
    for _name, transformer, columns in estimator.transformers_:
        names = [FEATURE_NAMES[column] if isinstance(column, int) else column for column in columns]
        indices = np.array([FEATURE_NAMES.index(name) for name in names])
        selected = builder.add_node("Gather", input_name, indices, axis=1)
        outputs.append(_add_estimator(transformer, builder, selected))
    return builder.add_node("Concat", *outputs, axis=1)


def _add_ridge(estimator: Ridge, builder: GraphBuilder, input_name: str) -> str:
    product = builder.add_node("MatMul", input_name, estimator.coef_)
    return builder.add_node("Add", product, np.asarray(estimator.intercept_))


def _add_mlp(estimator: ClippedMLPRegressor, builder: GraphBuilder, input_name: str) -> str:
    raised = builder.add_node("Max", input_name, estimator.clip_min_)
    activations = builder.add_node("Min", raised, estimator.clip_max_)
    *hidden_layers, (last_weights, last_biases) = zip(
        estimator.weights_, estimator.biases_, strict=True
    )
    for weights, biases in hidden_layers:
        product = builder.add_node("Gemm", activations, weights, biases)
        activations = builder.add_node("Relu", product)
    return builder.add_node("Gemm", activations, last_weights, last_biases)


def _add_blend(estimator: Blend, builder: GraphBuilder, input_name: str) -> str:
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


CONVERTERS: Mapping[type, Converter] = {  # LightGBM's is imported only where it can be loaded
    Blend: _add_blend,
    ClippedMLPRegressor: _add_mlp,
    ColumnTransformer: _add_column_transformer,
    DecisionTreeRegressor: tree_converters.add_decision_tree,
    ExtraTreesRegressor: tree_converters.add_extra_trees,
    FunctionTransformer: feature_converters.add_function_transformer,
    HistGradientBoostingRegressor: tree_converters.add_hist_gradient_boosting,
    LocationFeatures: feature_converters.add_location_features,
    NeighborFeatures: feature_converters.add_neighbor_features,
    Pipeline: _add_pipeline,
    PolynomialFeatures: feature_converters.add_polynomial_features,
    Ridge: _add_ridge,
    StandardScaler: feature_converters.add_standard_scaler,
}
