"""Compile an ONNX graph to a list of operations on a row's numbers, for native.c to run.

Operators that only move numbers (Gather, Split, Reshape) become views of them, and cost nothing.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

import numpy as np

from housing.inference.native.reader import GraphNode, OnnxGraph
from housing.inference.native.tree_ensemble import TreeTable

BINARY_OPERATORS, UNARY_OPERATORS = ["Add", "Sub", "Mul", "Div", "Max", "Min"], ["Sqrt", "Log"]
OPCODES = [  # in the order of native.c
    "Copy",
    *BINARY_OPERATORS,
    *UNARY_OPERATORS,
    "Single",
    "ReduceSum",
    "CumSum",
    "Lookup",
    "Gemm",
    "TreeEnsemble",
    "SmallTrees",
]
OPERATION_DTYPE = np.dtype(  # native.c's Operation
    [
        ("opcode", np.int64),
        ("output", np.int64, 3),  # the register's offset and stride, and the first number written
        ("size", np.int64),
        ("operands", np.int64, (2, 3)),  # for each the register's offset and stride, and its map
        ("parameters", np.int64, 3),
    ]
)
OUTPUT_NAMES = ["house_value", "scale"]  # the second one where a graph has it
ONNX_DOUBLE_TYPE = 11  # TensorProto.DOUBLE
CONSTANT_POOL = -1  # a view's register_offset if its numbers are constants


class TensorView(NamedTuple):
    """Some numbers of a register, or of the constants."""

    register_offset: int  # the register's position in a row's memory, or CONSTANT_POOL
    stride: int  # numbers per row in the register
    indices: np.ndarray  # numbers taken, in the tensor's shape without the axis of rows


class CompiledGraph:
    """The operations of a graph, and the tables they use."""

    def __init__(
        self, graph: OnnxGraph, n_columns: int, neighbor_shape: tuple[int, ...] = ()
    ) -> None:
        """Compile a graph.

        neighbor_shape: the shape of a row's neighbors, (spaces, k); () for a graph without.
        Raises ValueError for an operator or a shape that is not supported here.
        """
        self.n_columns = n_columns
        self.n_neighbor_values = int(np.prod(neighbor_shape)) if neighbor_shape else 0
        self.row_memory_size = 0
        self.operations: list[np.ndarray] = []  # of OPERATION_DTYPE
        self.constants = array("d")
        self.index_maps = array("i")
        self.trees = TreeTable()
        self._initializers = graph.constants
        self._views = {"rows": self._allocate_register((n_columns,))}
        if neighbor_shape:
            self._views["distance"] = self._allocate_register((*neighbor_shape, 1))
        self._neighbor_shape = neighbor_shape
        for node in graph.nodes:
            self._compile_node(node)
        self.n_outputs = self._compile_outputs()

    def _compile_node(self, node: GraphNode) -> None:
        """Append a node's operations, and keep the views of its outputs."""
        if node.op_type not in OPERATOR_HANDLERS:
            raise ValueError(f"the operator {node.op_type} is not supported here")
        result = OPERATOR_HANDLERS[node.op_type](self, node)
        views = result if isinstance(result, list) else [result]
        for name, view in zip(node.outputs, views, strict=True):
            self._views[name] = view

    def _compile_outputs(self) -> int:
        """Copy the outputs to the last register; return how many they are."""
        views = [self._view(name) for name in OUTPUT_NAMES if name in self._views]
        for view in views:
            if view.indices.size != 1:
                raise ValueError(f"an output has {view.indices.size} numbers per row, expected 1")
        if not views:
            raise ValueError(f"the graph has no output {OUTPUT_NAMES[0]}")
        self._join_views([view._replace(indices=view.indices.reshape(1)) for view in views], 0)
        return len(views)

    # tensors and where their numbers are

    def _view(self, name: str) -> TensorView:
        """Return the view of a tensor; a constant joins the pool when it is first used."""
        if name not in self._views:
            self._views[name] = self._constant_view(self._constant(name))
        return self._views[name]

    def _constant_view(self, value: np.ndarray) -> TensorView:
        indices = self._append_constants(value) + np.arange(value.size).reshape(value.shape)
        return TensorView(CONSTANT_POOL, 0, indices)

    def _constant(self, name: str) -> np.ndarray:
        if name not in self._initializers:
            raise ValueError(f"{name} is neither a constant of the graph nor an earlier output")
        return self._initializers[name]

    def _allocate_register(self, shape: tuple[int, ...]) -> TensorView:
        size = int(np.prod(shape, dtype=int))
        view = TensorView(self.row_memory_size, size, np.arange(size).reshape(shape))
        self.row_memory_size += size
        return view

    def _append_constants(self, values: np.ndarray) -> int:
        """Append values to the constants; return where they start."""
        start = len(self.constants)
        self.constants.frombytes(values.astype(float).tobytes())
        return start

    # how an operation is written

    def _add_operation(
        self, opcode: str, shape: tuple[int, ...], *operands: TensorView, parameters: tuple = ()
    ) -> TensorView:
        """Append an operation that fills a new register of this shape; return its view."""
        output = self._allocate_register(shape)
        self._emit(opcode, output, 0, output.indices.size, operands, parameters)
        return output

    def _emit(
        self,
        opcode: str,
        output: TensorView,
        offset: int,
        size: int,
        operands: tuple[TensorView, ...],
        parameters: tuple = (),
    ) -> None:
        """Append an operation that writes `size` numbers per row to a register, from an offset."""
        operation = np.zeros((), OPERATION_DTYPE)
        operation["opcode"], operation["size"] = OPCODES.index(opcode), size
        operation["output"] = output.register_offset, output.stride, offset
        for number, operand in enumerate(operands):
            map_start = len(self.index_maps)
            self.index_maps.frombytes(operand.indices.astype(np.intc).tobytes())
            operation["operands"][number] = operand.register_offset, operand.stride, map_start
        operation["parameters"][: len(parameters)] = parameters
        self.operations.append(operation)

    def _make_contiguous(self, view: TensorView) -> TensorView:
        """Return the same numbers side by side, as GEMM and trees need them."""
        is_whole_register = np.array_equal(view.indices.ravel(), np.arange(view.stride))
        if view.register_offset != CONSTANT_POOL and is_whole_register:
            return view
        return self._add_elementwise("Copy", view)

    # operators that only move numbers

    def _identity(self, node: GraphNode) -> TensorView:
        return self._view(node.inputs[0])

    def _reshape(self, node: GraphNode) -> TensorView:
        view, shape = self._view(node.inputs[0]), self._constant(node.inputs[1])
        return view._replace(indices=view.indices.reshape(tuple(shape[1:])))

    def _split(self, node: GraphNode) -> list[TensorView]:
        view, sizes = self._view(node.inputs[0]), self._constant(node.inputs[1])
        sections = np.split(view.indices, np.cumsum(sizes)[:-1], _row_axis(node))
        return [view._replace(indices=indices) for indices in sections]

    def _gather(self, node: GraphNode) -> TensorView:
        if node.inputs[1] == "which":
            return self._lookup(self._constant(node.inputs[0]))
        view, positions = self._view(node.inputs[0]), self._constant(node.inputs[1])
        return view._replace(indices=view.indices.take(positions, _row_axis(node)))

    def _concat(self, node: GraphNode) -> TensorView:
        return self._join_views([self._view(name) for name in node.inputs], _row_axis(node))

    def _pad(self, node: GraphNode) -> TensorView:
        """Append one column to each row, the only padding that onnx_export.py writes."""
        if self._constant(node.inputs[1]).tolist() != [0, 0, 0, 1]:
            raise ValueError("Pad is supported only for one column at the end")
        value = self._view(node.inputs[2])
        column = value._replace(indices=value.indices.reshape(1))
        return self._join_views([self._view(node.inputs[0]), column], 0)

    def _join_views(self, views: list[TensorView], axis: int) -> TensorView:
        """Copy views one after the other to a new register; its view orders them along the axis."""
        starts = np.cumsum([0, *(view.indices.size for view in views[:-1])])
        sections = [
            start + np.arange(view.indices.size).reshape(view.indices.shape)
            for start, view in zip(starts, views, strict=True)
        ]
        indices = np.concatenate(sections, axis)
        output = self._allocate_register(indices.shape)
        for start, view in zip(starts, views, strict=True):
            self._emit("Copy", output, int(start), view.indices.size, (view,))
        return output._replace(indices=indices)

    def _cast(self, node: GraphNode) -> TensorView:
        view = self._view(node.inputs[0])
        if node.attributes["to"] == ONNX_DOUBLE_TYPE:
            return view
        return self._add_elementwise("Single", view)

    # operators that compute numbers

    def _elementwise_operator(self, node: GraphNode) -> TensorView:
        if len(node.inputs) != (1 if node.op_type in UNARY_OPERATORS else 2):
            raise ValueError(f"{node.op_type} of {len(node.inputs)} tensors is not supported here")
        return self._add_elementwise(node.op_type, *map(self._view, node.inputs))

    def _add_elementwise(self, opcode: str, *views: TensorView) -> TensorView:
        shape = np.broadcast_shapes(*(view.indices.shape for view in views))
        operands = (view._replace(indices=np.broadcast_to(view.indices, shape)) for view in views)
        return self._add_operation(opcode, shape, *operands)

    def _relu(self, node: GraphNode) -> TensorView:
        return self._add_elementwise(
            "Max", self._view(node.inputs[0]), self._constant_view(np.zeros(1))
        )

    def _reduce_sum(self, node: GraphNode) -> TensorView:
        view, [axis] = self._view(node.inputs[0]), self._constant(node.inputs[1])
        groups = np.moveaxis(view.indices, axis - 1, -1)
        *shape, group_size = groups.shape
        output = self._add_operation(
            "ReduceSum", tuple(shape), view._replace(indices=groups), parameters=(group_size,)
        )
        if node.attributes.get("keepdims", 1):
            return output._replace(indices=np.expand_dims(output.indices, axis - 1))
        return output

    def _cumsum(self, node: GraphNode) -> TensorView:
        view, axis = self._view(node.inputs[0]), int(self._constant(node.inputs[1])) - 1
        shape = view.indices.shape
        inner_size = int(np.prod(shape[axis + 1 :], dtype=int))
        return self._add_operation("CumSum", shape, view, parameters=(shape[axis], inner_size))

    def _lookup(self, table: np.ndarray) -> TensorView:
        """Return a row of the table for each neighbor."""
        start = self._append_constants(table)
        n_rows, n_columns = table.shape
        shape = (*self._neighbor_shape, n_columns)
        return self._add_operation("Lookup", shape, parameters=(start, n_columns, n_rows))

    def _gemm(self, node: GraphNode) -> TensorView:
        """Return a matrix product, plus the third input where there is one."""
        weights = self._constant(node.inputs[1])
        start = self._append_constants(weights)
        row = self._make_contiguous(self._view(node.inputs[0]))
        if row.indices.shape != weights.shape[:1]:
            raise ValueError(f"{row.indices.shape} numbers per row, times {weights.shape}")
        product = self._add_operation(
            "Gemm", weights.shape[1:], row, parameters=(len(weights), start)
        )
        if len(node.inputs) < 3:
            return product
        return self._add_elementwise("Add", product, self._view(node.inputs[2]))

    def _tree_ensemble(self, node: GraphNode) -> TensorView:
        row = self._make_contiguous(self._view(node.inputs[0]))
        opcode, *tree_range = self.trees.add_trees(node.attributes, row.indices.size)
        return self._add_operation(opcode, (1,), row, parameters=tuple(tree_range))


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
    **dict.fromkeys(BINARY_OPERATORS + UNARY_OPERATORS, CompiledGraph._elementwise_operator),
}


def _row_axis(node: GraphNode) -> int:
    """Return the axis of a node within a row: the first axis of a graph's tensors is the rows'."""
    axis = node.attributes["axis"]
    if axis < 1:
        raise ValueError(f"{node.op_type} along axis {axis} would mix rows")
    return axis - 1
