"""Runs a served graph in C: in microseconds, where onnxruntime takes about one for each node.

The ONNX file stays the one form of a model. Where no C compiler built the library, there is none,
and onnxruntime answers, the same.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import numpy as np

from housing.inference.native.compiler import Program
from housing.inference.price_bands import BOTTOMS, TOPS
from housing.schema import CAP

FAILED = {1: "no memory left", 2: "a row has no neighbours: is one of its values no number?"}


@cache
def library() -> ctypes.CDLL | None:
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


class Native:
    """A program in the form that native.c reads, kept alive with the arrays it points into."""

    def __init__(self, program: Program, library: ctypes.CDLL) -> None:
        forest = program.forest
        self._arrays = [
            np.array(program.operations, np.int64),
            np.concatenate(program.constants or [np.zeros(1)]),
            np.concatenate(program.maps).astype(np.int32),
            *(np.array(one, np.int32) for one in (forest.roots, forest.depths)),
            forest.nodes,
            forest.leaves,
            *(np.array(one, np.int32) for one in (forest.marked, forest.valued)),
            forest.marks,
            forest.values,
        ]
        sizes = (len(program.operations), program.memory, program.columns, program.looked,
                 program.answers)  # fmt: skip
        pointers = [one.ctypes.data for one in self._arrays]
        self._fields = np.array([*sizes, *pointers], np.int64)
        self._address = self._fields.ctypes.data
        self._call = library.housing_answer
        self._shape = program.columns, program.looked, program.answers

    def __call__(self, rows: np.ndarray, distance: np.ndarray, which: np.ndarray) -> np.ndarray:
        """(n, answers) numbers for (n, columns) rows, given their neighbours.

        Raises ValueError for a row that is no number.
        """
        count, (columns, looked, answers) = len(rows), self._shape
        rows = np.ascontiguousarray(rows, float)
        if rows.size != count * columns or not distance.size == which.size == count * looked:
            raise ValueError(f"rows are {rows.shape}, expected (n, {columns})")
        answer = np.empty((count, answers))
        failed = self._call(
            self._address, count, rows.ctypes.data, distance.ctypes.data, which.ctypes.data,
            answer.ctypes.data,
        )  # fmt: skip
        if failed:
            raise ValueError(FAILED[failed])
        return answer


class Bound:
    """The ends of intervals, as `bands.ends` gives them, in a tenth of its time."""

    def __init__(self, lows: np.ndarray, highs: np.ndarray, library: ctypes.CDLL) -> None:
        self._ends = np.concatenate([lows, highs, BOTTOMS, TOPS]).astype(float)
        self._given = len(lows), self._ends.ctypes.data, CAP
        self._call = library.housing_ends

    def __call__(self, found: np.ndarray) -> np.ndarray:
        """(n, 3) guesses and both ends for (n, 2) guesses and scales."""
        found = np.ascontiguousarray(found, float)
        answer = np.empty((len(found), 3))
        self._call(len(found), found.ctypes.data, *self._given, answer.ctypes.data)
        return answer
