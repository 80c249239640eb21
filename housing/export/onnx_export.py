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
from housing.export.graph_builder import Tensor, add_node, concat
from housing.models.blend import MIN_DISTANCE_DEGREES, Blend
from housing.models.boosted_trees import lightgbm_regressor_class
from housing.models.features import LocationFeatures, NeighborFeatures
from housing.models.intervals import MIN_SCALE, IntervalModel
from housing.models.mlp import ClippedMLPRegressor
from housing.schema import FEATURE_NAMES

# adds an estimator, applied to a tensor, and returns its output
Converter = Callable[[Any, Tensor], Tensor]
IR_VERSION = 10
OPSET_VERSIONS = {"": 21, "ai.onnx.ml": 5}


def to_onnx(model: BaseEstimator, interval_model: IntervalModel | None = None) -> bytes:
    """Return the graph of a fitted model: input `rows` (n, 8) float64, output (n,) in $100,000.

    With an interval_model it has a second output, `scale`: by how much a prediction like this one
    is off, (n,) in $100,000. Raises TypeError for an estimator that cannot be exported.
    """
    rows = helper.make_tensor_value_info("rows", TensorProto.DOUBLE, [None, len(FEATURE_NAMES)])
    house_value = helper.make_tensor_value_info("house_value", TensorProto.DOUBLE, [None])
    graph = helper.make_graph([], "house_value", [rows], [house_value])
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSET_VERSIONS.items()]
    onnx_model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    *steps, final_estimator = model if isinstance(model, Pipeline) else [model]
    columns = Tensor("rows", onnx_model)
    for step in steps:
        columns = _add_estimator(step, columns)
    prediction = _add_estimator(final_estimator, columns).apply("Reshape", [-1, 1])
    if interval_model:
        _add_interval_model(interval_model, columns, prediction)
    prediction.apply("Reshape", [-1], output_name="house_value")
    onnx.checker.check_model(onnx_model)
    return onnx_model.SerializeToString()


def _add_interval_model(interval_model: IntervalModel, columns: Tensor, prediction: Tensor) -> None:
    """Add the output `scale`, computed from the model's columns and its prediction."""
    uncertainty_features = tree_converters.round_to_float32(concat([columns, prediction]))
    scale = _add_estimator(interval_model.scale, uncertainty_features).apply("Max", MIN_SCALE)
    scale.apply("Reshape", [-1], output_name="scale")
    output = helper.make_tensor_value_info("scale", TensorProto.DOUBLE, [None])
    columns.model.graph.output.append(output)
    quantiles = {"lows": interval_model.lows.tolist(), "highs": interval_model.highs.tolist()}
    columns.model.metadata_props.add(key="intervals", value=json.dumps(quantiles))


def _add_estimator(estimator: BaseEstimator, rows: Tensor) -> Tensor:
    """Add the nodes of one estimator, applied to the rows; return its output.

    Raises TypeError for an estimator without a converter here.
    """
    return _find_converter(estimator)(estimator, rows)


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


def _add_pipeline(estimator: Pipeline, rows: Tensor) -> Tensor:
    for step in estimator:
        rows = _add_estimator(step, rows)
    return rows


def _add_column_transformer(estimator: ColumnTransformer, rows: Tensor) -> Tensor:
    outputs = []
    for _name, transformer, columns in estimator.transformers_:
        names = [FEATURE_NAMES[column] if isinstance(column, int) else column for column in columns]
        selected = rows.gather([FEATURE_NAMES.index(name) for name in names])
        outputs.append(_add_estimator(transformer, selected))
    return concat(outputs)


def _add_ridge(estimator: Ridge, rows: Tensor) -> Tensor:
    return rows.apply("MatMul", estimator.coef_) + estimator.intercept_


def _add_mlp(estimator: ClippedMLPRegressor, rows: Tensor) -> Tensor:
    activations = rows.apply("Max", estimator.clip_min_).apply("Min", estimator.clip_max_)
    *hidden_layers, last_layer = zip(estimator.weights_, estimator.biases_, strict=True)
    for layer in hidden_layers:
        activations = activations.apply("Gemm", *layer).apply("Relu")
    return activations.apply("Gemm", *last_layer)


def _add_blend(estimator: Blend, rows: Tensor) -> Tensor:
    far_rows = rows.gather(np.arange(estimator.n_far_columns))
    n_near = len(estimator.near_models)
    predictions = [
        _add_estimator(model, rows if number < n_near else far_rows)
        for number, model in enumerate(estimator.models_)
    ]
    weights = np.array([estimator.near_weights, estimator.far_weights]).T
    sides = concat(predictions).apply("MatMul", weights)
    distance = rows.gather([estimator.distance_column]).apply("Max", MIN_DISTANCE_DEGREES)
    ratio = float(estimator.crossover_distance) / distance
    far_share = 1.0 / (ratio * ratio * ratio + 1.0)
    near_share = add_node(rows.model, "Sub", 1.0, far_share)
    shares = concat([near_share, far_share])
    return (sides * shares).apply("ReduceSum", [1])


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
