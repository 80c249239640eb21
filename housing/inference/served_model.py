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
from housing.inference.native.compiler import ANSWERS, Program
from housing.inference.neighbors import PART, Index, Space, place
from housing.schema import FEATURES, NAMES

Answer = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # of rows, distance, which
Bound = Callable[[np.ndarray], np.ndarray]  # (n, 2) guesses and scales -> (n, 3) with both ends


class Served(NamedTuple):
    """A graph ready to predict, and where it looks for each row's neighbours."""

    answer: Answer  # (n, 1) house values in $100,000, or (n, 2) with how far off they may be
    count: int  # neighbours in each space
    spaces: list[Space]  # empty for a model that knows no neighbours
    indexes: list[Index]
    bound: Bound | None = None  # makes intervals, where the graph knows them


def session(graph: bytes | Path, compiled: bool = True) -> Served:
    """The graph, ready to predict on one thread (a row takes microseconds; more threads cost).

    Compiled graphs run in C, twice to five times as fast; others, and all graphs where the
    installation found no C compiler, in onnxruntime. Raises ValueError for what is no graph, and
    ImportError where neither is there.
    """
    content = graph if isinstance(graph, bytes) else graph.read_bytes()
    file = reader.read(content)
    told = json.loads(file.told.get("neighbours", '{"spaces": [], "count": 0}'))
    spaces = [Space(columns, np.array(scales)) for columns, scales in told["spaces"]]
    named = {one.outputs[0]: one.inputs for one in file.nodes}
    points = [file.constants[named[f"points_{at}"][0]] for at in range(len(spaces))]
    library = bindings.library() if compiled else None
    try:
        program = Program(file, len(NAMES), (len(spaces), told["count"]) if spaces else ())
        answer = bindings.Native(program, library) if library else _by_onnxruntime(content)
    except ValueError:  # an operator that only onnxruntime knows
        answer = _by_onnxruntime(content)
    ends = json.loads(file.told.get("intervals", "null"))
    bound = ends and _bound(np.array(ends["lows"]), np.array(ends["highs"]), library)
    return Served(answer, told["count"], spaces, [Index(one) for one in points], bound)


def _bound(lows: np.ndarray, highs: np.ndarray, library: CDLL | None) -> Bound:
    if library:
        return bindings.Bound(lows, highs, library)
    return lambda found: np.stack([found[:, 0], *price_bands.ends(*found.T, lows, highs)], 1)


def _by_onnxruntime(content: bytes) -> Answer:
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
    given = [one for one in ANSWERS if one in given]

    def answer(rows: np.ndarray, distance: np.ndarray, which: np.ndarray) -> np.ndarray:
        feed = {"rows": rows, "distance": distance[..., None], "which": which}
        return np.stack(run.run(given, {name: feed[name] for name in taken}), 1)

    return answer


def predict(served: Served, rows: np.ndarray) -> np.ndarray:
    """(n,) house values in $100,000 for (n, 8) float64 rows in the order of `schema.NAMES`."""
    return answers(served, rows)[:, 0]


def intervals(served: Served, rows: np.ndarray) -> np.ndarray:
    """(n, 3): the guess and both ends of its interval, in $100,000.

    Raises ValueError for a graph that knows no intervals.
    """
    if served.bound is None:
        raise ValueError("the graph has no intervals: its model was registered without them")
    return served.bound(answers(served, rows))


def answers(served: Served, rows: np.ndarray) -> np.ndarray:
    """(n, 1) house values, or (n, 2) with the scale of their errors, in $100,000.

    rows: (n, 8) float64 in the order of `schema.NAMES`.
    """
    if len(rows) <= PART:
        return served.answer(rows, *_neighbours(served, rows))
    parts = (rows[at : at + PART] for at in range(0, len(rows), PART))
    return np.concatenate([answers(served, one) for one in parts])


def _neighbours(served: Served, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, spaces, count) distances, and which training rows they lead to."""
    shape = len(rows), len(served.spaces), served.count
    distance, which = np.empty(shape), np.empty(shape, np.int64)
    for at, index in enumerate(served.indexes):
        found = index.nearest(place(rows, served.spaces[at]), served.count)
        distance[:, at], which[:, at] = found
    return distance, which


def random_rows(count: int, seed: int = 0) -> np.ndarray:
    """(count, 8) rows drawn evenly from the accepted ranges: what a caller may send, not data."""
    return np.random.default_rng(seed).uniform(*_ends(), (count, len(NAMES)))


def border_rows(content: bytes, rows: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """(m, 8) rows with one value exactly on a split of the graph's trees, where <= and < part ways.

    rows: (n, 8), to draw the other values from. m is `count`, or as many as there are different
    splits of the eight features themselves, if they are more; 0 for a graph without such trees.
    """
    borders = [
        np.stack([node.attributes["nodes_featureids"], node.attributes["nodes_splits"]], 1)
        for node in reader.read(content).nodes
        if node.operator == "TreeEnsemble"
    ]
    found = np.unique(np.concatenate(borders or [np.empty((0, 2))]), axis=0)
    low, high = _ends()
    column, value = found[:, 0].astype(int), found[:, 1]
    known = column < len(NAMES)  # the others are made of them
    column, value = column[known], value[known]
    inside = (low[column] <= value) & (value <= high[column])
    column, value = column[inside], value[inside]
    if not len(value):
        return np.empty((0, len(NAMES)))
    each = np.resize(np.arange(len(value)), max(count, len(value)))
    drawn = rows[np.random.default_rng(seed).integers(len(rows), size=len(each))].astype(float)
    drawn[np.arange(len(each)), column[each]] = value[each]
    return drawn


def _ends() -> tuple[np.ndarray, np.ndarray]:
    """(8,) least and (8,) largest accepted values."""
    return tuple(
        np.array([getattr(one, end) for one in FEATURES.values()]) for end in ("low", "high")
    )
