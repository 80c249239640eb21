"""Build an ONNX graph node by node, tree ensembles included."""

from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from housing.schema import FEATURE_NAMES


class TreeNode(NamedTuple):
    """A split or a leaf of a tree; a row whose feature is <= threshold goes left."""

    is_leaf: bool
    feature: int = 0
    threshold: float = 0.0
    left: int = 0  # numbers of nodes of the same tree
    right: int = 0
    value: float = 0.0  # a leaf's


class GraphBuilder:
    """A graph under construction: nodes and constants, each tensor with a name of its own."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs = [make_value_info("rows", TensorProto.DOUBLE, None, len(FEATURE_NAMES))]
        self.outputs = [make_value_info("house_value", TensorProto.DOUBLE, None)]
        self.metadata: dict[str, str] = {}
        self._tensor_names = (f"t{number}" for number in count())

    def add_node(
        self,
        op_type: str,
        *inputs: str | np.ndarray,
        output_name: str | None = None,
        **attributes: Any,
    ) -> str:
        """Add a node and return its output's name; arrays among its inputs become constants."""
        names = [name if isinstance(name, str) else self._add_constant(name) for name in inputs]
        output = output_name or next(self._tensor_names)
        self.nodes.append(helper.make_node(op_type, names, [output], **attributes))
        return output

    def split(self, input_name: str, sizes: list[int], axis: int) -> list[str]:
        """Split a tensor along an axis; return the names of the sections of these sizes."""
        outputs = [next(self._tensor_names) for _ in sizes]
        inputs = [input_name, self._add_constant(np.array(sizes))]
        self.nodes.append(helper.make_node("Split", inputs, outputs, axis=axis))
        return outputs

    def cast(self, input_name: str, element_type: int) -> str:
        """Convert a tensor to another element type; return the output's name."""
        output = next(self._tensor_names)
        self.nodes.append(helper.make_node("Cast", [input_name], [output], to=element_type))
        return output

    def _add_constant(self, value: np.ndarray) -> str:
        name = next(self._tensor_names)
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def make_value_info(name: str, element_type: int, *shape: int | None) -> onnx.ValueInfoProto:
    """Describe an input or output of a graph; None is an axis of any size."""
    return helper.make_tensor_value_info(name, element_type, shape)


def add_tree_ensemble(trees: list[list[TreeNode]], builder: GraphBuilder, input_name: str) -> str:
    """Add one TreeEnsemble node that sums the trees; return its output's name.

    trees: each a list of nodes, the root first.
    """
    roots: list[int] = []
    splits: list[TreeNode] = []
    leaf_weights: list[float] = []
    child_numbers: tuple[list[int], list[int]] = ([], [])  # left, right
    child_is_leaf: tuple[list[int], list[int]] = ([], [])
    for nodes in trees:
        if nodes[0].is_leaf:  # a leaf cannot be a root: a split with the same leaf on both sides
            nodes = [TreeNode(False, left=1, right=1), *nodes]
        positions = _node_positions(nodes, len(splits), len(leaf_weights))
        roots.append(len(splits))
        for node in nodes:
            if node.is_leaf:
                leaf_weights.append(node.value)
                continue
            splits.append(node)
            for side, child in enumerate((node.left, node.right)):
                child_numbers[side].append(positions[child])
                child_is_leaf[side].append(int(nodes[child].is_leaf))
    n_splits = len(splits)
    return builder.add_node(
        "TreeEnsemble",
        input_name,
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function=1,
        tree_roots=roots,
        nodes_featureids=[int(node.feature) for node in splits],
        nodes_splits=_double_tensor("splits", [node.threshold for node in splits]),
        nodes_modes=helper.make_tensor("modes", TensorProto.UINT8, [n_splits], [0] * n_splits),
        nodes_truenodeids=child_numbers[0],
        nodes_falsenodeids=child_numbers[1],
        nodes_trueleafs=child_is_leaf[0],
        nodes_falseleafs=child_is_leaf[1],
        leaf_targetids=[0] * len(leaf_weights),
        leaf_weights=_double_tensor("leaves", leaf_weights),
    )


def _node_positions(nodes: list[TreeNode], first_split: int, first_leaf: int) -> list[int]:
    """Return each node's number in the ensemble, which numbers splits and leaves separately."""
    split_numbers: Iterator[int] = count(first_split)
    leaf_numbers: Iterator[int] = count(first_leaf)
    return [next(leaf_numbers if node.is_leaf else split_numbers) for node in nodes]


def _double_tensor(name: str, values: list[float]) -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.DOUBLE, [len(values)], values)
