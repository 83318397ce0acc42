"""Tree ensembles as nodes of a graph, through TreeEnsemble of ai.onnx.ml 5.

Every branch is decided as the library decides it, and sums are added in the library's order and in float64, so that
ties between classes fall the same way. How ONNX Runtime runs the operator decides the layout; what was tried stands in
docs/decisions/0002-tree-layout.md.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.onnx_graph import Graph, Value
from mlpack_edge.converters.trees.category_sets import guarded
from mlpack_edge.converters.trees.ensemble import Ensemble
from mlpack_edge.converters.trees.node_table import Shape, in_groups, node_table, shape_of, tree_ensemble
from mlpack_edge.converters.trees.row_order import Order, in_order, restored, similar_rows_first
from mlpack_edge.converters.trees.turned_nodes import missing_on_the_false_side
from mlpack_edge.core.errors import Unsupported

#: Integers up to this are exact in float32, sums of them in any order too.
EXACT_IN_FLOAT32 = 2**24
#: A quarter of a megabyte of nodes, which stays in a second-level cache while the rows pass.
NODES_IN_CACHE = 10_000
#: Above this many nodes it pays to tell the trees apart for the sake of the cache, and to add them up afterwards.
WORTH_TELLING_APART = 60_000
#: Up to this many classes a look-up a class is faster than one look-up of whole rows.
FEW_CLASSES = 4
#: Up to this many columns it pays to append their negatives, and from this many nodes a tree on.
FEW_COLUMNS, BIG_TREE = 100, 32


def sum_of_trees(graph: Graph, ensemble: Ensemble, x: Value) -> Value:
    """The sums `[batch, n_targets]` in float64 of what the trees say about `x` `[batch, features]`.

    x is cast to `ensemble.dtype` as the library does, then compared with the unrounded thresholds: bit for bit what
    `ensemble.walk` gives, base first, then the trees in order, on one thread. Raises Unsupported below ai.onnx.ml 5,
    for inputs without columns and for ensembles without trees.
    """
    _check(graph, ensemble, x)
    shape = shape_of(ensemble)
    ensemble, rows = guarded(graph, ensemble, graph.cast(x, ensemble.dtype))
    order = similar_rows_first(graph, ensemble, shape, rows)
    ensemble, ordered = _turned(graph, ensemble, in_order(graph, rows, order), order)
    if ensemble.values.shape[1] == 1:
        big = ensemble.n_targets == 1 and len(ensemble.feature) > WORTH_TELLING_APART
        sums = (_one_value_apart if big else _one_value_a_leaf)(graph, ensemble, shape, ordered)
    elif _votes(ensemble):
        sums = _one_class_a_leaf(graph, ensemble, shape, ordered)
    else:
        sums = _vector_leaves(graph, ensemble, shape, ordered)
    return restored(graph, sums, order)


def leaves_of_trees(graph: Graph, ensemble: Ensemble, x: Value) -> Value:
    """What each tree says on its own, `[batch, trees]` in float64; base and targets are left out.

    Raises Unsupported as `sum_of_trees` does, and for leaves that hold several values.
    """
    _check(graph, ensemble, x)
    if ensemble.values.shape[1] != 1:
        raise Unsupported("trees that hold several values a leaf cannot be told apart")
    shape = shape_of(ensemble)
    ensemble, rows = guarded(graph, ensemble, graph.cast(x, ensemble.dtype))
    order = similar_rows_first(graph, ensemble, shape, rows)
    ensemble, ordered = _turned(graph, ensemble, in_order(graph, rows, order), order)
    return restored(graph, _apart(graph, ensemble, shape, ordered), order)


def _turned(graph: Graph, ensemble: Ensemble, rows: Value, order: Order | None) -> tuple[Ensemble, Value]:
    """Nodes turned for speed where the trees are big enough to gain, and few enough columns are to be doubled."""
    small = len(ensemble.feature) < BIG_TREE * len(ensemble.roots)
    if order is None or small or (rows.width or 0) > FEW_COLUMNS:
        return ensemble, rows
    return missing_on_the_false_side(graph, ensemble, rows)


def _check(graph: Graph, ensemble: Ensemble, x: Value) -> None:
    if graph.ml_opset < 5:
        raise Unsupported(f"tree ensembles need ai.onnx.ml 5 (the model is written for {graph.ml_opset})")
    if not x.width:
        raise Unsupported("tree ensembles need at least one column")
    if len(ensemble.roots) == 0:
        raise Unsupported("the ensemble holds no tree")


def _votes(ensemble: Ensemble) -> bool:
    """Whether every leaf says 1 for one output and 0 for the others: counts, exact in float32 and in any order."""
    values = ensemble.values[ensemble.is_leaf]
    ones = values == 1
    only = bool(((values == 0) | ones).all()) and bool((ones.sum(axis=1) == 1).all())
    return only and not ensemble.base.any() and len(ensemble.roots) < EXACT_IN_FLOAT32


def _one_value_a_leaf(graph: Graph, ensemble: Ensemble, shape: Shape, rows: Value) -> Value:
    """Boosted trees and regressions: each tree adds one number to one output; the operator adds in order."""
    leaf = ensemble.is_leaf
    targets = ensemble.targets[shape.tree[leaf]] if ensemble.n_targets > 1 else np.zeros(leaf.sum(), np.int64)
    table = node_table(ensemble, ensemble.values[leaf, 0], targets, ensemble.base)
    return tree_ensemble(graph, table, graph.cast(rows, "float64"))


def _one_class_a_leaf(graph: Graph, ensemble: Ensemble, shape: Shape, rows: Value) -> Value:
    """Forests grown to pure leaves: each leaf votes for one class, and votes can be counted group by group."""
    counts = []
    for part, _ in in_groups(ensemble, shape, NODES_IN_CACHE):
        targets = np.argmax(part.values[part.is_leaf], axis=1).astype(np.int64)
        counts.append(tree_ensemble(graph, node_table(part, np.ones(len(targets)), targets, part.base), rows))
    total = counts[0]
    for more in counts[1:]:
        total = replace(total, name=graph.op("Add", total, more))
    return graph.cast(total, "float64")


def _apart(graph: Graph, ensemble: Ensemble, shape: Shape, rows: Value) -> Value:
    """What each tree says, `[batch, trees]` float64: in float32 where its numbers allow, group by group."""
    leaf = ensemble.is_leaf
    said = ensemble.values[leaf, 0]
    exact = rows.dtype == "float32" and bool((said.astype(np.float32) == said).all())
    typed = graph.cast(rows, "float32" if exact else "float64")
    made = []
    for part, tree in in_groups(ensemble, shape, NODES_IN_CACHE):
        own = part.is_leaf
        made.append(
            tree_ensemble(graph, node_table(part, part.values[own, 0], tree[own], np.zeros(len(part.roots))), typed)
        )
    return graph.cast(graph.concat(made), "float64")


def _one_value_apart(graph: Graph, ensemble: Ensemble, shape: Shape, rows: Value) -> Value:
    """The same as `_one_value_a_leaf` for one output of many nodes: group by group, added in order afterwards."""
    said = _apart(graph, ensemble, shape, rows)
    return _across(graph, said.name, ensemble.base, 1)


def _vector_leaves(graph: Graph, ensemble: Ensemble, shape: Shape, rows: Value) -> Value:
    """Forests whose leaves hold a vector: the number of the leaf each tree reaches, its vector, then the sum.

    The operator gives one number a leaf, hence the look-up.
    """
    leaf = ensemble.is_leaf
    if int(leaf.sum()) >= EXACT_IN_FLOAT32:
        raise Unsupported(f"a forest of {int(leaf.sum())} leaves: at most {EXACT_IN_FLOAT32} can be numbered")
    number = np.zeros((len(leaf), 1))
    number[leaf, 0] = np.arange(int(leaf.sum()))
    reached = _apart(graph, replace(ensemble, values=number), shape, rows)
    places = graph.cast(replace(reached, name=graph.op("Transpose", reached, perm=[1, 0])), "int32").name
    vectors = ensemble.values[leaf]
    if ensemble.n_targets > FEW_CLASSES:
        parts = graph.op("Gather", graph.const(vectors), places, axis=0)  # [trees, batch, n_targets]
        return _down(graph, parts, ensemble.base, ensemble.n_targets)
    flat = graph.op("Reshape", places, graph.const(np.array([1, -1], np.int64)))
    sums = []
    for target in range(ensemble.n_targets):
        column = graph.const(np.ascontiguousarray(vectors[:, target])[None, :])
        found = graph.op("GatherElements", column, flat, axis=1)
        parts = graph.op("Reshape", found, graph.const(np.array([len(ensemble.roots), -1], np.int64)))
        sums.append(_down(graph, parts, ensemble.base[target : target + 1]))
    return graph.concat(sums)


def _down(graph: Graph, parts: str, base: NDArray[np.float64], width: int | None = None) -> Value:
    """The sum of float64 `parts` `[trees, batch]` or `[trees, batch, width]` along the first axis, base first.

    Along that axis ONNX Runtime's ReduceSum adds whole rows to whole rows, in order. A Transpose must not feed it
    directly: the optimizer would take it away and sum along another axis, pairwise.
    """
    first = graph.const(np.array([0], np.int64))
    if base.any():
        start = graph.op("Mul", graph.op("Gather", parts, first, axis=0), graph.const(np.zeros(1)))
        parts = graph.op("Concat", graph.op("Add", start, graph.const(base)), parts, axis=0)
    total = graph.op("ReduceSum", parts, first, keepdims=0)
    return graph.column(Value(total, "float64", width)) if width is None else Value(total, "float64", width)


def _across(graph: Graph, parts: str, base: NDArray[np.float64], width: int) -> Value:
    """The sum of float64 `parts` `[batch, trees]` or `[batch, trees, width]` along axis 1, base first, in order."""
    if base.any():
        start = graph.op(
            "Mul", graph.op("Gather", parts, graph.const(np.array([0], np.int64)), axis=1), graph.const(np.zeros(1))
        )
        parts = graph.op("Concat", graph.op("Add", start, graph.const(base)), parts, axis=1)
    running = graph.op("CumSum", parts, graph.const(np.array([1], np.int64)))
    total = graph.op("Gather", running, graph.const(np.array([-1], np.int64)), axis=1)
    return Value(graph.op("Reshape", total, graph.const(np.array([-1, width], np.int64))), "float64", width)


def in_order_of_trees(graph: Graph, parts: str, n_targets: int) -> Value:
    """The sums `[batch, n_targets]` of `parts` `[batch, trees, n_targets]`, one tree after the other."""
    return _across(graph, parts, np.zeros(n_targets), n_targets)
