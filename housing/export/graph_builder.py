"""An ONNX graph in the making, and the trees in it."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from housing.schema import NAMES

Node = tuple[bool, int, float, int, int, float]  # is leaf, feature, threshold, left, right, value


class Draft:
    """A graph in the making: nodes and constants, each with a name of its own."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs = [tensor("rows", TensorProto.DOUBLE, None, len(NAMES))]
        self.outputs = [tensor("house_value", TensorProto.DOUBLE, None)]
        self.told: dict[str, str] = {}  # what is said of the graph beside it
        self._names = (f"t{number}" for number in count())

    def add(
        self, operator: str, *inputs: str | np.ndarray, to: str | None = None, **attributes: Any
    ) -> str:
        """Adds a node; arrays among its inputs become constants. Gives its output's name."""
        names = [one if isinstance(one, str) else self._constant(one) for one in inputs]
        output = to or next(self._names)
        self.nodes.append(helper.make_node(operator, names, [output], **attributes))
        return output

    def split(self, x: str, sizes: list[int], axis: int) -> list[str]:
        """The tensor in parts of these sizes along an axis."""
        parts = [next(self._names) for _ in sizes]
        names = [x, self._constant(np.array(sizes))]
        self.nodes.append(helper.make_node("Split", names, parts, axis=axis))
        return parts

    def cast(self, x: str, kind: int) -> str:
        """The tensor in another type."""
        output = next(self._names)
        self.nodes.append(helper.make_node("Cast", [x], [output], to=kind))
        return output

    def _constant(self, value: np.ndarray) -> str:
        name = next(self._names)
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def tensor(name: str, kind: int, *shape: int | None) -> onnx.ValueInfoProto:
    """An input or output."""
    return helper.make_tensor_value_info(name, kind, shape)


def trees(forest: list[list[Node]], draft: Draft, x: str) -> str:
    """One TreeEnsemble of (is leaf, feature, threshold, left, right, value) nodes, summed."""
    roots, splits, features, children = [], [], [], ([], [])
    is_leaf, leaves = ([], []), []
    for nodes in forest:
        if nodes[0][0]:  # a lone leaf cannot be a root: a split with the same leaf on both sides
            nodes = [(False, 0, 0.0, 1, 1, 0.0), *nodes]
        place = _places(nodes, len(splits), len(leaves))
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
    return draft.add(
        "TreeEnsemble",
        x,
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function=1,
        tree_roots=roots,
        nodes_featureids=[int(one) for one in features],
        nodes_splits=_double("splits", splits),
        nodes_modes=helper.make_tensor(
            "modes", TensorProto.UINT8, [len(splits)], [0] * len(splits)
        ),
        nodes_truenodeids=children[0],
        nodes_falsenodeids=children[1],
        nodes_trueleafs=is_leaf[0],
        nodes_falseleafs=is_leaf[1],
        leaf_targetids=[0] * len(leaves),
        leaf_weights=_double("leaves", leaves),
    )


def _places(nodes: list[Node], split: int, leaf: int) -> list[int]:
    """Where each node will stand: the graph numbers splits and leaves apart, over all trees."""
    splits, leaves = count(split), count(leaf)

    def place() -> Iterator[int]:
        for node in nodes:
            yield next(leaves) if node[0] else next(splits)

    return list(place())


def _double(name: str, values: list[float]) -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.DOUBLE, [len(values)], values)
