"""Convert fitted trees to nodes of an ONNX graph.

scikit-learn's single trees and forests round rows to single precision first; its boosted trees and
LightGBM's do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.tree import DecisionTreeRegressor

from housing.export.graph_builder import TREE_NODE_DTYPE, Tensor, add_tree_ensemble

if TYPE_CHECKING:
    from lightgbm import LGBMRegressor


def add_decision_tree(estimator: DecisionTreeRegressor, rows: Tensor) -> Tensor:
    """Add one tree, on rows rounded to float32, as scikit-learn's trees do; return its output."""
    return add_tree_ensemble([_tree_nodes(estimator)], round_to_float32(rows))


def add_extra_trees(estimator: ExtraTreesRegressor, rows: Tensor) -> Tensor:
    """Add the mean of some trees; return its output."""
    trees = [_tree_nodes(tree) for tree in estimator.estimators_]
    return add_tree_ensemble(trees, round_to_float32(rows)) / float(len(trees))


def add_hist_gradient_boosting(estimator: HistGradientBoostingRegressor, rows: Tensor) -> Tensor:
    """Add scikit-learn's boosting; return its output.

    The baseline is the first tree's only leaf: sums then run in scikit-learn's order.
    """
    baseline = np.zeros(1, TREE_NODE_DTYPE)
    baseline["is_leaf"], baseline["value"] = True, estimator._baseline_prediction.item()
    fields = ["is_leaf", "feature_idx", "num_threshold", "left", "right", "value"]
    trees = [
        predictor.nodes[fields].astype(TREE_NODE_DTYPE) for [predictor] in estimator._predictors
    ]
    return add_tree_ensemble([baseline, *trees], rows)


def add_lightgbm(estimator: LGBMRegressor, rows: Tensor) -> Tensor:
    """Add LightGBM's boosting; return its output."""
    trees = estimator.booster_.dump_model()["tree_info"]
    return add_tree_ensemble([_flatten_tree(tree["tree_structure"]) for tree in trees], rows)


def round_to_float32(tensor: Tensor) -> Tensor:
    """Add the nodes that round a tensor to single precision; return their output."""
    return tensor.apply("Cast", to=TensorProto.FLOAT).apply("Cast", to=TensorProto.DOUBLE)


def _tree_nodes(estimator: DecisionTreeRegressor) -> np.ndarray:
    tree = estimator.tree_
    nodes = np.empty(tree.node_count, TREE_NODE_DTYPE)
    nodes["is_leaf"], nodes["value"] = tree.children_left == -1, tree.value.ravel()
    nodes["feature"], nodes["threshold"] = tree.feature, tree.threshold
    nodes["left"], nodes["right"] = tree.children_left, tree.children_right
    return nodes


def _flatten_tree(root: dict[str, Any]) -> np.ndarray:
    """Return LightGBM's nested nodes as an array, each before its children."""
    nodes: list[tuple] = []

    def append_subtree(node: dict[str, Any]) -> int:
        position = len(nodes)
        nodes.append((True, 0, 0.0, 0, 0, node.get("leaf_value", 0.0)))
        if "split_feature" in node:
            left, right = append_subtree(node["left_child"]), append_subtree(node["right_child"])
            nodes[position] = False, node["split_feature"], node["threshold"], left, right, 0.0
        return position

    append_subtree(root)
    return np.array(nodes, TREE_NODE_DTYPE)
