"""Convert transformers of features to nodes of an ONNX graph: scikit-learn's, and our own."""

import json

import numpy as np
from onnx import TensorProto
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

from housing.export.graph_builder import GraphBuilder, make_value_info
from housing.geography import JOB_CENTERS, LONGITUDE_SCALE
from housing.models import features
from housing.models.features import LocationFeatures, NeighborFeatures


def add_function_transformer(
    estimator: FunctionTransformer, builder: GraphBuilder, input_name: str
) -> str:
    """Add the function of a transformer; return its output's name.

    Raises TypeError for another function than numpy.log1p.
    """
    if estimator.func is None:
        return input_name
    if estimator.func is np.log1p:
        return builder.add_node("Log", builder.add_node("Add", input_name, np.array(1.0)))
    raise TypeError(
        f"the function {estimator.func} cannot be served: housing/export/feature_converters.py "
        "has a converter for numpy.log1p only"
    )


def add_standard_scaler(estimator: StandardScaler, builder: GraphBuilder, input_name: str) -> str:
    """Add the scaling of each column; return its output's name."""
    centered = builder.add_node("Sub", input_name, estimator.mean_)
    return builder.add_node("Div", centered, estimator.scale_)


def add_polynomial_features(
    estimator: PolynomialFeatures, builder: GraphBuilder, input_name: str
) -> str:
    """Add the products of columns; return their output's name.

    Each product is a chain of columns; a column of ones fills the shorter chains.
    """
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


def add_location_features(
    estimator: LocationFeatures, builder: GraphBuilder, input_name: str
) -> str:
    """Add the columns of `LocationFeatures`; return their output's name.

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


def add_neighbor_features(
    estimator: NeighborFeatures, builder: GraphBuilder, input_name: str
) -> str:
    """Add the columns of `NeighborFeatures`; return their output's name.

    The neighbors' numbers and distances are inputs; what is known of them is in the graph.
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
