"""The served form of a model: a double-precision ONNX graph, and the index of each row's neighbors.

Needs numpy, protobuf and pykdtree; onnxruntime only where native.c was not compiled.
"""

import json
from collections.abc import Callable
from ctypes import CDLL
from pathlib import Path
from typing import NamedTuple

import numpy as np

from housing.accepted_ranges import LOWER_LIMITS, UPPER_LIMITS
from housing.inference import price_bands
from housing.inference.native import bindings, reader
from housing.inference.native.compiler import OUTPUT_NAMES, CompiledGraph
from housing.inference.neighbors import ROWS_PER_CHUNK, DistanceSpace, NeighborIndex, project
from housing.schema import FEATURE_NAMES

# rows (n, 8), distances and indices of neighbors (n, spaces, k) -> (n, 1 or 2)
GraphRunner = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
# (n, 2) predictions and scales -> (n, 3) predictions and both bounds
IntervalFunction = Callable[[np.ndarray], np.ndarray]


class ServedModel(NamedTuple):
    """A graph ready to predict, and where it looks for each row's neighbors."""

    run: GraphRunner  # (n, 1) house values in $100,000, or (n, 2) with the scales of their errors
    n_neighbors: int  # in each space
    spaces: list[DistanceSpace]  # empty for a model that uses no neighbors
    indexes: list[NeighborIndex]  # one for each space
    compute_intervals: IntervalFunction | None = None  # None where the graph has no intervals


def load(onnx_model: bytes | Path, use_native: bool = True) -> ServedModel:
    """Load a graph to predict on one thread (a row takes microseconds; more threads cost time).

    Compiled graphs run in C, two to five times as fast; others, and all graphs where the
    installation found no C compiler, in onnxruntime. Raises ValueError for a file that is no graph,
    and ImportError where neither is available.
    """
    content = onnx_model if isinstance(onnx_model, bytes) else onnx_model.read_bytes()
    graph = reader.parse_graph(content)
    lookup = json.loads(graph.metadata.get("neighbours", '{"spaces": [], "count": 0}'))
    spaces = [DistanceSpace(columns, np.array(scales)) for columns, scales in lookup["spaces"]]
    library = bindings.load_library() if use_native else None
    runner = _make_runner(graph, content, (len(spaces), lookup["count"]) if spaces else (), library)
    quantiles = json.loads(graph.metadata.get("intervals", "null"))
    compute_intervals = quantiles and _interval_function(
        np.array(quantiles["lows"]), np.array(quantiles["highs"]), library
    )
    return ServedModel(
        runner, lookup["count"], spaces, _build_indexes(graph, len(spaces)), compute_intervals
    )


def _build_indexes(graph: reader.OnnxGraph, n_spaces: int) -> list[NeighborIndex]:
    """Return an index of the training rows for each space, from the graph's outputs `points_*`."""
    inputs_by_output = {node.outputs[0]: node.inputs for node in graph.nodes}
    constant_names = [inputs_by_output[f"points_{number}"][0] for number in range(n_spaces)]
    return [NeighborIndex(graph.constants[name]) for name in constant_names]


def _make_runner(
    graph: reader.OnnxGraph,
    content: bytes,
    neighbor_shape: tuple[int, ...],
    library: CDLL | None,
) -> GraphRunner:
    """Return the function that runs a graph: in C where it can be compiled, else in onnxruntime."""
    if library is None:
        return _onnxruntime_runner(content)
    try:
        compiled = CompiledGraph(graph, len(FEATURE_NAMES), neighbor_shape)
    except ValueError:  # an operator that only onnxruntime knows
        return _onnxruntime_runner(content)
    return bindings.NativeGraph(compiled, library)


def _interval_function(
    lower_quantiles: np.ndarray, upper_quantiles: np.ndarray, library: CDLL | None
) -> IntervalFunction:
    """Return the function that makes intervals of predictions and scales: in C, else in numpy."""
    if library:
        return bindings.NativeIntervals(lower_quantiles, upper_quantiles, library)

    def compute_intervals(predictions_and_scales: np.ndarray) -> np.ndarray:
        predictions, scales = predictions_and_scales.T
        bounds = price_bands.interval_bounds(predictions, scales, lower_quantiles, upper_quantiles)
        return np.stack([predictions, *bounds], 1)

    return compute_intervals


def _onnxruntime_runner(content: bytes) -> GraphRunner:
    """Return a function that runs a graph in onnxruntime. Raises ImportError if it is missing."""
    try:
        import onnxruntime  # takes as much memory as a whole worker, so only where it is needed
    except ImportError:
        raise ImportError(
            "native.c is not compiled here, or does not support an operator of this graph, and its "
            "replacement is not installed: pip install onnxruntime"
        ) from None

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    input_names = {graph_input.name for graph_input in session.get_inputs()}
    graph_outputs = {output.name for output in session.get_outputs()}
    output_names = [name for name in OUTPUT_NAMES if name in graph_outputs]

    def run_session(rows: np.ndarray, distances: np.ndarray, indices: np.ndarray) -> np.ndarray:
        feed = {"rows": rows, "distance": distances[..., None], "which": indices}
        return np.stack(session.run(output_names, {name: feed[name] for name in input_names}), 1)

    return run_session


def predict(model: ServedModel, rows: np.ndarray) -> np.ndarray:
    """Return (n,) house values in $100,000.

    rows: (n, 8) float64 in the order of `schema.FEATURE_NAMES`.
    """
    return raw_outputs(model, rows)[:, 0]


def predict_intervals(model: ServedModel, rows: np.ndarray) -> np.ndarray:
    """Return (n, 3): the prediction and both bounds of its interval, in $100,000.

    Raises ValueError for a graph without intervals.
    """
    if model.compute_intervals is None:
        raise ValueError("the graph has no intervals: its model was registered without them")
    return model.compute_intervals(raw_outputs(model, rows))


def raw_outputs(model: ServedModel, rows: np.ndarray) -> np.ndarray:
    """Return (n, 1) house values, or (n, 2) with the scales of their errors, in $100,000.

    rows: (n, 8) float64 in the order of `schema.FEATURE_NAMES`.
    """
    if len(rows) <= ROWS_PER_CHUNK:
        return model.run(rows, *_find_neighbors(model, rows))
    starts = range(0, len(rows), ROWS_PER_CHUNK)
    chunks = [rows[start : start + ROWS_PER_CHUNK] for start in starts]
    return np.concatenate([raw_outputs(model, chunk) for chunk in chunks])


def _find_neighbors(model: ServedModel, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, spaces, k) distances, and the numbers of the training rows at these distances."""
    shape = len(rows), len(model.spaces), model.n_neighbors
    distances, indices = np.empty(shape), np.empty(shape, np.int64)
    for number, (index, space) in enumerate(zip(model.indexes, model.spaces, strict=True)):
        neighbors = index.query(project(rows, space), model.n_neighbors)
        distances[:, number], indices[:, number] = neighbors
    return distances, indices


def random_rows(n_rows: int, seed: int = 0) -> np.ndarray:
    """Return (n_rows, 8) rows drawn evenly from the accepted ranges: requests, not real data."""
    generator = np.random.default_rng(seed)
    return generator.uniform(LOWER_LIMITS, UPPER_LIMITS, (n_rows, len(FEATURE_NAMES)))


def split_boundary_rows(content: bytes, rows: np.ndarray, n_rows: int, seed: int = 0) -> np.ndarray:
    """Return (m, 8) rows with one value exactly on a split of the graph's trees.

    There <= and < give different predictions. rows: (n, 8), to draw the other values from. m is
    n_rows, or the number of different splits of the eight features themselves if that is larger;
    0 for a graph without such trees.
    """
    columns, values = _reachable_splits(content)
    if not len(values):
        return np.empty((0, len(FEATURE_NAMES)))
    splits = np.resize(np.arange(len(values)), max(n_rows, len(values)))
    row_indices = np.random.default_rng(seed).integers(len(rows), size=len(splits))
    boundary_rows = rows[row_indices].astype(float)
    boundary_rows[np.arange(len(splits)), columns[splits]] = values[splits]
    return boundary_rows


def _reachable_splits(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns and the values of the splits at which a row of accepted values may be."""
    splits_per_node = [
        np.stack([node.attributes["nodes_featureids"], node.attributes["nodes_splits"]], 1)
        for node in reader.parse_graph(content).nodes
        if node.op_type == "TreeEnsemble"
    ]
    splits = np.unique(np.concatenate(splits_per_node or [np.empty((0, 2))]), axis=0)
    columns, values = splits[:, 0].astype(int), splits[:, 1]
    is_feature = columns < len(FEATURE_NAMES)  # the other columns are computed from these
    columns, values = columns[is_feature], values[is_feature]
    is_accepted = (LOWER_LIMITS[columns] <= values) & (values <= UPPER_LIMITS[columns])
    return columns[is_accepted], values[is_accepted]
