"""The served form of a model: a double-precision ONNX graph. Needs numpy and onnxruntime only."""

from pathlib import Path

import numpy as np
import onnxruntime

from housing.schema import FEATURES, NAMES


def session(graph: bytes | Path) -> onnxruntime.InferenceSession:
    """The graph, ready to predict on one thread (a row takes microseconds; more threads cost)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    source = graph if isinstance(graph, bytes) else str(graph)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def predict(served: onnxruntime.InferenceSession, rows: np.ndarray) -> np.ndarray:
    """(n,) house values in $100,000 for (n, 8) float64 rows in the order of `schema.NAMES`."""
    return served.run(None, {"rows": rows})[0]


def random_rows(count: int, seed: int = 0) -> np.ndarray:
    """(count, 8) rows drawn evenly from the accepted ranges: what a caller may send, not data."""
    low, high = (
        np.array([getattr(one, end) for one in FEATURES.values()]) for end in ("low", "high")
    )
    return np.random.default_rng(seed).uniform(low, high, (count, len(NAMES)))
