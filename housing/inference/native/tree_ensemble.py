"""The trees of a graph as native.c has them, each of their indexes checked.

Large trees are walked. Small ones are not: all their splits are compared, for many rows at once,
and each that is exceeded strikes out the leaves to its left; the first that is left is the row's.

Source: Lucchese et al., "QuickScorer" (SIGIR 2015) and "Exploiting CPU SIMD extensions to speed up
document scoring with tree ensembles" (SIGIR 2016).
"""

from typing import Any

import numpy as np

NODE_DTYPE = np.dtype([("split", float), ("feature", np.int32), ("left", np.int32)])
BITMASK_DTYPE = np.dtype(
    [("split", float), ("word", np.uint64)]
)  # the leaves to its left; above, a feature
MAX_BITMASK_LEAVES = 48  # leaves of a tree that need not be walked
MAX_BITMASK_FEATURES = 1 << 64 - MAX_BITMASK_LEAVES  # that its splits may ask about


class TreeTable:
    """All trees of a program: siblings stand side by side, and a leaf is its own child.

    So a walk needs no branch: left, or the one behind it, as often as the tree is deep.
    """

    def __init__(self) -> None:
        self.nodes = np.zeros(0, NODE_DTYPE)
        self.leaf_values = np.zeros(0)  # the answer at each node that is a leaf
        self.roots: list[int] = []
        self.depths: list[int] = []
        self.bitmasks = np.zeros(0, BITMASK_DTYPE)  # of the small trees, one after another
        self.small_leaf_values = np.zeros(0)  # their leaves, from left to right
        self.bitmask_offsets, self.small_leaf_offsets = (
            [0],
            [0],
        )  # where each one's begin, and where all end

    def add_trees(self, attributes: dict[str, Any], n_columns: int) -> tuple[bool, int, int]:
        """Adds the trees of a TreeEnsemble node, in its order. Whether they are small, the first
        one's place among such trees, and how many.

        Raises ValueError unless each of its nodes is reached once and asks one of the columns.
        """
        splits, features, weights = (
            attributes[one] for one in ("nodes_splits", "nodes_featureids", "leaf_weights")
        )
        wrong = features[(features < 0) | (features >= n_columns)]
        if len(wrong):
            raise ValueError(f"the trees ask feature {wrong[0]}, expected 0 to {n_columns - 1}")
        below = {what: np.stack([attributes[f"nodes_{side}{what}s"] for side in ("true", "false")], 1)
                 for what in ("nodeid", "leaf")}  # fmt: skip
        roots = attributes["tree_roots"]
        number, is_leaf, tree = roots, np.zeros(len(roots), bool), np.arange(len(roots))
        depths, levels, size = np.zeros(len(roots), int), [], 0
        left = len(splits)  # nodes not reached yet
        while len(number):
            self._check_node_numbers(number, np.where(is_leaf, len(weights), len(splits)))
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
        under, before = _count_leaves(levels, size)
        number, is_leaf, tree, first = (np.concatenate(one) for one in zip(*levels, strict=True))
        inner, ends = np.flatnonzero(~is_leaf), np.flatnonzero(is_leaf)
        asked, answers = (splits[number[inner]], features[number[inner]]), weights[number[ends]]
        if (
            len(roots)
            and under[: len(roots)].max() <= MAX_BITMASK_LEAVES
            and n_columns <= MAX_BITMASK_FEATURES
        ):
            left = under[first[inner]], before[inner]
            return self._add_small_trees(under[: len(roots)], tree[inner], asked, left,
                              (tree[ends], before[ends], answers))  # fmt: skip
        order = np.argsort(tree, kind="stable")  # a tree's nodes side by side, level by level
        at = np.empty(size, int)  # where in the forest each one goes
        at[order] = np.arange(len(self.nodes), len(self.nodes) + size)
        nodes, leaves = np.zeros(size, NODE_DTYPE), np.zeros(size)
        nodes["split"], nodes["left"] = np.inf, at
        nodes["split"][inner], nodes["feature"][inner] = asked
        nodes["left"][inner] = at[first[inner]]
        leaves[ends] = answers
        self.roots += at[: len(roots)].tolist()
        self.depths += depths.tolist()
        self.nodes = np.concatenate([self.nodes, nodes[order]])
        self.leaf_values = np.concatenate([self.leaf_values, leaves[order]])
        return False, len(self.roots) - len(roots), len(roots)

    def _add_small_trees(
        self,
        leaf_counts: np.ndarray,
        tree_numbers: np.ndarray,
        splits: tuple[np.ndarray, np.ndarray],
        left_leaf_counts: tuple[np.ndarray, np.ndarray],
        leaves: tuple[np.ndarray, np.ndarray, np.ndarray],
    ) -> tuple[bool, int, int]:
        """Adds small trees.

        counts: of each one's leaves. tree, asked, left: of each split its tree, its value and
        feature, how many leaves are to its left and how many before those. leaves: of each its
        tree, its place there from the left, and its answer.
        """
        split, feature = splits
        struck, before = (one.astype(np.uint64) for one in left_leaf_counts)
        word = ((np.uint64(1) << struck) - np.uint64(1)) << before
        marks = np.zeros(len(tree_numbers), BITMASK_DTYPE)
        marks["split"], marks["word"] = (
            split,
            word | feature.astype(np.uint64) << np.uint64(MAX_BITMASK_LEAVES),
        )
        start = self.small_leaf_offsets[-1] + np.cumsum(leaf_counts) - leaf_counts
        values = np.zeros(leaf_counts.sum())
        of, place, answer = leaves
        values[start[of] - self.small_leaf_offsets[-1] + place] = answer
        self.bitmask_offsets += (
            self.bitmask_offsets[-1]
            + np.cumsum(np.bincount(tree_numbers, minlength=len(leaf_counts)))
        ).tolist()
        self.small_leaf_offsets += (start + leaf_counts).tolist()
        self.bitmasks = np.concatenate(
            [self.bitmasks, marks[np.argsort(tree_numbers, kind="stable")]]
        )
        self.small_leaf_values = np.concatenate([self.small_leaf_values, values])
        return True, len(self.bitmask_offsets) - 1 - len(leaf_counts), len(leaf_counts)

    def _check_node_numbers(self, node_numbers: np.ndarray, limits: np.ndarray) -> None:
        wrong = np.flatnonzero((node_numbers < 0) | (node_numbers >= limits))
        if len(wrong):
            said = f"{node_numbers[wrong[0]]}, expected 0 to {limits[wrong[0]] - 1}"
            raise ValueError(f"the trees lead to {said}")


def _count_leaves(
    levels: list[tuple[np.ndarray, ...]], n_nodes: int
) -> tuple[np.ndarray, np.ndarray]:
    """For each node, level by level, how many leaves are under it and how many before those."""
    under, before = np.ones(n_nodes, int), np.zeros(n_nodes, int)
    starts = np.cumsum([0, *(len(number) for number, *_ in levels)])
    for start, (*_, first) in reversed(list(zip(starts, levels, strict=False))):
        inner = np.flatnonzero(first >= 0)
        under[start + inner] = under[first[inner]] + under[first[inner] + 1]
    for start, (*_, first) in zip(starts, levels, strict=False):
        inner = np.flatnonzero(first >= 0)
        before[first[inner]] = before[start + inner]
        before[first[inner] + 1] = before[start + inner] + under[first[inner]]
    return under, before
