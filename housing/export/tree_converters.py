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

from housing.export.graph_builder import GraphBuilder, TreeNode, add_tree_ensemble

if TYPE_CHECKING:
    from lightgbm import LGBMRegressor


def add_decision_tree(
    estimator: DecisionTreeRegressor, builder: GraphBuilder, input_name: str
) -> str:
    """Add one tree, on rows rounded to float32, as scikit-learn's trees do; return its output."""
    rounded = round_to_float32(builder, input_name)
    return add_tree_ensemble([_tree_nodes(estimator)], builder, rounded)


def add_extra_trees(estimator: ExtraTreesRegressor, builder: GraphBuilder, input_name: str) -> str:
    """Add the mean of some trees; return its output's name."""
    trees = [_tree_nodes(tree) for tree in estimator.estimators_]
    total = add_tree_ensemble(trees, builder, round_to_float32(builder, input_name))
    return builder.add_node("Div", total, np.array(float(len(trees))))


def add_hist_gradient_boosting(
    estimator: HistGradientBoostingRegressor, builder: GraphBuilder, input_name: str
) -> str:
    """Add scikit-learn's boosting; return its output's name.

    The baseline is the first tree's only leaf: sums then run in scikit-learn's order.
    """
    baseline = [TreeNode(True, value=float(estimator._baseline_prediction.item()))]
    fields = ["is_leaf", "feature_idx", "num_threshold", "left", "right", "value"]
    trees = [
        [TreeNode(*node) for node in predictor.nodes[fields].tolist()]
        for [predictor] in estimator._predictors
    ]
    return add_tree_ensemble([baseline, *trees], builder, input_name)


def add_lightgbm(estimator: LGBMRegressor, builder: GraphBuilder, input_name: str) -> str:
    """Add LightGBM's boosting; return its output's name."""
    trees = estimator.booster_.dump_model()["tree_info"]
    nodes = [_flatten_tree(tree["tree_structure"]) for tree in trees]
    return add_tree_ensemble(nodes, builder, input_name)


def round_to_float32(builder: GraphBuilder, input_name: str) -> str:
    """Add the nodes that round a tensor to single precision; return the output's name."""
    return builder.cast(builder.cast(input_name, TensorProto.FLOAT), TensorProto.DOUBLE)


def _tree_nodes(estimator: DecisionTreeRegressor) -> list[TreeNode]:
    tree = estimator.tree_
    columns = zip(
        tree.children_left == -1,
        tree.feature,
        tree.threshold,
        tree.children_left,
        tree.children_right,
        tree.value.ravel(),
        strict=True,
    )
    return [TreeNode(*fields) for fields in columns]


def _flatten_tree(root: dict[str, Any]) -> list[TreeNode]:
    """Return LightGBM's nested nodes as a list, each before its children."""
    nodes: list[TreeNode] = []

    def append_subtree(node: dict[str, Any]) -> int:
        position = len(nodes)
        nodes.append(TreeNode(True, value=node.get("leaf_value", 0.0)))
        if "split_feature" in node:
            left, right = append_subtree(node["left_child"]), append_subtree(node["right_child"])
            nodes[position] = TreeNode(False, node["split_feature"], node["threshold"], left, right)
        return position

    append_subtree(root)
    return nodes
