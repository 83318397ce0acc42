"""Tree ensembles as nodes of a graph, through TreeEnsemble of ai.onnx.ml 5.

Every branch is decided as the library decides it, and sums are added in the library's order and in float64, so that
ties between classes fall the same way. How ONNX Runtime runs the operator decides the layout; what was tried stands in
docs/decisions/0002-tree-layout.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.onnx_graph import Array, Graph, Value
from mlpack_edge.converters.trees.category_sets import guarded
from mlpack_edge.converters.trees.ensemble import Ensemble
from mlpack_edge.converters.trees.node_table import NodeTable, Shape, node_table, shape_of, tree_ensemble
from mlpack_edge.converters.trees.row_order import in_order, restored, similar_rows_first
from mlpack_edge.core.errors import Unsupported

#: Integers up to this are exact in float32, sums of them in any order too.
EXACT_IN_FLOAT32 = 2**24


def sum_of_trees(graph: Graph, ensemble: Ensemble, x: Value) -> Value:
    """The sums `[batch, n_targets]` in float64 of what the trees say about `x` `[batch, features]`.

    x is cast to `ensemble.dtype` as the library does, then compared with the unrounded thresholds: bit for bit what
    `ensemble.walk` gives, base first, then the trees in order. Raises Unsupported below ai.onnx.ml 5, for inputs without
    columns and for ensembles without trees.
    """
    _check(graph, ensemble, x)
    shape = shape_of(ensemble)
    rows = graph.cast(x, ensemble.dtype)
    ensemble, rows = guarded(graph, ensemble, rows)
    order = similar_rows_first(graph, ensemble, shape, rows)
    ordered = in_order(graph, rows, order)
    if ensemble.values.shape[1] == 1 or ensemble.n_targets == 1:
        sums = _one_value_a_leaf(graph, ensemble, shape, ordered)
    elif (np.count_nonzero(ensemble.values[ensemble.is_leaf], axis=1) <= 1).all():
        sums = _one_class_a_leaf(graph, ensemble, shape, ordered)
    else:
        sums = _vector_leaves(graph, ensemble, shape, ordered)
    return restored(graph, sums, order)


def _one_value_a_leaf(graph: Graph, ensemble: Ensemble, shape: Shape, rows: Value) -> Value:
    """Boosted trees and regressions: each tree adds one number to one output."""
    leaf = ensemble.is_leaf
    targets = ensemble.targets[shape.tree[leaf]] if ensemble.n_targets > 1 else np.zeros(leaf.sum(), np.int64)
    return _summed(graph, node_table(ensemble, ensemble.values[leaf, 0], targets, ensemble.base), rows)


def _one_class_a_leaf(graph: Graph, ensemble: Ensemble, shape: Shape, rows: Value) -> Value:
    """Forests grown to pure leaves: each leaf votes for one class; adding 0.0 to the others changes nothing."""
    values = ensemble.values[ensemble.is_leaf]
    targets = np.argmax(values != 0, axis=1).astype(np.int64)
    weights = values[np.arange(len(values)), targets]
    return _summed(graph, node_table(ensemble, weights, targets, ensemble.base), rows)


def _summed(graph: Graph, table: NodeTable, rows: Value) -> Value:
    """Run the operator in float32 where nothing is lost by it (its nodes are a quarter smaller), else in float64."""
    whole = bool((table.weights == np.rint(table.weights)).all())
    small = float(np.abs(table.weights).max(initial=0)) * len(table.roots) < EXACT_IN_FLOAT32
    dtype = "float32" if rows.dtype == "float32" and whole and small else "float64"
    return graph.cast(tree_ensemble(graph, table, graph.cast(rows, dtype)), "float64")


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
    leaf = ensemble.is_leaf
    table = node_table(ensemble, ensemble.values[leaf, 0], shape.tree[leaf], np.zeros(len(ensemble.roots)))
    return restored(graph, _summed(graph, table, in_order(graph, rows, order)), order)


def _check(graph: Graph, ensemble: Ensemble, x: Value) -> None:
    if graph.ml_opset < 5:
        raise Unsupported(f"tree ensembles need ai.onnx.ml 5 (the model is written for {graph.ml_opset})")
    if not x.width:
        raise Unsupported("tree ensembles need at least one column")
    if len(ensemble.roots) == 0:
        raise Unsupported("the ensemble holds no tree")


def _vector_leaves(graph: Graph, ensemble: Ensemble, shape: Shape, rows: Value) -> Value:
    """Forests whose leaves hold a vector: the number of the leaf each tree reaches, then its vector, then the sum.

    The operator gives one value a leaf and adds in its own dtype; CumSum adds in order.
    """
    leaf = ensemble.is_leaf
    trees = len(ensemble.roots)
    numbers = np.arange(int(leaf.sum()), dtype=np.float64)
    table = node_table(ensemble, numbers, shape.tree[leaf], np.zeros(trees))
    dtype = "float32" if rows.dtype == "float32" and len(numbers) < EXACT_IN_FLOAT32 else "float64"
    reached = tree_ensemble(graph, table, graph.cast(rows, dtype))
    number = graph.cast(Value(reached.name, reached.dtype, trees), "int32")
    vectors: Array = ensemble.values[leaf]
    parts = graph.op("Gather", graph.const(vectors), number, axis=0)  # [batch, trees, n_targets]
    return in_order_of_trees(graph, parts, trees, ensemble.base)


def in_order_of_trees(graph: Graph, parts: str, trees: int, base: NDArray[np.float64]) -> Value:
    """The sums `[batch, n_targets]` of `parts` `[batch, trees, n_targets]`, one tree after the other from `base` on."""
    one = graph.const(np.array([1], np.int64))
    if base.any():
        first = graph.op("Gather", parts, graph.const(np.array([0], np.int64)), axis=1)
        rest = graph.op("Slice", parts, *(graph.const(np.array([at], np.int64)) for at in (1, trees, 1)))
        parts = graph.op("Concat", graph.op("Add", first, graph.const(base)), rest, axis=1)
    if trees > 1:
        parts = graph.op("CumSum", parts, one)
        parts = graph.op("Gather", parts, graph.const(np.array([-1], np.int64)), axis=1)
    return Value(graph.op("Squeeze", parts, one), "float64", len(base))
