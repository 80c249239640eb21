"""The served form of a model: a double-precision ONNX graph, and who a row's neighbours are.

Needs numpy and pykdtree; onnxruntime only where native.c was not compiled.
"""

import json
from collections.abc import Callable
from ctypes import CDLL
from pathlib import Path
from typing import NamedTuple

import numpy as np

from housing.inference import price_bands
from housing.inference.native import bindings, reader
from housing.inference.native.compiler import OUTPUT_NAMES, CompiledGraph
from housing.inference.neighbors import ROWS_PER_CHUNK, DistanceSpace, NeighborIndex, project
from housing.schema import FEATURE_NAMES, FEATURES

GraphRunner = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # of rows, distance, which
IntervalFunction = Callable[
    [np.ndarray], np.ndarray
]  # (n, 2) guesses and scales -> (n, 3) with both ends


class ServedModel(NamedTuple):
    """A graph ready to predict, and where it looks for each row's neighbours."""

    run: GraphRunner  # (n, 1) house values in $100,000, or (n, 2) with how far off they may be
    n_neighbors: int  # neighbours in each space
    spaces: list[DistanceSpace]  # empty for a model that knows no neighbours
    indexes: list[NeighborIndex]
    compute_intervals: IntervalFunction | None = None  # makes intervals, where the graph knows them


def load(onnx_model: bytes | Path, use_native: bool = True) -> ServedModel:
    """The graph, ready to predict on one thread (a row takes microseconds; more threads cost).

    Compiled graphs run in C, twice to five times as fast; others, and all graphs where the
    installation found no C compiler, in onnxruntime. Raises ValueError for what is no graph, and
    ImportError where neither is there.
    """
    content = onnx_model if isinstance(onnx_model, bytes) else onnx_model.read_bytes()
    file = reader.parse_graph(content)
    told = json.loads(file.metadata.get("neighbours", '{"spaces": [], "count": 0}'))
    spaces = [DistanceSpace(columns, np.array(scales)) for columns, scales in told["spaces"]]
    named = {one.outputs[0]: one.inputs for one in file.nodes}
    points = [file.constants[named[f"points_{at}"][0]] for at in range(len(spaces))]
    library = bindings.load_library() if use_native else None
    try:
        program = CompiledGraph(
            file, len(FEATURE_NAMES), (len(spaces), told["count"]) if spaces else ()
        )
        answer = bindings.NativeGraph(program, library) if library else _onnxruntime_runner(content)
    except ValueError:  # an operator that only onnxruntime knows
        answer = _onnxruntime_runner(content)
    ends = json.loads(file.metadata.get("intervals", "null"))
    bound = ends and _interval_function(np.array(ends["lows"]), np.array(ends["highs"]), library)
    return ServedModel(answer, told["count"], spaces, [NeighborIndex(one) for one in points], bound)


def _interval_function(
    lower_quantiles: np.ndarray, upper_quantiles: np.ndarray, library: CDLL | None
) -> IntervalFunction:
    if library:
        return bindings.NativeIntervals(lower_quantiles, upper_quantiles, library)
    return lambda found: np.stack(
        [found[:, 0], *price_bands.interval_bounds(*found.T, lower_quantiles, upper_quantiles)], 1
    )


def _onnxruntime_runner(content: bytes) -> GraphRunner:
    try:
        import onnxruntime  # takes as much memory as a whole worker, so only where it is needed
    except ImportError:
        raise ImportError(
            "native.c is not compiled here, or does not know an operator of this graph, and what "
            "would answer in its place is not installed: pip install onnxruntime"
        ) from None

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    run = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    taken = {one.name for one in run.get_inputs()}
    given = [one.name for one in run.get_outputs()]
    given = [one for one in OUTPUT_NAMES if one in given]

    def run_session(rows: np.ndarray, distances: np.ndarray, indices: np.ndarray) -> np.ndarray:
        feed = {"rows": rows, "distance": distances[..., None], "which": indices}
        return np.stack(run.run(given, {name: feed[name] for name in taken}), 1)

    return run_session


def predict(model: ServedModel, rows: np.ndarray) -> np.ndarray:
    """(n,) house values in $100,000 for (n, 8) float64 rows in the order of `schema.NAMES`."""
    return raw_outputs(model, rows)[:, 0]


def predict_intervals(model: ServedModel, rows: np.ndarray) -> np.ndarray:
    """(n, 3): the guess and both ends of its interval, in $100,000.

    Raises ValueError for a graph that knows no intervals.
    """
    if model.compute_intervals is None:
        raise ValueError("the graph has no intervals: its model was registered without them")
    return model.compute_intervals(raw_outputs(model, rows))


def raw_outputs(model: ServedModel, rows: np.ndarray) -> np.ndarray:
    """(n, 1) house values, or (n, 2) with the scale of their errors, in $100,000.

    rows: (n, 8) float64 in the order of `schema.NAMES`.
    """
    if len(rows) <= ROWS_PER_CHUNK:
        return model.run(rows, *_find_neighbors(model, rows))
    parts = (rows[at : at + ROWS_PER_CHUNK] for at in range(0, len(rows), ROWS_PER_CHUNK))
    return np.concatenate([raw_outputs(model, one) for one in parts])


def _find_neighbors(model: ServedModel, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, spaces, count) distances, and which training rows they lead to."""
    shape = len(rows), len(model.spaces), model.n_neighbors
    distance, which = np.empty(shape), np.empty(shape, np.int64)
    for at, index in enumerate(model.indexes):
        found = index.query(project(rows, model.spaces[at]), model.n_neighbors)
        distance[:, at], which[:, at] = found
    return distance, which


def random_rows(n_rows: int, seed: int = 0) -> np.ndarray:
    """(count, 8) rows drawn evenly from the accepted ranges: what a caller may send, not data."""
    return np.random.default_rng(seed).uniform(*_accepted_ranges(), (n_rows, len(FEATURE_NAMES)))


def split_boundary_rows(content: bytes, rows: np.ndarray, n_rows: int, seed: int = 0) -> np.ndarray:
    """(m, 8) rows with one value exactly on a split of the graph's trees, where <= and < part ways.

    rows: (n, 8), to draw the other values from. m is `count`, or as many as there are different
    splits of the eight features themselves, if they are more; 0 for a graph without such trees.
    """
    borders = [
        np.stack([node.attributes["nodes_featureids"], node.attributes["nodes_splits"]], 1)
        for node in reader.parse_graph(content).nodes
        if node.op_type == "TreeEnsemble"
    ]
    found = np.unique(np.concatenate(borders or [np.empty((0, 2))]), axis=0)
    low, high = _accepted_ranges()
    column, value = found[:, 0].astype(int), found[:, 1]
    known = column < len(FEATURE_NAMES)  # the others are made of them
    column, value = column[known], value[known]
    inside = (low[column] <= value) & (value <= high[column])
    column, value = column[inside], value[inside]
    if not len(value):
        return np.empty((0, len(FEATURE_NAMES)))
    each = np.resize(np.arange(len(value)), max(n_rows, len(value)))
    drawn = rows[np.random.default_rng(seed).integers(len(rows), size=len(each))].astype(float)
    drawn[np.arange(len(each)), column[each]] = value[each]
    return drawn


def _accepted_ranges() -> tuple[np.ndarray, np.ndarray]:
    """(8,) least and (8,) largest accepted values."""
    return tuple(
        np.array([getattr(one, end) for one in FEATURES.values()]) for end in ("low", "high")
    )
