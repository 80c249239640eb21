"""Turns an ONNX graph into a list of operations on a row's numbers, for native.c to run.

What only moves numbers (Gather, Split, Reshape) becomes a way to look at them, and costs nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from housing.inference.native.reader import GraphNode, OnnxGraph
from housing.inference.native.tree_ensemble import TreeTable

OPCODES = [  # in the order of native.c
    "Copy", "Add", "Sub", "Mul", "Div", "Max", "Min", "Sqrt", "Log", "Single",
    "ReduceSum", "CumSum", "Lookup", "Gemm", "TreeEnsemble", "SmallTrees",
]  # fmt: skip
OUTPUT_NAMES = ["house_value", "scale"]  # the second one where a graph has it
ONNX_DOUBLE_TYPE = 11  # ONNX's number of the type
CONSTANT_POOL = -1  # where a view's numbers are, if not in a register


class TensorView(NamedTuple):
    """Numbers of a row: which of a register, or of the constants."""

    register_offset: int  # the register's place in a row's memory, or CONSTANT
    stride: int  # numbers of a row in it
    indices: np.ndarray  # in the tensor's shape, without the axis of rows


class CompiledGraph:
    """The operations, and what they look things up in."""

    def __init__(
        self, graph: OnnxGraph, n_columns: int, neighbor_shape: tuple[int, ...] = ()
    ) -> None:
        """looked: the shape of a row's neighbours, (spaces, count).

        Raises ValueError for a graph with an operator or a shape that is not known here.
        """
        self.n_columns, self.n_neighbor_values = (
            n_columns,
            int(np.prod(neighbor_shape)) if neighbor_shape else 0,
        )
        self.row_memory_size = 0
        self.operations: list[list[int]] = []
        self.constants: list[np.ndarray] = []
        self.index_maps: list[np.ndarray] = []
        self.trees = TreeTable()
        self._pool_sizes = {"constants": 0, "index_maps": 0}
        self._initializers = graph.constants
        self._views = {"rows": self._allocate_register((n_columns,))}
        if neighbor_shape:
            self._views["distance"] = self._allocate_register((*neighbor_shape, 1))
        self._neighbor_shape = neighbor_shape
        for node in graph.nodes:
            self._compile_node(node)
        found = [self._view(one) for one in OUTPUT_NAMES if one in self._views]
        for answer in found:
            if answer.indices.size != 1:
                raise ValueError(f"an answer has {answer.indices.size} numbers a row, expected 1")
        if not found:
            raise ValueError(f"the graph has no output {OUTPUT_NAMES[0]}")
        self.n_outputs = len(found)
        self._join_views([one._replace(indices=one.indices.reshape(1)) for one in found], 0)

    def _compile_node(self, node: GraphNode) -> None:
        if node.op_type not in OPERATOR_HANDLERS:
            raise ValueError(f"the operator {node.op_type} is not known here")
        made = OPERATOR_HANDLERS[node.op_type](self, node)
        for name, view in zip(
            node.outputs, made if isinstance(made, list) else [made], strict=True
        ):
            self._views[name] = view

    # what a tensor is

    def _view(self, name: str) -> TensorView:
        if name not in self._views:
            value = self._constant(name)
            start = self._append_to_pool("constants", value.astype(float).ravel())
            self._views[name] = TensorView(
                CONSTANT_POOL, 0, start + np.arange(value.size).reshape(value.shape)
            )
        return self._views[name]

    def _constant(self, name: str) -> np.ndarray:
        if name not in self._initializers:
            raise ValueError(f"{name} is no constant of the graph, and nothing before makes it")
        return self._initializers[name]

    def _allocate_register(self, shape: tuple[int, ...]) -> TensorView:
        size = int(np.prod(shape, dtype=int))
        made = TensorView(self.row_memory_size, size, np.arange(size).reshape(shape))
        self.row_memory_size += size
        return made

    def _append_to_pool(self, pool: str, values: np.ndarray) -> int:
        """Adds to the constants or maps; gives where the values begin among them."""
        start = self._pool_sizes[pool]
        self._pool_sizes[pool] += values.size
        getattr(self, pool).append(values)
        return start

    # how an operation is written

    def _add_operation(
        self, opcode: str, shape: tuple[int, ...], *operands: TensorView, parameters: tuple = ()
    ) -> TensorView:
        """An operation that fills a new register of this shape."""
        made = self._allocate_register(shape)
        self._emit(opcode, made, 0, made.indices.size, operands, parameters)
        return made

    def _emit(
        self,
        opcode: str,
        output: TensorView,
        offset: int,
        size: int,
        operands: tuple[TensorView, ...],
        parameters: tuple = (),
    ) -> None:
        taken = []
        for one in operands:
            start = self._append_to_pool("index_maps", one.indices.ravel().astype(np.int32))
            taken += [one.register_offset, one.stride, start]
        row = [
            OPCODES.index(opcode),
            output.register_offset,
            output.stride,
            offset,
            size,
            *taken,
            *[0] * (6 - len(taken)),
            *parameters,
        ]
        self.operations.append(row + [0] * (14 - len(row)))

    def _make_contiguous(self, view: TensorView) -> TensorView:
        """The same numbers side by side, as GEMM and trees take them."""
        if view.register_offset != CONSTANT_POOL and np.array_equal(
            view.indices.ravel(), np.arange(view.stride)
        ):
            return view
        return self._add_operation("Copy", view.indices.shape, view)

    # numbers that only move

    def _identity(self, node: GraphNode) -> TensorView:
        return self._view(node.inputs[0])

    def _reshape(self, node: GraphNode) -> TensorView:
        view, shape = self._view(node.inputs[0]), self._constant(node.inputs[1])
        return view._replace(indices=view.indices.reshape(tuple(shape[1:])))

    def _split(self, node: GraphNode) -> list[TensorView]:
        view, sizes = self._view(node.inputs[0]), self._constant(node.inputs[1])
        parts = np.split(view.indices, np.cumsum(sizes)[:-1], _row_axis(node))
        return [view._replace(indices=one) for one in parts]

    def _gather(self, node: GraphNode) -> TensorView:
        if node.inputs[1] == "which":
            return self._lookup(self._constant(node.inputs[0]))
        view, places = self._view(node.inputs[0]), self._constant(node.inputs[1])
        return view._replace(indices=view.indices.take(places, _row_axis(node)))

    def _concat(self, node: GraphNode) -> TensorView:
        return self._join_views([self._view(one) for one in node.inputs], _row_axis(node))

    def _pad(self, node: GraphNode) -> TensorView:
        """Only as housing/export/onnx_export.py has it: a column more at the end of each row."""
        if self._constant(node.inputs[1]).tolist() != [0, 0, 0, 1]:
            raise ValueError("Pad is known only for one column at the end")
        value = self._view(node.inputs[2])
        last = value._replace(indices=value.indices.reshape(1))
        return self._join_views([self._view(node.inputs[0]), last], 0)

    def _join_views(self, views: list[TensorView], axis: int) -> TensorView:
        """A new register, a part after the other: places put them in order along the axis."""
        starts = np.cumsum([0, *(one.indices.size for one in views)])
        parts = [
            start + np.arange(one.indices.size).reshape(one.indices.shape)
            for start, one in zip(starts, views, strict=False)
        ]
        places = np.concatenate(parts, axis)
        made = self._allocate_register(places.shape)
        for start, one in zip(starts, views, strict=False):
            self._emit("Copy", made, int(start), one.indices.size, (one,))
        return made._replace(indices=places)

    def _cast(self, node: GraphNode) -> TensorView:
        view = self._view(node.inputs[0])
        if node.attributes["to"] == ONNX_DOUBLE_TYPE:
            return view
        return self._add_operation("Single", view.indices.shape, view)

    # numbers that are computed

    def _binary_operator(self, node: GraphNode) -> TensorView:
        views = [self._view(one) for one in node.inputs]
        return self._broadcast_operation(node.op_type, *views)

    def _broadcast_operation(self, opcode: str, *views: TensorView) -> TensorView:
        shape = np.broadcast_shapes(*(one.indices.shape for one in views))
        wide = (one._replace(indices=np.broadcast_to(one.indices, shape)) for one in views)
        return self._add_operation(opcode, shape, *wide)

    def _unary_operator(self, node: GraphNode) -> TensorView:
        view = self._view(node.inputs[0])
        return self._add_operation(node.op_type, view.indices.shape, view)

    def _relu(self, node: GraphNode) -> TensorView:
        zero = self._append_to_pool("constants", np.zeros(1))
        return self._broadcast_operation(
            "Max", self._view(node.inputs[0]), TensorView(CONSTANT_POOL, 0, np.array([zero]))
        )

    def _reduce_sum(self, node: GraphNode) -> TensorView:
        view, [axis] = self._view(node.inputs[0]), self._constant(node.inputs[1])
        places = np.moveaxis(view.indices, axis - 1, -1)
        shape, count = places.shape[:-1], places.shape[-1]
        made = self._add_operation(
            "ReduceSum", shape, view._replace(indices=places), parameters=(count,)
        )
        if node.attributes.get("keepdims", 1):
            return made._replace(indices=np.expand_dims(made.indices, axis - 1))
        return made

    def _cumsum(self, node: GraphNode) -> TensorView:
        view, axis = self._view(node.inputs[0]), int(self._constant(node.inputs[1])) - 1
        shape = view.indices.shape
        within = int(np.prod(shape[axis + 1 :], dtype=int))
        return self._add_operation("CumSum", shape, view, parameters=(shape[axis], within))

    def _lookup(self, table: np.ndarray) -> TensorView:
        """A row of the table for each neighbour."""
        start = self._append_to_pool("constants", table.astype(float).ravel())
        count, columns = table.shape
        return self._add_operation(
            "Lookup", (*self._neighbor_shape, columns), parameters=(start, columns, count)
        )

    def _gemm(self, node: GraphNode) -> TensorView:
        """A matrix product, and what is added to it."""
        weights = self._constant(node.inputs[1])
        start = self._append_to_pool("constants", weights.astype(float).ravel())
        wide = self._make_contiguous(self._view(node.inputs[0]))
        if wide.indices.shape != weights.shape[:1]:
            raise ValueError(f"{wide.indices.shape} numbers a row, times {weights.shape}")
        made = self._add_operation(
            "Gemm", weights.shape[1:], wide, parameters=(len(weights), start)
        )
        return (
            self._broadcast_operation("Add", made, self._view(node.inputs[2]))
            if node.inputs[2:]
            else made
        )

    def _tree_ensemble(self, node: GraphNode) -> TensorView:
        wide = self._make_contiguous(self._view(node.inputs[0]))
        small, first, count = self.trees.add_trees(node.attributes, wide.indices.size)
        code = "SmallTrees" if small else "TreeEnsemble"
        return self._add_operation(code, (1,), wide, parameters=(first, count))


OPERATOR_HANDLERS = {
    "Identity": CompiledGraph._identity,
    "Reshape": CompiledGraph._reshape,
    "Split": CompiledGraph._split,
    "Gather": CompiledGraph._gather,
    "Concat": CompiledGraph._concat,
    "Pad": CompiledGraph._pad,
    "Cast": CompiledGraph._cast,
    "Relu": CompiledGraph._relu,
    "ReduceSum": CompiledGraph._reduce_sum,
    "CumSum": CompiledGraph._cumsum,
    "MatMul": CompiledGraph._gemm,
    "Gemm": CompiledGraph._gemm,
    "TreeEnsemble": CompiledGraph._tree_ensemble,
    **dict.fromkeys(["Sqrt", "Log"], CompiledGraph._unary_operator),
    **dict.fromkeys(["Add", "Sub", "Mul", "Div", "Max", "Min"], CompiledGraph._binary_operator),
}


def _row_axis(node: GraphNode) -> int:
    """Along which axis of a row; the first axis of the graph's tensors is that of the rows."""
    axis = node.attributes["axis"]
    if axis < 1:
        raise ValueError(f"{node.op_type} along axis {axis} would mix rows")
    return axis - 1
