"""The trees of a graph as native.c walks them, each of their indexes checked."""

from typing import Any

import numpy as np

NODE = np.dtype([("split", float), ("feature", np.int32), ("left", np.int32)])


class Forest:
    """All trees of a program: siblings stand side by side, and a leaf is its own child.

    So a walk needs no branch: left, or the one behind it, as often as the tree is deep.
    """

    def __init__(self) -> None:
        self.nodes = np.zeros(0, NODE)
        self.leaves = np.zeros(0)  # the answer at each node that is a leaf
        self.roots: list[int] = []
        self.depths: list[int] = []

    def plant(self, told: dict[str, Any], columns: int) -> None:
        """Adds the trees of a TreeEnsemble node, in its order.

        Raises ValueError unless each of its nodes is reached once and asks one of the columns.
        """
        splits, features, weights = (
            told[one] for one in ("nodes_splits", "nodes_featureids", "leaf_weights")
        )
        wrong = features[(features < 0) | (features >= columns)]
        if len(wrong):
            raise ValueError(f"the trees ask feature {wrong[0]}, expected 0 to {columns - 1}")
        below = {what: np.stack([told[f"nodes_{side}{what}s"] for side in ("true", "false")], 1)
                 for what in ("nodeid", "leaf")}  # fmt: skip
        roots = told["tree_roots"]
        number, is_leaf, tree = roots, np.zeros(len(roots), bool), np.arange(len(roots))
        depths, levels, size = np.zeros(len(roots), int), [], 0
        left = len(splits)  # nodes not reached yet
        while len(number):
            self._check(number, np.where(is_leaf, len(weights), len(splits)))
            asks = np.flatnonzero(~is_leaf)
            left -= len(asks)
            if left < 0:
                raise ValueError("a node of the trees is reached twice")
            depths[tree] = len(levels)
            first = np.full(len(number), -1)  # of the children, in the order of levels
            size += len(number)
            first[asks] = size + 2 * np.arange(len(asks))
            levels.append((number, is_leaf, tree, first))
            tree, number, is_leaf = (
                np.repeat(tree[asks], 2),
                below["nodeid"][number[asks]].ravel(),
                below["leaf"][number[asks]].ravel().astype(bool),
            )
        number, is_leaf, tree, first = (np.concatenate(one) for one in zip(*levels, strict=True))
        order = np.argsort(tree, kind="stable")  # a tree's nodes side by side, level by level
        at = np.empty(size, int)  # where in the forest each one goes
        at[order] = np.arange(len(self.nodes), len(self.nodes) + size)
        nodes, leaves = np.zeros(size, NODE), np.zeros(size)
        inner, ends = np.flatnonzero(~is_leaf), np.flatnonzero(is_leaf)
        nodes["split"], nodes["left"] = np.inf, at
        nodes["split"][inner] = splits[number[inner]]
        nodes["feature"][inner] = features[number[inner]]
        nodes["left"][inner] = at[first[inner]]
        leaves[ends] = weights[number[ends]]
        self.roots += at[: len(roots)].tolist()
        self.depths += depths.tolist()
        self.nodes = np.concatenate([self.nodes, nodes[order]])
        self.leaves = np.concatenate([self.leaves, leaves[order]])

    def _check(self, number: np.ndarray, end: np.ndarray) -> None:
        wrong = np.flatnonzero((number < 0) | (number >= end))
        if len(wrong):
            said = f"{number[wrong[0]]}, expected 0 to {end[wrong[0]] - 1}"
            raise ValueError(f"the trees lead to {said}")
