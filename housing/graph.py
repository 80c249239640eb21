"""The served form of a model: a double-precision ONNX graph. Needs numpy, onnxruntime, pykdtree."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime

from housing.neighbours import PART, Index, Space, place
from housing.schema import FEATURES, NAMES


class Served(NamedTuple):
    """A graph ready to predict, and where it looks for each row's neighbours."""

    run: onnxruntime.InferenceSession
    count: int  # neighbours in each space
    spaces: list[Space]  # empty for a model that knows no neighbours
    indexes: list[Index]


def session(graph: bytes | Path) -> Served:
    """The graph, ready to predict on one thread (a row takes microseconds; more threads cost)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    source = graph if isinstance(graph, bytes) else str(graph)
    run = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    told = run.get_modelmeta().custom_metadata_map.get("neighbours")
    if not told:
        return Served(run, 0, [], [])
    told = json.loads(told)
    spaces = [Space(*one) for one in told["spaces"]]
    served = Served(run, told["count"], spaces, [])
    names = [f"points_{at}" for at in range(len(spaces))]
    points = run.run(names, _feed(served, np.empty((0, len(NAMES)))))
    return served._replace(indexes=[Index(one) for one in points])


def predict(served: Served, rows: np.ndarray) -> np.ndarray:
    """(n,) house values in $100,000 for (n, 8) float64 rows in the order of `schema.NAMES`."""
    if len(rows) <= PART:
        return served.run.run(["house_value"], _feed(served, rows))[0]
    parts = (rows[at : at + PART] for at in range(0, len(rows), PART))
    return np.concatenate([predict(served, one) for one in parts])


def _feed(served: Served, rows: np.ndarray) -> dict[str, np.ndarray]:
    feed = {"rows": rows}
    if served.spaces:
        shape = len(rows), len(served.spaces), served.count
        feed["distance"], feed["which"] = np.empty((*shape, 1)), np.empty(shape, np.int64)
    for at, index in enumerate(served.indexes):
        found = index.nearest(place(rows, served.spaces[at]), served.count)
        feed["distance"][:, at, :, 0], feed["which"][:, at] = found
    return feed


def random_rows(count: int, seed: int = 0) -> np.ndarray:
    """(count, 8) rows drawn evenly from the accepted ranges: what a caller may send, not data."""
    low, high = (
        np.array([getattr(one, end) for one in FEATURES.values()]) for end in ("low", "high")
    )
    return np.random.default_rng(seed).uniform(low, high, (count, len(NAMES)))
