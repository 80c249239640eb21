"""Convert transformers of features to nodes of an ONNX graph: scikit-learn's, and our own."""

import json

import numpy as np
from onnx import ModelProto, TensorProto
from onnx.helper import make_tensor_value_info
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

from housing.export.graph_builder import Tensor, add_node, concat
from housing.geography import JOB_CENTERS, LONGITUDE_SCALE
from housing.models import features
from housing.models.features import LocationFeatures, NeighborFeatures


def add_function_transformer(estimator: FunctionTransformer, rows: Tensor) -> Tensor:
    """Add the function of a transformer; return its output.

    Raises TypeError for another function than numpy.log1p.
    """
    if estimator.func is None:
        return rows
    if estimator.func is np.log1p:
        return (rows + 1.0).apply("Log")
    raise TypeError(
        f"the function {estimator.func} cannot be served: housing/export/feature_converters.py "
        "has a converter for numpy.log1p only"
    )


def add_standard_scaler(estimator: StandardScaler, rows: Tensor) -> Tensor:
    """Add the scaling of each column; return its output."""
    return (rows - estimator.mean_) / estimator.scale_


def add_polynomial_features(estimator: PolynomialFeatures, rows: Tensor) -> Tensor:
    """Add the products of columns; return their output.

    Each product is a chain of columns; a column of ones fills the shorter chains.
    """
    n_columns = estimator.n_features_in_
    ones_column = n_columns
    padded = rows.apply("Pad", [0, 0, 0, 1], 1.0, mode="constant")
    chains = np.full((len(estimator.powers_), estimator.degree), ones_column)
    for chain, powers in zip(chains, estimator.powers_, strict=True):
        factors = np.repeat(np.arange(n_columns), powers)
        chain[: len(factors)] = factors
    product = padded.gather(chains[:, 0])
    for factors in chains.T[1:]:
        product = product * padded.gather(factors)
    return product


def add_location_features(estimator: LocationFeatures, rows: Tensor) -> Tensor:
    """Add the columns of `LocationFeatures`; return their output.

    Products and sums are computed one by one: a matrix product would round differently.
    Rotated axes and job centers at once, (n, 2, both): latitude and longitude, less an offset,
    times a scale.
    """
    centers = np.array(list(JOB_CENTERS.values())).T
    n_rotated, n_centers = features.ROTATED_AXES.shape[1], centers.shape[1]
    offsets = np.hstack([np.zeros_like(features.ROTATED_AXES), centers])
    center_scales = np.array([[1.0], [LONGITUDE_SCALE]]).repeat(n_centers, 1)
    scales = np.hstack([features.ROTATED_AXES, center_scales])
    coordinate_indices = np.array([[features.LATITUDE_INDEX], [features.LONGITUDE_INDEX]])
    coordinates = rows.gather(coordinate_indices.repeat(n_rotated + n_centers, 1))
    rotated, from_centers = ((coordinates - offsets) * scales).split([n_rotated, n_centers], 2)
    coordinate_axis = [1]
    rotated = rotated.apply("ReduceSum", coordinate_axis, keepdims=0)
    squares = from_centers * from_centers
    squared_distances = squares.apply("ReduceSum", coordinate_axis, keepdims=0)
    return concat([rows, rotated, _add_ratios(rows), squared_distances.apply("Sqrt")])


def _add_ratios(rows: Tensor) -> Tensor:
    """Add the nodes for rooms per bedroom, households, and income per room."""
    numerators = [features.ROOMS_INDEX, features.POPULATION_INDEX, features.INCOME_INDEX]
    denominators = [features.BEDROOMS_INDEX, features.OCCUPANCY_INDEX, features.ROOMS_INDEX]
    selected = rows.gather(numerators + denominators)
    numerator, denominator = selected.split([len(numerators), len(denominators)])
    return numerator / denominator.apply("Max", features.MIN_DENOMINATOR)


def add_neighbor_features(estimator: NeighborFeatures, rows: Tensor) -> Tensor:
    """Add the columns of `NeighborFeatures`; return their output.

    The neighbors' numbers and distances are inputs; what is known of them is in the graph.
    All spaces and statistics at once, (n, spaces, neighbors, statistics), as few nodes predict one
    row fast; the sums run as in `NeighborFeatures.transform`, and the last node orders the columns
    as it does.
    """
    distances, indices = _add_neighbor_inputs(estimator, rows.model)
    counts = np.array(estimator.neighbor_counts_)
    last_positions = counts - 1
    table = np.stack([estimator.targets_, estimator.first_column_], 1)
    neighbors = add_node(rows.model, "Gather", table, indices)
    targets = neighbors.gather([0], 3)
    weights = 1.0 / (distances + features.DISTANCE_OFFSET_DEGREES)
    summands = concat([neighbors, targets * targets, weights * targets, weights], 3)
    running_sums = summands.apply("CumSum", 2)
    sums, weighted_sum, weight_sum = running_sums.gather(last_positions, 2).split([3, 1, 1], 3)
    means = sums / counts.astype(float)[:, None]
    mean, first_column_mean, mean_square = means.split([1, 1, 1], 3)
    variance = mean_square - mean * mean
    statistics = [
        mean,
        weighted_sum / weight_sum,
        variance.apply("Max", 0.0).apply("Sqrt"),
        distances.gather(last_positions, 2),
        rows.gather([[[0]]]) - first_column_mean,
    ]
    shape = len(estimator.spaces_), len(counts), len(statistics)
    flat = concat(statistics, 3).apply("Reshape", [-1, np.prod(shape)])
    order = _neighbor_column_order(estimator.n_features_in_, shape)
    return concat([rows, flat]).gather(order)


def _add_neighbor_inputs(estimator: NeighborFeatures, model: ModelProto) -> list[Tensor]:
    """Add the neighbors' distances and numbers as inputs, and the rows fitted on as outputs.

    The service builds its indexes of the outputs `points_*`, and reads the spaces in the metadata.
    """
    n_spaces, n_neighbors = len(estimator.spaces_), estimator.neighbor_counts_[-1]
    lookup = json.dumps({"spaces": estimator.spaces_, "count": n_neighbors})
    model.metadata_props.add(key="neighbours", value=lookup)
    for number, points in enumerate(estimator.points_):
        output = add_node(model, "Identity", points, output_name=f"points_{number}")
        output_info = make_tensor_value_info(output.name, TensorProto.DOUBLE, points.shape)
        model.graph.output.append(output_info)
    shape = None, n_spaces, n_neighbors
    distances = make_tensor_value_info("distance", TensorProto.DOUBLE, [*shape, 1])
    indices = make_tensor_value_info("which", TensorProto.INT64, shape)
    model.graph.input.extend([distances, indices])
    return [Tensor(info.name, model) for info in (distances, indices)]


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
