"""The tree operators of ai.onnx.ml as a Forest: TreeEnsemble (5), TreeEnsembleClassifier and -Regressor (1, 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mlpack_edge.converters.tflite_from_onnx.forests.forest import LEQ, MEMBER, SUM, Forest

Array = NDArray[Any]
#: What is wrong with a tree operator; the caller names the node.
Refuse = Callable[[str], Exception]

_MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")
_AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")


class _Attributes:
    def __init__(self, node: onnx.NodeProto) -> None:
        self._all = {attribute.name: attribute for attribute in node.attribute}

    def __contains__(self, name: str) -> bool:
        return name in self._all

    def array(self, name: str, dtype: Any, size: int | None = None, fill: float = 0) -> Array:
        """Numbers of a list or a tensor; `fill` where the attribute is left out."""
        found = self._all.get(name)
        if found is None:
            return np.full(size or 0, fill, dtype)
        if found.type == onnx.AttributeProto.TENSOR:
            return np.asarray(numpy_helper.to_array(found.t)).reshape(-1).astype(dtype)
        if found.type == onnx.AttributeProto.FLOATS:
            return np.array(found.floats, np.float32).astype(dtype)
        return np.array(found.ints, np.int64).astype(dtype)

    def texts(self, name: str) -> list[str]:
        found = self._all.get(name)
        return [] if found is None else [text.decode() for text in found.strings]

    def get(self, name: str, default: Any) -> Any:
        found = self._all.get(name)
        return default if found is None else helper.get_attribute_value(found)

    def is_double(self, name: str) -> bool:
        found = self._all.get(name)
        return (
            found is not None
            and found.type == onnx.AttributeProto.TENSOR
            and (found.t.data_type == onnx.TensorProto.DOUBLE)
        )


def forest_of(node: onnx.NodeProto, refuse: Refuse) -> Forest:
    """The trees of any tree operator of ai.onnx.ml; what it does after adding is left out. Raises what `refuse` makes."""
    if node.op_type == "TreeEnsemble":
        return forest_of_v5(node, refuse)
    given = _Attributes(node)
    if node.op_type == "TreeEnsembleRegressor":
        return forest_of_v3(node, "target", int(given.get("n_targets", 1)), refuse)
    classes = len(given.get("classlabels_int64s", ())) or len(given.texts("classlabels_strings"))
    return forest_of_v3(node, "class", classes, refuse)


def forest_of_v5(node: onnx.NodeProto, refuse: Refuse) -> Forest:
    """TreeEnsemble of ai.onnx.ml 5: inner nodes and leaves in tables of their own. Raises what `refuse` makes."""
    given = _Attributes(node)
    inner = len(given.array("nodes_featureids", np.int64))
    weights = given.array("leaf_weights", np.float64)
    targets = given.array("leaf_targetids", np.int64)
    if inner == 0 or len(weights) != len(targets):
        raise refuse("its node tables do not fit each other")
    mode = given.array("nodes_modes", np.uint8)
    n_targets = int(given.get("n_targets", 1))
    columns = [
        given.array("nodes_splits", np.float64),
        given.array("nodes_truenodeids", np.int64),
        given.array("nodes_falsenodeids", np.int64),
    ]
    true_leaf, false_leaf = given.array("nodes_trueleafs", np.bool_), given.array("nodes_falseleafs", np.bool_)
    if any(len(column) != inner for column in (mode, *columns, true_leaf, false_leaf)) or (mode > MEMBER).any():
        raise refuse("its node tables do not fit each other")
    if (targets < 0).any() or (targets >= n_targets).any():
        raise refuse("a leaf adds to an output that is not there")
    leaves = len(weights)
    true = np.where(true_leaf, inner + columns[1], columns[1])
    false = np.where(false_leaf, inner + columns[2], columns[2])
    rest = np.zeros(leaves, np.int64)
    made = Forest(
        roots=given.array("tree_roots", np.int64),
        feature=np.concatenate([given.array("nodes_featureids", np.int64), rest - 1]),
        mode=np.concatenate([mode, rest.astype(np.uint8)]),
        threshold=np.concatenate([columns[0], rest.astype(np.float64)]),
        true_child=np.concatenate([true, rest]),
        false_child=np.concatenate([false, rest]),
        missing_true=np.concatenate([
            given.array("nodes_missing_value_tracks_true", np.bool_, inner), rest.astype(np.bool_),
        ]),
        leaf=np.concatenate([np.full(inner, -1), np.arange(leaves)]),
        values=weights[:, None], target=rest[:0], n_targets=n_targets,
        dtype="float64" if given.is_double("leaf_weights") else "float32",
        base=np.zeros(n_targets), aggregate=int(given.get("aggregate_function", SUM)),
        members=_sets(mode, given.array("membership_values", np.float64), refuse),
    )  # fmt: skip
    return _with_targets(_checked(made, refuse), [[(int(t), float(w))] for t, w in zip(targets, weights, strict=True)])


def _sets(mode: Array, values: Array, refuse: Refuse) -> dict[int, tuple[float, ...]]:
    """The sets of the MEMBER nodes in order, each closed by NaN."""
    nodes = np.flatnonzero(mode == MEMBER)
    ends = np.flatnonzero(np.isnan(values))
    if len(ends) < len(nodes):
        raise refuse("a set of members is missing")
    starts = np.concatenate([[0], ends + 1])
    return {int(node): tuple(values[starts[place] : ends[place]].tolist()) for place, node in enumerate(nodes)}


def forest_of_v3(node: onnx.NodeProto, kind: str, n_targets: int, refuse: Refuse) -> Forest:
    """TreeEnsembleClassifier (kind "class") or -Regressor (kind "target"): nodes named by tree and number in it.

    Float attributes or, from ai.onnx.ml 3, their `_as_tensor` twins. Raises what `refuse` makes.
    """
    given = _Attributes(node)

    def floats(name: str, size: int | None = None) -> Array:
        return given.array(f"{name}_as_tensor" if f"{name}_as_tensor" in given else name, np.float64, size)

    trees, numbers = given.array("nodes_treeids", np.int64), given.array("nodes_nodeids", np.int64)
    place = {key: at for at, key in enumerate(zip(trees.tolist(), numbers.tolist(), strict=True))}
    modes = given.texts("nodes_modes")
    unknown = sorted(set(modes) - {*_MODES, "LEAF"})
    if unknown or len(modes) != len(place):
        raise refuse(f"its nodes have the mode {unknown[0]!r}" if unknown else "two of its nodes have one number")
    is_leaf = np.array([mode == "LEAF" for mode in modes])
    code = np.array([LEQ if mode == "LEAF" else _MODES.index(mode) for mode in modes], np.uint8)

    def child(name: str) -> Array:
        ids = given.array(name, np.int64)
        return np.array(
            [
                at if leaf else place.get((tree, number), -1)
                for at, (tree, number, leaf) in enumerate(zip(trees.tolist(), ids.tolist(), is_leaf, strict=True))
            ],
            np.int64,
        )

    says: list[list[tuple[int, float]]] = [[] for _ in modes]
    ids = (given.array(f"{kind}_{name}", np.int64) for name in ("treeids", "nodeids", "ids"))
    for tree, number, target, weight in zip(
        *(i.tolist() for i in ids), floats(f"{kind}_weights").tolist(), strict=True
    ):
        if (tree, number) not in place or not 0 <= target < n_targets:
            raise refuse("a leaf weight belongs to no node or to an output that is not there")
        says[place[(tree, number)]].append((target, weight))
    _, first = np.unique(trees, return_index=True)
    true, false = child("nodes_truenodeids"), child("nodes_falsenodeids")
    reached = np.concatenate([true[~is_leaf], false[~is_leaf]])
    heads = np.setdiff1d(np.arange(len(modes)), reached)
    if len(heads) != len(first):
        raise refuse("a tree of it has no root, or several")
    base = given.array("base_values_as_tensor" if "base_values_as_tensor" in given else "base_values", np.float64)
    aggregate = given.get("aggregate_function", b"SUM").decode()
    made = Forest(
        roots=heads[np.argsort(trees[heads], kind="stable")],
        feature=np.where(is_leaf, -1, given.array("nodes_featureids", np.int64)),
        mode=code, threshold=floats("nodes_values"), true_child=true, false_child=false,
        missing_true=given.array("nodes_missing_value_tracks_true", np.bool_, len(modes))[: len(modes)],
        leaf=np.where(is_leaf, np.cumsum(is_leaf) - 1, -1), values=np.zeros((int(is_leaf.sum()), 1)),
        target=np.zeros(0, np.int64), n_targets=n_targets,
        dtype="float64" if given.is_double("nodes_values_as_tensor") else "float32",
        base=_base(base, n_targets, says, kind, refuse),
        aggregate=_AGGREGATES.index(aggregate),
    )  # fmt: skip
    return _with_targets(_checked(made, refuse), [said for said, leaf in zip(says, is_leaf, strict=True) if leaf])


def _base(
    given: Array, n_targets: int, says: list[list[tuple[int, float]]], kind: str, refuse: Refuse
) -> NDArray[np.float64]:
    """Where the sums start. One number for two classes goes where ONNX Runtime adds it: to the only class that leaves
    speak of, or to the first."""
    spoken = {target for said in says for target, _ in said}
    if kind == "class" and n_targets == 2 and len(given) == 1:
        made = np.zeros(2)
        made[spoken.pop() if len(spoken) == 1 else 0] = given[0]
        return made
    if len(given) not in (0, n_targets) or (kind == "class" and n_targets == 2 and len(given) and len(spoken) == 1):
        raise refuse(f"it has {len(given)} base values for {n_targets} outputs")
    return np.asarray(given, np.float64) if len(given) else np.zeros(n_targets)


def _checked(forest: Forest, refuse: Refuse) -> Forest:
    """Raise where children are none of the nodes, or a node hangs below itself."""
    inner = np.flatnonzero(~forest.is_leaf)
    nodes = len(forest.feature)
    for ids in (forest.true_child[inner], forest.false_child[inner], forest.roots):
        if (ids < 0).any() or (ids >= nodes).any():
            raise refuse("a node of it refers to one that is not there")
    if np.isnan(forest.threshold[inner][forest.mode[inner] != MEMBER]).any():
        raise refuse("a threshold of it is no number")
    at = np.unique(forest.roots)
    for _ in range(nodes + 1):
        at = at[~forest.is_leaf[at]]
        if not at.size:
            return forest
        at = np.unique(np.concatenate([forest.true_child[at], forest.false_child[at]]))
    raise refuse("a node of it hangs below itself")


def _with_targets(forest: Forest, says: list[list[tuple[int, float]]]) -> Forest:
    """One value a leaf where all leaves of a tree speak to one and the same output, else vectors.

    says: for each leaf, (output, what it adds to it).
    """
    target = np.full(len(forest.roots), -1, np.int64)
    single = True
    for node, tree in _leaves_of_trees(forest):
        for output in {output for output, _ in says[forest.leaf[node]]}:
            single = single and target[tree] in (-1, output)
            target[tree] = output
    values = np.zeros((len(says), 1 if single else forest.n_targets))
    for row, said in zip(values, says, strict=True):
        for output, weight in said:
            row[0 if single else output] += weight
    return replace(forest, values=values, target=np.maximum(target, 0) if single else np.full_like(target, -1))


def _leaves_of_trees(forest: Forest) -> list[tuple[int, int]]:
    """(leaf node, tree) as often as a tree leads to a leaf; trees may share nodes."""
    found: list[tuple[int, int]] = []
    at = np.stack([forest.roots, np.arange(len(forest.roots))], axis=1)
    while at.size:
        leaf = forest.is_leaf[at[:, 0]]
        found.extend(map(tuple, at[leaf].tolist()))
        node, tree = at[~leaf].T
        children = np.concatenate([forest.true_child[node], forest.false_child[node]])
        at = np.unique(np.stack([children, np.concatenate([tree, tree])], axis=1), axis=0)
    return found
