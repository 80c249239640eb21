"""Run a served graph in C.

A request takes microseconds, where onnxruntime takes about one for each node.

The ONNX file stays the one form of a model. Where no C compiler built the library, onnxruntime
predicts instead, with the same results.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import numpy as np

from housing.inference.native.compiler import CompiledGraph
from housing.inference.price_bands import BAND_LOWER_EDGES, BAND_UPPER_EDGES
from housing.schema import HOUSE_VALUE_CAP

ERROR_MESSAGES = {  # by native.c's ERROR_* codes
    1: "there is no memory left",
    2: "a row has no neighbors: is one of its values not a number?",
}


@cache
def load_library() -> ctypes.CDLL | None:
    """Load the compiled native.c; return None where it was not built, or not for this machine.

    A library that is older than its source is ignored: the installation builds it again.
    """
    source = Path(__file__).with_name("native.c")
    for path in sorted(source.parent.glob("_native*.so")):
        try:
            if path.stat().st_mtime < source.stat().st_mtime:
                continue
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        pointer, integer, double = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
        library.housing_predict.argtypes = [pointer, integer, *[pointer] * 4]
        interval_bounds = library.housing_interval_bounds
        interval_bounds.argtypes = [integer, pointer, integer, pointer, double, pointer]
        return library
    return None


class NativeGraph:
    """A compiled graph in the form that native.c reads, kept alive with the arrays it points to."""

    def __init__(self, graph: CompiledGraph, library: ctypes.CDLL) -> None:
        trees = graph.trees
        self._arrays = [  # in the order of native.c's CompiledGraph
            np.stack(graph.operations),
            np.array(graph.constants),
            np.array(graph.index_maps),
            np.array(trees.roots, np.int32),
            np.array(trees.depths, np.int32),
            trees.nodes,
            trees.leaf_values,
            np.array(trees.bitmask_offsets, np.int32),
            np.array(trees.small_leaf_offsets, np.int32),
            trees.bitmasks,
            trees.small_leaf_values,
        ]
        sizes = [
            len(graph.operations),
            graph.row_memory_size,
            graph.n_columns,
            graph.n_neighbor_values,
            graph.n_outputs,
        ]
        pointers = [array.ctypes.data for array in self._arrays]
        self._struct = np.array([*sizes, *pointers], np.int64)
        self._address = self._struct.ctypes.data
        self._function = library.housing_predict
        self._row_sizes = graph.n_columns, graph.n_neighbor_values, graph.n_outputs

    def __call__(self, rows: np.ndarray, distances: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Return (n, n_outputs) numbers for (n, n_columns) rows, given their neighbors.

        distances, indices: (n, *neighbor_shape) of the compiled graph. Raises ValueError
        for another shape, and for a row with a value that is not a number.
        """
        n_rows, (n_columns, n_neighbor_values, n_outputs) = len(rows), self._row_sizes
        rows = np.ascontiguousarray(rows, float)
        n_expected = n_rows * n_neighbor_values
        if rows.size != n_rows * n_columns or not distances.size == indices.size == n_expected:
            raise ValueError(f"rows are {rows.shape}, expected (n, {n_columns})")
        outputs = np.empty((n_rows, n_outputs))
        error_code = self._function(
            self._address,
            n_rows,
            rows.ctypes.data,
            distances.ctypes.data,
            indices.ctypes.data,
            outputs.ctypes.data,
        )
        if error_code:
            raise ValueError(ERROR_MESSAGES[error_code])
        return outputs


class NativeIntervals:
    """The bounds of intervals, equal to `price_bands.interval_bounds`, in a tenth of its time."""

    def __init__(
        self, lower_quantiles: np.ndarray, upper_quantiles: np.ndarray, library: ctypes.CDLL
    ) -> None:
        self._band_table = np.concatenate(
            [lower_quantiles, upper_quantiles, BAND_LOWER_EDGES, BAND_UPPER_EDGES]
        ).astype(float)
        self._arguments = len(lower_quantiles), self._band_table.ctypes.data, HOUSE_VALUE_CAP
        self._function = library.housing_interval_bounds

    def __call__(self, predictions_and_scales: np.ndarray) -> np.ndarray:
        """Return (n, 3) predictions and both bounds for (n, 2) predictions and scales."""
        predictions_and_scales = np.ascontiguousarray(predictions_and_scales, float)
        bounds = np.empty((len(predictions_and_scales), 3))
        self._function(
            len(predictions_and_scales),
            predictions_and_scales.ctypes.data,
            *self._arguments,
            bounds.ctypes.data,
        )
        return bounds
