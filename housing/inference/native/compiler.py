"""Turns an ONNX graph into a list of operations on a row's numbers, for native.c to run.

What only moves numbers (Gather, Split, Reshape) becomes a way to look at them, and costs nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from housing.inference.native.reader import File, Node
from housing.inference.native.tree_ensemble import Forest

CODES = [  # in the order of native.c
    "Copy", "Add", "Sub", "Mul", "Div", "Max", "Min", "Sqrt", "Log", "Single",
    "ReduceSum", "CumSum", "Lookup", "Gemm", "TreeEnsemble", "SmallTrees",
]  # fmt: skip
ANSWERS = ["house_value", "scale"]  # the second one where a graph has it
DOUBLE = 11  # ONNX's number of the type
CONSTANT = -1  # where a view's numbers are, if not in a register


class View(NamedTuple):
    """Numbers of a row: which of a register, or of the constants."""

    where: int  # the register's place in a row's memory, or CONSTANT
    stride: int  # numbers of a row in it
    places: np.ndarray  # in the tensor's shape, without the axis of rows


class Program:
    """The operations, and what they look things up in."""

    def __init__(self, graph: File, columns: int, looked: tuple[int, ...] = ()) -> None:
        """looked: the shape of a row's neighbours, (spaces, count).

        Raises ValueError for a graph with an operator or a shape that is not known here.
        """
        self.columns, self.looked = columns, int(np.prod(looked)) if looked else 0
        self.memory = 0
        self.operations: list[list[int]] = []
        self.constants: list[np.ndarray] = []
        self.maps: list[np.ndarray] = []
        self.forest = Forest()
        self._sizes = {"constants": 0, "maps": 0}
        self._known = graph.constants
        self._views = {"rows": self._register((columns,))}
        if looked:
            self._views["distance"] = self._register((*looked, 1))
        self._which = looked
        for node in graph.nodes:
            self._add(node)
        found = [self._view(one) for one in ANSWERS if one in self._views]
        for answer in found:
            if answer.places.size != 1:
                raise ValueError(f"an answer has {answer.places.size} numbers a row, expected 1")
        if not found:
            raise ValueError(f"the graph has no output {ANSWERS[0]}")
        self.answers = len(found)
        self._joined([one._replace(places=one.places.reshape(1)) for one in found], 0)

    def _add(self, node: Node) -> None:
        if node.operator not in OPERATORS:
            raise ValueError(f"the operator {node.operator} is not known here")
        made = OPERATORS[node.operator](self, node)
        for name, view in zip(
            node.outputs, made if isinstance(made, list) else [made], strict=True
        ):
            self._views[name] = view

    # what a tensor is

    def _view(self, name: str) -> View:
        if name not in self._views:
            value = self._constant(name)
            start = self._keep("constants", value.astype(float).ravel())
            self._views[name] = View(
                CONSTANT, 0, start + np.arange(value.size).reshape(value.shape)
            )
        return self._views[name]

    def _constant(self, name: str) -> np.ndarray:
        if name not in self._known:
            raise ValueError(f"{name} is no constant of the graph, and nothing before makes it")
        return self._known[name]

    def _register(self, shape: tuple[int, ...]) -> View:
        size = int(np.prod(shape, dtype=int))
        made = View(self.memory, size, np.arange(size).reshape(shape))
        self.memory += size
        return made

    def _keep(self, kind: str, values: np.ndarray) -> int:
        """Adds to the constants or maps; gives where the values begin among them."""
        start = self._sizes[kind]
        self._sizes[kind] += values.size
        getattr(self, kind).append(values)
        return start

    # how an operation is written

    def _write(self, code: str, shape: tuple[int, ...], *of: View, numbers: tuple = ()) -> View:
        """An operation that fills a new register of this shape."""
        made = self._register(shape)
        self._emit(code, made, 0, made.places.size, of, numbers)
        return made

    def _emit(
        self, code: str, to: View, at: int, size: int, of: tuple[View, ...], numbers: tuple = ()
    ) -> None:
        taken = []
        for one in of:
            start = self._keep("maps", one.places.ravel().astype(np.int32))
            taken += [one.where, one.stride, start]
        row = [
            CODES.index(code),
            to.where,
            to.stride,
            at,
            size,
            *taken,
            *[0] * (6 - len(taken)),
            *numbers,
        ]
        self.operations.append(row + [0] * (14 - len(row)))

    def _whole(self, view: View) -> View:
        """The same numbers side by side, as GEMM and trees take them."""
        if view.where != CONSTANT and np.array_equal(view.places.ravel(), np.arange(view.stride)):
            return view
        return self._write("Copy", view.places.shape, view)

    # numbers that only move

    def _identity(self, node: Node) -> View:
        return self._view(node.inputs[0])

    def _reshape(self, node: Node) -> View:
        view, shape = self._view(node.inputs[0]), self._constant(node.inputs[1])
        return view._replace(places=view.places.reshape(tuple(shape[1:])))

    def _split(self, node: Node) -> list[View]:
        view, sizes = self._view(node.inputs[0]), self._constant(node.inputs[1])
        parts = np.split(view.places, np.cumsum(sizes)[:-1], _axis(node))
        return [view._replace(places=one) for one in parts]

    def _gather(self, node: Node) -> View:
        if node.inputs[1] == "which":
            return self._lookup(self._constant(node.inputs[0]))
        view, places = self._view(node.inputs[0]), self._constant(node.inputs[1])
        return view._replace(places=view.places.take(places, _axis(node)))

    def _concat(self, node: Node) -> View:
        return self._joined([self._view(one) for one in node.inputs], _axis(node))

    def _pad(self, node: Node) -> View:
        """Only as housing/export/onnx_export.py has it: a column more at the end of each row."""
        if self._constant(node.inputs[1]).tolist() != [0, 0, 0, 1]:
            raise ValueError("Pad is known only for one column at the end")
        value = self._view(node.inputs[2])
        last = value._replace(places=value.places.reshape(1))
        return self._joined([self._view(node.inputs[0]), last], 0)

    def _joined(self, views: list[View], axis: int) -> View:
        """A new register, a part after the other: places put them in order along the axis."""
        starts = np.cumsum([0, *(one.places.size for one in views)])
        parts = [
            start + np.arange(one.places.size).reshape(one.places.shape)
            for start, one in zip(starts, views, strict=False)
        ]
        places = np.concatenate(parts, axis)
        made = self._register(places.shape)
        for start, one in zip(starts, views, strict=False):
            self._emit("Copy", made, int(start), one.places.size, (one,))
        return made._replace(places=places)

    def _cast(self, node: Node) -> View:
        view = self._view(node.inputs[0])
        if node.attributes["to"] == DOUBLE:
            return view
        return self._write("Single", view.places.shape, view)

    # numbers that are computed

    def _binary(self, node: Node) -> View:
        views = [self._view(one) for one in node.inputs]
        return self._both(node.operator, *views)

    def _both(self, code: str, *views: View) -> View:
        shape = np.broadcast_shapes(*(one.places.shape for one in views))
        wide = (one._replace(places=np.broadcast_to(one.places, shape)) for one in views)
        return self._write(code, shape, *wide)

    def _unary(self, node: Node) -> View:
        view = self._view(node.inputs[0])
        return self._write(node.operator, view.places.shape, view)

    def _relu(self, node: Node) -> View:
        zero = self._keep("constants", np.zeros(1))
        return self._both("Max", self._view(node.inputs[0]), View(CONSTANT, 0, np.array([zero])))

    def _reduce_sum(self, node: Node) -> View:
        view, [axis] = self._view(node.inputs[0]), self._constant(node.inputs[1])
        places = np.moveaxis(view.places, axis - 1, -1)
        shape, count = places.shape[:-1], places.shape[-1]
        made = self._write("ReduceSum", shape, view._replace(places=places), numbers=(count,))
        if node.attributes.get("keepdims", 1):
            return made._replace(places=np.expand_dims(made.places, axis - 1))
        return made

    def _cumulative(self, node: Node) -> View:
        view, axis = self._view(node.inputs[0]), int(self._constant(node.inputs[1])) - 1
        shape = view.places.shape
        within = int(np.prod(shape[axis + 1 :], dtype=int))
        return self._write("CumSum", shape, view, numbers=(shape[axis], within))

    def _lookup(self, table: np.ndarray) -> View:
        """A row of the table for each neighbour."""
        start = self._keep("constants", table.astype(float).ravel())
        count, columns = table.shape
        return self._write("Lookup", (*self._which, columns), numbers=(start, columns, count))

    def _product(self, node: Node) -> View:
        """A matrix product, and what is added to it."""
        weights = self._constant(node.inputs[1])
        start = self._keep("constants", weights.astype(float).ravel())
        wide = self._whole(self._view(node.inputs[0]))
        if wide.places.shape != weights.shape[:1]:
            raise ValueError(f"{wide.places.shape} numbers a row, times {weights.shape}")
        made = self._write("Gemm", weights.shape[1:], wide, numbers=(len(weights), start))
        return self._both("Add", made, self._view(node.inputs[2])) if node.inputs[2:] else made

    def _trees(self, node: Node) -> View:
        wide = self._whole(self._view(node.inputs[0]))
        small, first, count = self.forest.plant(node.attributes, wide.places.size)
        code = "SmallTrees" if small else "TreeEnsemble"
        return self._write(code, (1,), wide, numbers=(first, count))


OPERATORS = {
    "Identity": Program._identity,
    "Reshape": Program._reshape,
    "Split": Program._split,
    "Gather": Program._gather,
    "Concat": Program._concat,
    "Pad": Program._pad,
    "Cast": Program._cast,
    "Relu": Program._relu,
    "ReduceSum": Program._reduce_sum,
    "CumSum": Program._cumulative,
    "MatMul": Program._product,
    "Gemm": Program._product,
    "TreeEnsemble": Program._trees,
    **dict.fromkeys(["Sqrt", "Log"], Program._unary),
    **dict.fromkeys(["Add", "Sub", "Mul", "Div", "Max", "Min"], Program._binary),
}


def _axis(node: Node) -> int:
    """Along which axis of a row; the first axis of the graph's tensors is that of the rows."""
    axis = node.attributes["axis"]
    if axis < 1:
        raise ValueError(f"{node.operator} along axis {axis} would mix rows")
    return axis - 1
