"""Build an ONNX graph node by node, tree ensembles included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, helper
from onnx.numpy_helper import from_array

# a split or a leaf of a tree; a row whose feature is <= threshold goes left
TREE_NODE_DTYPE = np.dtype(
    [
        ("is_leaf", bool),
        ("feature", np.int64),
        ("threshold", float),
        ("left", np.int64),  # numbers of nodes of the same tree
        ("right", np.int64),
        ("value", float),  # a leaf's
    ]
)


@dataclass(frozen=True)
class Tensor:
    """A tensor of a graph under construction: what is computed with it adds nodes to the graph.

    The other operands are tensors, or numbers and arrays, which become constants.
    """

    name: str
    model: ModelProto

    def apply(self, op_type: str, *operands: Any, **attributes: Any) -> Tensor:
        """Add a node with this tensor as its first input; return its output."""
        return add_node(self.model, op_type, self, *operands, **attributes)

    def gather(self, indices: Any, axis: int = 1) -> Tensor:
        """Return the elements at some indices along an axis."""
        return self.apply("Gather", indices, axis=axis)

    def split(self, sizes: list[int], axis: int = 1) -> list[Tensor]:
        """Return the sections of some sizes along an axis."""
        names = [f"t{len(self.model.graph.node)}_{number}" for number in range(len(sizes))]
        _append_node(self.model, "Split", [self, sizes], names, axis=axis)
        return [Tensor(name, self.model) for name in names]

    def __add__(self, other: Any) -> Tensor:
        return self.apply("Add", other)

    def __sub__(self, other: Any) -> Tensor:
        return self.apply("Sub", other)

    def __mul__(self, other: Any) -> Tensor:
        return self.apply("Mul", other)

    def __truediv__(self, other: Any) -> Tensor:
        return self.apply("Div", other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return add_node(self.model, "Div", other, self)


def add_node(
    model: ModelProto, op_type: str, *inputs: Any, output_name: str = "", **attributes: Any
) -> Tensor:
    """Add a node and return its output; inputs that are no tensors become constants."""
    output_name = output_name or f"t{len(model.graph.node)}"
    _append_node(model, op_type, inputs, [output_name], **attributes)
    return Tensor(output_name, model)


def _append_node(
    model: ModelProto,
    op_type: str,
    inputs: Sequence[Any],
    output_names: list[str],
    **attributes: Any,
) -> None:
    input_names = [
        value.name if isinstance(value, Tensor) else _add_constant(model, value) for value in inputs
    ]
    model.graph.node.append(helper.make_node(op_type, input_names, output_names, **attributes))


def _add_constant(model: ModelProto, value: Any) -> str:
    name = f"c{len(model.graph.initializer)}"
    model.graph.initializer.append(from_array(np.asarray(value), name))
    return name


def concat(tensors: Sequence[Tensor], axis: int = 1) -> Tensor:
    """Join tensors along an axis."""
    return tensors[0].apply("Concat", *tensors[1:], axis=axis)


def add_tree_ensemble(trees: list[np.ndarray], rows: Tensor) -> Tensor:
    """Add one TreeEnsemble node that sums the trees; return its output.

    trees: the nodes of each, an array of `TREE_NODE_DTYPE`, the root first.
    """
    # a leaf cannot be a root: a split with the same leaf on both sides
    single_leaf_root = np.array([(False, 0, 0.0, 1, 1, 0.0)], TREE_NODE_DTYPE)
    trees = [
        np.concatenate([single_leaf_root, tree]) if tree["is_leaf"][0] else tree for tree in trees
    ]
    sizes = [len(tree) for tree in trees]
    starts, nodes = np.cumsum([0, *sizes[:-1]]), np.concatenate(trees)
    is_leaf = nodes["is_leaf"]
    # a node's number in the ensemble, which numbers splits and leaves separately
    numbers = np.where(is_leaf, np.cumsum(is_leaf), np.cumsum(~is_leaf)) - 1
    splits, leaf_weights = nodes[~is_leaf], nodes["value"][is_leaf]
    left, right = (splits[side] + np.repeat(starts, sizes)[~is_leaf] for side in ("left", "right"))
    return rows.apply(
        "TreeEnsemble",
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function=1,
        tree_roots=numbers[starts],
        nodes_featureids=splits["feature"],
        nodes_splits=from_array(splits["threshold"]),
        nodes_modes=from_array(np.zeros(len(splits), np.uint8)),  # <=
        nodes_truenodeids=numbers[left],
        nodes_falsenodeids=numbers[right],
        nodes_trueleafs=is_leaf[left].astype(int),
        nodes_falseleafs=is_leaf[right].astype(int),
        leaf_targetids=[0] * len(leaf_weights),
        leaf_weights=from_array(leaf_weights),
    )
