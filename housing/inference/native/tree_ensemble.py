"""The trees of a graph as arrays for native.c, with every index checked.

Large trees are walked. Small ones are not: all their splits are compared, for many rows at once,
and each split that a row exceeds rules out the leaves to its left; the first remaining leaf is the
row's.

Source: Lucchese et al., "QuickScorer" (SIGIR 2015) and "Exploiting CPU SIMD extensions to speed up
document scoring with tree ensembles" (SIGIR 2016).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

# native.c's TreeNode: a row whose feature exceeds the split goes to the node behind `left`
NODE_DTYPE = np.dtype([("split", float), ("feature", np.int32), ("left", np.int32)])
# native.c's Bitmask: a split's feature in the high bits, the leaves to its left in the low ones
BITMASK_DTYPE = np.dtype([("split", float), ("word", np.uint64)])
MAX_BITMASK_LEAVES = 48  # a tree with more leaves is walked
MAX_BITMASK_FEATURES = 1 << 64 - MAX_BITMASK_LEAVES


class _EnsembleNodes(NamedTuple):
    """The nodes of an ensemble, splits and leaves together, level by level from all roots."""

    numbers: np.ndarray  # (n,) in the attributes: among the splits, or among the leaves
    is_leaf: np.ndarray  # (n,)
    trees: np.ndarray  # (n,) the tree of each
    first_children: np.ndarray  # (n,) the left child; the right one is next to it; -1 for a leaf
    level_starts: np.ndarray  # (levels + 1,) where each level begins, and where the last one ends
    depths: np.ndarray  # (trees,) the level of each tree's deepest leaf


class TreeTable:
    """All trees of a compiled graph: siblings are adjacent, and a leaf is its own child.

    So a walk needs no branch: left, or the node behind it, as often as the tree is deep.
    """

    def __init__(self) -> None:
        self.nodes = np.zeros(0, NODE_DTYPE)
        self.leaf_values = np.zeros(0)  # the output at each of `nodes` that is a leaf
        self.roots: list[int] = []
        self.depths: list[int] = []
        self.bitmasks = np.zeros(0, BITMASK_DTYPE)  # of the small trees, one after another
        self.small_leaf_values = np.zeros(0)  # their leaves, from left to right
        # where each small tree's bitmasks and leaves begin; and where the last one's end
        self.bitmask_offsets = [0]
        self.small_leaf_offsets = [0]

    def add_trees(self, attributes: dict[str, Any], n_columns: int) -> tuple[str, int, int]:
        """Add the trees of a TreeEnsemble node, in its order.

        Return the opcode of their kind, the first one's number in that kind, and how many they are.
        Raises ValueError unless each of its nodes is reached once and reads one of the columns.
        """
        features, n_trees = attributes["nodes_featureids"], len(attributes["tree_roots"])
        invalid = features[(features < 0) | (features >= n_columns)]
        if len(invalid):
            raise ValueError(f"the trees read feature {invalid[0]}, expected 0 to {n_columns - 1}")
        nodes = _nodes_by_level(attributes)
        leaf_counts, left_counts = _count_leaves(nodes)
        max_leaves = leaf_counts[:n_trees].max()
        if max_leaves <= MAX_BITMASK_LEAVES and n_columns <= MAX_BITMASK_FEATURES:
            self._add_small_trees(attributes, nodes, leaf_counts, left_counts)
            return "SmallTrees", len(self.bitmask_offsets) - 1 - n_trees, n_trees
        self._add_large_trees(attributes, nodes)
        return "TreeEnsemble", len(self.roots) - n_trees, n_trees

    def _add_large_trees(self, attributes: dict[str, Any], nodes: _EnsembleNodes) -> None:
        """Add trees that are walked: a tree's nodes side by side, level by level."""
        size, n_trees = len(nodes.numbers), len(nodes.depths)
        splits, leaves = np.flatnonzero(~nodes.is_leaf), np.flatnonzero(nodes.is_leaf)
        order = np.argsort(nodes.trees, kind="stable")
        positions = np.empty(size, int)  # in the table
        positions[order] = np.arange(len(self.nodes), len(self.nodes) + size)
        rows, leaf_values = np.zeros(size, NODE_DTYPE), np.zeros(size)
        rows["split"], rows["left"] = np.inf, positions
        rows["split"][splits] = attributes["nodes_splits"][nodes.numbers[splits]]
        rows["feature"][splits] = attributes["nodes_featureids"][nodes.numbers[splits]]
        rows["left"][splits] = positions[nodes.first_children[splits]]
        leaf_values[leaves] = attributes["leaf_weights"][nodes.numbers[leaves]]
        self.roots += positions[:n_trees].tolist()
        self.depths += nodes.depths.tolist()
        self.nodes = np.concatenate([self.nodes, rows[order]])
        self.leaf_values = np.concatenate([self.leaf_values, leaf_values[order]])

    def _add_small_trees(
        self,
        attributes: dict[str, Any],
        nodes: _EnsembleNodes,
        leaf_counts: np.ndarray,
        left_counts: np.ndarray,
    ) -> None:
        """Add trees whose splits are all compared. leaf_counts, left_counts: of `_count_leaves`."""
        n_trees = len(nodes.depths)
        splits, leaves = np.flatnonzero(~nodes.is_leaf), np.flatnonzero(nodes.is_leaf)
        features = attributes["nodes_featureids"][nodes.numbers[splits]].astype(np.uint64)
        n_ruled_out = leaf_counts[nodes.first_children[splits]].astype(np.uint64)
        ones = (np.uint64(1) << n_ruled_out) - np.uint64(1)
        leaf_bits = ones << left_counts[splits].astype(np.uint64)
        bitmasks = np.zeros(len(splits), BITMASK_DTYPE)
        bitmasks["split"] = attributes["nodes_splits"][nodes.numbers[splits]]
        bitmasks["word"] = leaf_bits | features << np.uint64(MAX_BITMASK_LEAVES)
        order = np.argsort(nodes.trees[splits], kind="stable")
        bitmask_ends = np.cumsum(np.bincount(nodes.trees[splits], minlength=n_trees))

        tree_leaf_counts = leaf_counts[:n_trees]
        leaf_ends = np.cumsum(tree_leaf_counts)
        leaf_starts = leaf_ends - tree_leaf_counts
        leaf_values = np.zeros(tree_leaf_counts.sum())
        positions = leaf_starts[nodes.trees[leaves]] + left_counts[leaves]
        leaf_values[positions] = attributes["leaf_weights"][nodes.numbers[leaves]]

        self.bitmask_offsets += (self.bitmask_offsets[-1] + bitmask_ends).tolist()
        self.small_leaf_offsets += (self.small_leaf_offsets[-1] + leaf_ends).tolist()
        self.bitmasks = np.concatenate([self.bitmasks, bitmasks[order]])
        self.small_leaf_values = np.concatenate([self.small_leaf_values, leaf_values])


def _nodes_by_level(attributes: dict[str, Any]) -> _EnsembleNodes:
    """Return a TreeEnsemble's nodes in the order of levels.

    Raises ValueError for a node that is reached twice or does not exist.
    """
    children, children_are_leaves = (
        np.stack([attributes[f"nodes_{side}{kind}s"] for side in ("true", "false")], 1)
        for kind in ("nodeid", "leaf")
    )
    n_splits, n_leaves = len(attributes["nodes_splits"]), len(attributes["leaf_weights"])
    numbers = attributes["tree_roots"]
    n_trees = len(numbers)
    is_leaf, trees = np.zeros(n_trees, bool), np.arange(n_trees)
    depths = np.zeros(n_trees, int)
    levels: list[tuple[np.ndarray, ...]] = []
    size, n_splits_reached = 0, 0
    while len(numbers):
        _check_node_numbers(numbers, np.where(is_leaf, n_leaves, n_splits))
        splits = np.flatnonzero(~is_leaf)
        n_splits_reached += len(splits)
        if n_splits_reached > n_splits:
            raise ValueError("a node of the trees is reached twice")
        depths[trees] = len(levels)
        size += len(numbers)
        first_children = np.full(len(numbers), -1)
        first_children[splits] = size + 2 * np.arange(len(splits))
        levels.append((numbers, is_leaf, trees, first_children))
        trees, numbers, is_leaf = (
            np.repeat(trees[splits], 2),
            children[numbers[splits]].ravel(),
            children_are_leaves[numbers[splits]].ravel().astype(bool),
        )
    level_starts = np.cumsum([0, *(len(level[0]) for level in levels)])
    columns = (np.concatenate(column) for column in zip(*levels, strict=True))
    numbers, is_leaf, trees, first_children = columns
    return _EnsembleNodes(numbers, is_leaf, trees, first_children, level_starts, depths)


def _check_node_numbers(node_numbers: np.ndarray, limits: np.ndarray) -> None:
    """Raise ValueError for a number that is negative or not below its limit."""
    invalid = np.flatnonzero((node_numbers < 0) | (node_numbers >= limits))
    if len(invalid):
        number, limit = node_numbers[invalid[0]], limits[invalid[0]]
        raise ValueError(f"the trees lead to node {number}, expected 0 to {limit - 1}")


def _count_leaves(nodes: _EnsembleNodes) -> tuple[np.ndarray, np.ndarray]:
    """Return for each node how many leaves are under it, and how many are to the left of those."""
    leaf_counts = np.ones(len(nodes.numbers), int)
    left_counts = np.zeros(len(nodes.numbers), int)
    starts, ends = nodes.level_starts[:-1], nodes.level_starts[1:]
    splits_by_level = [
        start + np.flatnonzero(~nodes.is_leaf[start:end])
        for start, end in zip(starts, ends, strict=True)
    ]
    for splits in reversed(splits_by_level):
        left_children = nodes.first_children[splits]
        leaf_counts[splits] = leaf_counts[left_children] + leaf_counts[left_children + 1]
    for splits in splits_by_level:
        left_children = nodes.first_children[splits]
        left_counts[left_children] = left_counts[splits]
        left_counts[left_children + 1] = left_counts[splits] + leaf_counts[left_children]
    return leaf_counts, left_counts
