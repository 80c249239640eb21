"""Runs a served graph in C: in microseconds, where onnxruntime takes about one for each node.

The ONNX file stays the one form of a model. Where no C compiler built the library, there is none,
and onnxruntime answers, the same.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import numpy as np

from housing.inference.native.compiler import CompiledGraph
from housing.inference.price_bands import BAND_LOWER_EDGES, BAND_UPPER_EDGES
from housing.schema import HOUSE_VALUE_CAP

ERROR_MESSAGES = {
    1: "no memory left",
    2: "a row has no neighbours: is one of its values no number?",
}


@cache
def load_library() -> ctypes.CDLL | None:
    """The compiled native.c; None where it could not be built, or not for this machine.

    One that is older than its source does not count: the installation builds it anew.
    """
    source = Path(__file__).with_name("native.c")
    for path in sorted(source.parent.glob("_native*.so")):
        try:
            if path.stat().st_mtime < source.stat().st_mtime:
                continue
            found = ctypes.CDLL(str(path))
        except OSError:
            continue
        found.housing_answer.argtypes = [ctypes.c_void_p, ctypes.c_int64, *[ctypes.c_void_p] * 4]
        found.housing_ends.argtypes = [
            ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_double,
            ctypes.c_void_p,
        ]  # fmt: skip
        return found
    return None


class NativeGraph:
    """A program in the form that native.c reads, kept alive with the arrays it points into."""

    def __init__(self, graph: CompiledGraph, library: ctypes.CDLL) -> None:
        forest = graph.trees
        self._arrays = [
            np.array(graph.operations, np.int64),
            np.concatenate(graph.constants or [np.zeros(1)]),
            np.concatenate(graph.index_maps).astype(np.int32),
            *(np.array(one, np.int32) for one in (forest.roots, forest.depths)),
            forest.nodes,
            forest.leaf_values,
            *(
                np.array(one, np.int32)
                for one in (forest.bitmask_offsets, forest.small_leaf_offsets)
            ),
            forest.bitmasks,
            forest.small_leaf_values,
        ]
        sizes = (len(graph.operations), graph.row_memory_size, graph.n_columns, graph.n_neighbor_values,
                 graph.n_outputs)  # fmt: skip
        pointers = [one.ctypes.data for one in self._arrays]
        self._struct = np.array([*sizes, *pointers], np.int64)
        self._address = self._struct.ctypes.data
        self._function = library.housing_answer
        self._row_sizes = graph.n_columns, graph.n_neighbor_values, graph.n_outputs

    def __call__(self, rows: np.ndarray, distances: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """(n, answers) numbers for (n, columns) rows, given their neighbours.

        Raises ValueError for a row that is no number.
        """
        count, (columns, looked, answers) = len(rows), self._row_sizes
        rows = np.ascontiguousarray(rows, float)
        if rows.size != count * columns or not distances.size == indices.size == count * looked:
            raise ValueError(f"rows are {rows.shape}, expected (n, {columns})")
        answer = np.empty((count, answers))
        failed = self._function(
            self._address, count, rows.ctypes.data, distances.ctypes.data, indices.ctypes.data,
            answer.ctypes.data,
        )  # fmt: skip
        if failed:
            raise ValueError(ERROR_MESSAGES[failed])
        return answer


class NativeIntervals:
    """The ends of intervals, as `bands.ends` gives them, in a tenth of its time."""

    def __init__(
        self, lower_quantiles: np.ndarray, upper_quantiles: np.ndarray, library: ctypes.CDLL
    ) -> None:
        self._band_table = np.concatenate(
            [lower_quantiles, upper_quantiles, BAND_LOWER_EDGES, BAND_UPPER_EDGES]
        ).astype(float)
        self._arguments = len(lower_quantiles), self._band_table.ctypes.data, HOUSE_VALUE_CAP
        self._function = library.housing_ends

    def __call__(self, predictions_and_scales: np.ndarray) -> np.ndarray:
        """(n, 3) guesses and both ends for (n, 2) guesses and scales."""
        predictions_and_scales = np.ascontiguousarray(predictions_and_scales, float)
        answer = np.empty((len(predictions_and_scales), 3))
        self._function(
            len(predictions_and_scales),
            predictions_and_scales.ctypes.data,
            *self._arguments,
            answer.ctypes.data,
        )
        return answer
