"""An ensemble as the attributes of TreeEnsemble (ai.onnx.ml 5).

Source: the operator's page in the ONNX reference and ONNX Runtime's kernel (tree_ensemble_attribute.h,
tree_ensemble_common.h), which rebuilds the nodes depth first, so that their order in the file does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mlpack_edge.converters.onnx_graph import ML, Array, Graph, Value
from mlpack_edge.converters.trees.ensemble import LEQ, LT, MEMBER, Ensemble

#: The operator's numbers for the modes of an ensemble (BRANCH_LEQ, BRANCH_LT, BRANCH_MEMBER).
_MODE = np.zeros(3, np.uint8)
_MODE[[LEQ, LT, MEMBER]] = 0, 1, 6
_SUM, _NONE = 1, 0
MOST_GROUPS = 12


@dataclass(frozen=True, slots=True)
class Shape:
    """tree: int64 [nodes], the tree a node belongs to (-1: unreached). depth: int64 [nodes], 0 at a root."""

    tree: NDArray[np.int64]
    depth: NDArray[np.int64]


def shape_of(ensemble: Ensemble) -> Shape:
    """Where each node hangs, found from the roots, a level of all trees at a time."""
    tree = np.full(len(ensemble.feature), -1, np.int64)
    depth = np.zeros(len(ensemble.feature), np.int64)
    tree[ensemble.roots] = np.arange(len(ensemble.roots))
    at, level = ensemble.roots, 0
    while at.size:
        at, level = at[ensemble.feature[at] >= 0], level + 1
        children = np.concatenate([ensemble.true_child[at], ensemble.false_child[at]])
        tree[children] = np.concatenate([tree[at], tree[at]])
        depth[children] = level
        at = children
    return Shape(tree, depth)


def in_groups(ensemble: Ensemble, shape: Shape, nodes: int) -> Iterator[tuple[Ensemble, NDArray[np.int64]]]:
    """The ensemble in groups of neighbouring trees of about so many nodes, and the tree in its group of each node.

    There are at most MOST_GROUPS or so: every group costs a microsecond a call.
    """
    sizes = np.bincount(shape.tree[shape.tree >= 0], minlength=len(ensemble.roots))
    group = np.floor_divide(np.cumsum(sizes) - sizes, max(nodes, int(sizes.sum()) // MOST_GROUPS))
    if group[-1] == 0 and (shape.tree >= 0).all():
        yield ensemble, shape.tree
        return
    place = np.empty(len(ensemble.feature), np.int64)
    for number in np.unique(group):
        trees = np.flatnonzero(group == number)
        kept = np.flatnonzero((shape.tree >= trees[0]) & (shape.tree <= trees[-1]))
        place[kept] = np.arange(len(kept))
        leaf = ensemble.feature[kept] < 0
        part = replace(
            ensemble,
            roots=place[ensemble.roots[trees]],
            feature=ensemble.feature[kept],
            mode=ensemble.mode[kept],
            threshold=ensemble.threshold[kept],
            true_child=np.where(leaf, 0, place[np.where(leaf, kept, ensemble.true_child[kept])]),
            false_child=np.where(leaf, 0, place[np.where(leaf, kept, ensemble.false_child[kept])]),
            missing_true=ensemble.missing_true[kept],
            values=ensemble.values[kept],
            targets=ensemble.targets[trees],
            members={int(place[node]): found for node, found in ensemble.members.items() if shape.tree[node] in trees},
        )
        yield part, shape.tree[kept] - trees[0]


@dataclass(frozen=True, slots=True)
class NodeTable:
    """The attributes in numpy, thresholds and weights still in float64."""

    roots: NDArray[np.int64]
    feature: NDArray[np.int64]
    mode: NDArray[np.uint8]
    threshold: NDArray[np.float64]
    true_child: NDArray[np.int64]
    false_child: NDArray[np.int64]
    true_leaf: NDArray[np.bool_]
    false_leaf: NDArray[np.bool_]
    missing_true: NDArray[np.bool_]
    members: list[tuple[int, ...]]
    weights: NDArray[np.float64]
    targets: NDArray[np.int64]
    n_targets: int


def node_table(
    ensemble: Ensemble, weights: NDArray[np.float64], targets: NDArray[np.int64], base: NDArray[np.float64]
) -> NodeTable:
    """The table of an ensemble whose leaves add `weights` to `targets` (both [leaves], in the order of the nodes).

    A base that is not zero becomes trees of a single leaf in front, because that is when the libraries add it.
    """
    leaf = ensemble.is_leaf
    inner = ~leaf
    place = np.where(leaf, np.cumsum(leaf), np.cumsum(inner)) - 1
    nodes = np.flatnonzero(inner)
    true, false = ensemble.true_child[nodes], ensemble.false_child[nodes]
    # The operator knows leaves only as children: a root that is a leaf becomes a node with both children the same.
    starts = np.flatnonzero(base) if base.any() else np.empty(0, np.int64)
    bare = np.flatnonzero(leaf[ensemble.roots])
    stubs = np.concatenate([len(weights) + np.arange(len(starts)), place[ensemble.roots[bare]]])
    stub_at = len(nodes) + np.arange(len(stubs))
    roots = place[ensemble.roots]
    roots[bare] = stub_at[len(starts) :]
    spare = np.zeros(len(stubs), np.int64)
    yes = np.ones(len(stubs), np.bool_)
    return NodeTable(
        roots=np.concatenate([stub_at[: len(starts)], roots]),
        feature=np.concatenate([ensemble.feature[nodes], spare]),
        mode=np.concatenate([ensemble.mode[nodes], np.full(len(stubs), LEQ, np.uint8)]),
        threshold=np.concatenate([ensemble.threshold[nodes], spare]),
        true_child=np.concatenate([place[true], stubs]),
        false_child=np.concatenate([place[false], stubs]),
        true_leaf=np.concatenate([leaf[true], yes]),
        false_leaf=np.concatenate([leaf[false], yes]),
        missing_true=np.concatenate([ensemble.missing_true[nodes], ~yes]),
        members=_members(ensemble, nodes),
        weights=np.concatenate([weights, base[starts]]),
        targets=np.concatenate([targets, starts]),
        n_targets=len(base),
    )


def _members(ensemble: Ensemble, nodes: NDArray[np.int64]) -> list[tuple[int, ...]]:
    return [ensemble.members[int(node)] for node in nodes[ensemble.mode[nodes] == MEMBER]]


def rounded(threshold: NDArray[np.float64], mode: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Thresholds in float32 that send every float32 where the float64 ones send it.

    `x <= t` is `x <= ` the largest float32 not above t, `x < t` is `x < ` the smallest float32 not below t.
    """
    with np.errstate(over="ignore"):
        near = threshold.astype(np.float32)
        down = np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)
        up = np.where(near < threshold, np.nextafter(near, np.float32(np.inf)), near)
    return np.where(mode == LT, up, down).astype(np.float32)


def tree_ensemble(graph: Graph, table: NodeTable, rows: Value) -> Value:
    """Add the operator in the dtype of `rows`; gives `[batch, n_targets]` in that dtype."""
    single = rows.dtype == "float32"
    name = graph.fresh("TreeEnsemble")
    node = onnx.NodeProto(op_type="TreeEnsemble", name=name, domain=ML, input=[rows.name], output=[name])
    splits: Array = rounded(table.threshold, table.mode) if single else table.threshold
    dtype = np.float32 if single else np.float64
    _ints(node, "tree_roots", table.roots)
    _ints(node, "nodes_featureids", table.feature)
    _ints(node, "nodes_truenodeids", table.true_child)
    _ints(node, "nodes_falsenodeids", table.false_child)
    _ints(node, "nodes_trueleafs", table.true_leaf.astype(np.int64))
    _ints(node, "nodes_falseleafs", table.false_leaf.astype(np.int64))
    if table.missing_true.any():
        _ints(node, "nodes_missing_value_tracks_true", table.missing_true.astype(np.int64))
    _ints(node, "leaf_targetids", table.targets)
    _tensor(node, "nodes_splits", splits)
    _tensor(node, "nodes_modes", _MODE[table.mode])
    _tensor(node, "leaf_weights", table.weights.astype(dtype))
    if table.members:
        _tensor(node, "membership_values", _sets(table, dtype))
    for key, number in (("n_targets", table.n_targets), ("aggregate_function", _SUM), ("post_transform", _NONE)):
        node.attribute.append(helper.make_attribute(key, number))
    graph.nodes.append(node)
    return Value(name, rows.dtype, table.n_targets)


def _sets(table: NodeTable, dtype: type[np.floating[Any]]) -> Array:
    """The category sets one after the other in the order of their nodes, each closed by NaN."""
    numbers: list[float] = []
    for members in table.members:
        numbers.extend((*members, np.nan))
    return np.array(numbers, dtype)


def _ints(node: onnx.NodeProto, name: str, array: NDArray[np.int64]) -> None:
    attribute = node.attribute.add()  # helper.make_attribute looks at every element in Python
    attribute.name, attribute.type = name, onnx.AttributeProto.INTS
    attribute.ints.extend(array.tolist())


def _tensor(node: onnx.NodeProto, name: str, array: Array) -> None:
    attribute = node.attribute.add()
    attribute.name, attribute.type = name, onnx.AttributeProto.TENSOR
    attribute.t.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array)))
