"""The trees of a graph as native.c walks them, each of their indexes checked."""

from typing import Any

import numpy as np

NODE = np.dtype([("split", float), ("feature", np.int32), ("left", np.int32)])


class Forest:
    """All trees of a program: siblings stand side by side, and a leaf is its own child.

    So a walk needs no branch: left, or the one behind it, as often as the tree is deep.
    """

    def __init__(self) -> None:
        self.nodes: list[tuple[float, int, int]] = []  # split, feature, left
        self.leaves: list[float] = []  # the answer at each node that is a leaf
        self.roots: list[int] = []
        self.depths: list[int] = []

    def plant(self, told: dict[str, Any], columns: int) -> None:
        """Adds the trees of a TreeEnsemble node, in its order.

        Raises ValueError unless each of its nodes is reached once and asks one of the columns.
        """
        splits, features = told["nodes_splits"].tolist(), told["nodes_featureids"].tolist()
        weights = told["leaf_weights"].tolist()
        wrong = [one for one in features if not 0 <= one < columns]
        if wrong:
            raise ValueError(f"the trees ask feature {wrong[0]}, expected 0 to {columns - 1}")
        children = [
            list(
                zip(
                    told[f"nodes_{side}nodeids"].tolist(),
                    told[f"nodes_{side}leafs"].tolist(),
                    strict=True,
                )
            )
            for side in ("true", "false")
        ]
        left = len(splits)  # nodes not reached yet
        for root in told["tree_roots"].tolist():
            self.roots.append(self._room(1))
            level, depth = [(root, 0, self.roots[-1])], -1
            while level:
                depth, below = depth + 1, []
                for number, is_leaf, at in level:
                    end = len(weights) if is_leaf else len(splits)
                    if not 0 <= number < end:
                        raise ValueError(f"the trees lead to {number}, expected 0 to {end - 1}")
                    if is_leaf:
                        self.nodes[at], self.leaves[at] = (np.inf, 0, at), weights[number]
                        continue
                    left -= 1
                    if left < 0:
                        raise ValueError("a node of the trees is reached twice")
                    first = self._room(2)
                    self.nodes[at] = splits[number], features[number], first
                    below += [(*children[0][number], first), (*children[1][number], first + 1)]
                level = below
            self.depths.append(depth)

    def _room(self, count: int) -> int:
        start = len(self.nodes)
        self.nodes += [(np.inf, 0, start)] * count
        self.leaves += [0.0] * count
        return start
