"""Fitted trees of scikit-learn as an Ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.onnx_graph import Array
from mlpack_edge.converters.trees.ensemble import LEQ, MEMBER, Ensemble

#: An object of an untyped library (scikit-learn ships no type hints).
Estimator = Any


def ensemble_from_trees(
    trees: Sequence[Any],
    values: Sequence[Array],
    n_targets: int,
    targets: NDArray[np.int64] | None = None,
    base: NDArray[np.float64] | None = None,
    columns: Sequence[Array] | None = None,
) -> Ensemble:
    """The `tree_` objects of scikit-learn 1.3 or newer: x as float32 `<=` a float64 threshold goes left, NaN by node.

    values: for each tree [nodes, n_targets], or [nodes, 1] where a tree adds to one target, `targets[tree]`.
    columns: for each tree the columns of the input it was fitted on, where not all of them in order.
    Source: sklearn/tree/_tree.pyx, `_apply_dense`.
    """
    starts = np.cumsum([0] + [tree.node_count for tree in trees[:-1]]).astype(np.int64)
    nodes = [tree.__getstate__()["nodes"] for tree in trees]
    leaf = np.concatenate([part["left_child"] < 0 for part in nodes])
    features = [part["feature"].astype(np.int64) for part in nodes]
    if columns is not None:
        features = [np.asarray(kept)[np.maximum(part, 0)] for part, kept in zip(features, columns, strict=True)]
    return Ensemble(
        dtype="float32",
        roots=starts,
        feature=np.where(leaf, -1, np.concatenate(features)),
        mode=np.full(len(leaf), LEQ, np.uint8),
        threshold=np.where(leaf, 0.0, np.concatenate([part["threshold"] for part in nodes])),
        true_child=_children([part["left_child"] for part in nodes], starts, leaf),
        false_child=_children([part["right_child"] for part in nodes], starts, leaf),
        missing_true=np.concatenate([part["missing_go_to_left"] for part in nodes]).astype(np.bool_) & ~leaf,
        values=np.concatenate([np.asarray(part, np.float64) for part in values]),
        targets=np.zeros(len(trees), np.int64) if targets is None else targets,
        n_targets=n_targets,
        base=np.zeros(n_targets) if base is None else base,
    )


def ensemble_from_hist(predictors: Sequence[Sequence[Any]], base: NDArray[np.float64]) -> Ensemble:
    """The `_predictors` of histogram gradient boosting, on columns as its own preprocessor leaves them.

    x in float64 `<=` a float64 threshold, or the code of a category within the node's set, goes left; NaN goes by node.
    The preprocessor gives NaN for categories it does not know, so that no other code arises.
    Source: sklearn/ensemble/_hist_gradient_boosting/_predictor.pyx, `_predict_one_from_raw_data`.
    """
    trees = [tree for stage in predictors for tree in stage]
    nodes = [tree.nodes for tree in trees]
    starts = np.cumsum([0] + [len(part) for part in nodes[:-1]]).astype(np.int64)
    table = np.concatenate(nodes)
    leaf = table["is_leaf"].astype(np.bool_)
    is_set = table["is_categorical"].astype(np.bool_) & ~leaf
    members: dict[int, tuple[int, ...]] = {}
    for tree, part, start in zip(trees, nodes, starts.tolist(), strict=True):
        for place in np.flatnonzero(is_set[start : start + len(part)]).tolist():
            members[start + place] = _members(tree.raw_left_cat_bitsets[part["bitset_idx"][place]])
    return Ensemble(
        dtype="float64",
        roots=starts,
        feature=np.where(leaf, -1, table["feature_idx"].astype(np.int64)),
        mode=np.where(is_set, MEMBER, LEQ).astype(np.uint8),
        threshold=np.where(leaf | is_set, 0.0, table["num_threshold"]),
        true_child=_children([part["left"] for part in nodes], starts, leaf),
        false_child=_children([part["right"] for part in nodes], starts, leaf),
        missing_true=table["missing_go_to_left"].astype(np.bool_) & ~leaf,
        values=table["value"].astype(np.float64)[:, None],
        targets=np.tile(np.arange(len(base), dtype=np.int64), len(predictors)),
        n_targets=len(base),
        base=base,
        members=members,
    )


def _children(parts: Sequence[Array], starts: NDArray[np.int64], leaf: NDArray[np.bool_]) -> NDArray[np.int64]:
    moved = [part.astype(np.int64) + start for part, start in zip(parts, starts, strict=True)]
    return np.where(leaf, 0, np.concatenate(moved))


def _members(bitset: Array) -> tuple[int, ...]:
    """The categories in a bitset of 8 times uint32."""
    bits = np.unpackbits(np.ascontiguousarray(bitset, "<u4").view(np.uint8), bitorder="little")
    return tuple(np.flatnonzero(bits).tolist())
