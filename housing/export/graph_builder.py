"""An ONNX graph in the making, and the trees in it."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from housing.schema import FEATURE_NAMES

TreeNode = tuple[
    bool, int, float, int, int, float
]  # is leaf, feature, threshold, left, right, value


class GraphBuilder:
    """A graph in the making: nodes and constants, each with a name of its own."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs = [make_value_info("rows", TensorProto.DOUBLE, None, len(FEATURE_NAMES))]
        self.outputs = [make_value_info("house_value", TensorProto.DOUBLE, None)]
        self.metadata: dict[str, str] = {}  # what is said of the graph beside it
        self._tensor_names = (f"t{number}" for number in count())

    def add_node(
        self,
        op_type: str,
        *inputs: str | np.ndarray,
        output_name: str | None = None,
        **attributes: Any,
    ) -> str:
        """Adds a node; arrays among its inputs become constants. Gives its output's name."""
        names = [one if isinstance(one, str) else self._add_constant(one) for one in inputs]
        output = output_name or next(self._tensor_names)
        self.nodes.append(helper.make_node(op_type, names, [output], **attributes))
        return output

    def split(self, input_name: str, sizes: list[int], axis: int) -> list[str]:
        """The tensor in parts of these sizes along an axis."""
        parts = [next(self._tensor_names) for _ in sizes]
        names = [input_name, self._add_constant(np.array(sizes))]
        self.nodes.append(helper.make_node("Split", names, parts, axis=axis))
        return parts

    def cast(self, input_name: str, element_type: int) -> str:
        """The tensor in another type."""
        output = next(self._tensor_names)
        self.nodes.append(helper.make_node("Cast", [input_name], [output], to=element_type))
        return output

    def _add_constant(self, value: np.ndarray) -> str:
        name = next(self._tensor_names)
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def make_value_info(name: str, element_type: int, *shape: int | None) -> onnx.ValueInfoProto:
    """An input or output."""
    return helper.make_tensor_value_info(name, element_type, shape)


def add_tree_ensemble(trees: list[list[TreeNode]], builder: GraphBuilder, input_name: str) -> str:
    """One TreeEnsemble of (is leaf, feature, threshold, left, right, value) nodes, summed."""
    roots, splits, features, children = [], [], [], ([], [])
    is_leaf, leaves = ([], []), []
    for nodes in trees:
        if nodes[0][0]:  # a lone leaf cannot be a root: a split with the same leaf on both sides
            nodes = [(False, 0, 0.0, 1, 1, 0.0), *nodes]
        place = _node_positions(nodes, len(splits), len(leaves))
        roots.append(len(splits))
        for leaf, feature, threshold, left, right, value in nodes:
            if leaf:
                leaves.append(value)
                continue
            splits.append(threshold)
            features.append(feature)
            for side, child in enumerate((left, right)):
                children[side].append(place[child])
                is_leaf[side].append(int(nodes[child][0]))
    return builder.add_node(
        "TreeEnsemble",
        input_name,
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function=1,
        tree_roots=roots,
        nodes_featureids=[int(one) for one in features],
        nodes_splits=_double_tensor("splits", splits),
        nodes_modes=helper.make_tensor(
            "modes", TensorProto.UINT8, [len(splits)], [0] * len(splits)
        ),
        nodes_truenodeids=children[0],
        nodes_falsenodeids=children[1],
        nodes_trueleafs=is_leaf[0],
        nodes_falseleafs=is_leaf[1],
        leaf_targetids=[0] * len(leaves),
        leaf_weights=_double_tensor("leaves", leaves),
    )


def _node_positions(nodes: list[TreeNode], first_split: int, first_leaf: int) -> list[int]:
    """Where each node will stand: the graph numbers splits and leaves apart, over all trees."""
    splits, leaves = count(first_split), count(first_leaf)

    def positions() -> Iterator[int]:
        for node in nodes:
            yield next(leaves) if node[0] else next(splits)

    return list(positions())


def _double_tensor(name: str, values: list[float]) -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.DOUBLE, [len(values)], values)
