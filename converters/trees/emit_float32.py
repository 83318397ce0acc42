"""Sums of leaves in float32, in the order of the trees, as XGBoost adds them.

A margin that is added in another type or order differs in its last bit, and rows that tie (a probability of exactly
one half) then change their class. ONNX Runtime's TreeEnsemble adds a row's trees in order in the operator's own type,
on one thread; the base comes first as trees of a single leaf.
"""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.onnx_graph import Array, Graph, Value
from mlpack_edge.converters.trees.category_sets import guarded
from mlpack_edge.converters.trees.emit_onnx import EXACT_IN_FLOAT32
from mlpack_edge.converters.trees.ensemble import Ensemble
from mlpack_edge.converters.trees.node_table import Shape, node_table, shape_of, tree_ensemble
from mlpack_edge.converters.trees.row_order import in_order, restored, similar_rows_first
from mlpack_edge.core.errors import Unsupported


def float32_sum_of_trees(graph: Graph, ensemble: Ensemble, x: Value) -> Value:
    """The sums `[batch, n_targets]` in float32 for `x` `[batch, features]`: base first, then the trees in order.

    Thresholds, leaf values and base must be float32 numbers. Raises Unsupported below ai.onnx.ml 5, for empty inputs
    and for ensembles of more leaves than float32 can count. The ensemble must hold a tree.
    """
    if graph.ml_opset < 5:
        raise Unsupported(f"tree ensembles need ai.onnx.ml 5 (the model is written for {graph.ml_opset})")
    if not x.width:
        raise Unsupported("tree ensembles need at least one column")
    shape = shape_of(ensemble)
    ensemble, rows = guarded(graph, ensemble, graph.cast(x, "float32"))
    order = similar_rows_first(graph, ensemble, shape, rows)
    ordered = in_order(graph, rows, order)
    if ensemble.values.shape[1] != 1:
        return restored(graph, _vector_leaves(graph, ensemble, shape, ordered), order)
    leaf = ensemble.is_leaf
    targets = ensemble.targets[shape.tree[leaf]]
    table = node_table(ensemble, ensemble.values[leaf, 0], targets, ensemble.base)
    return restored(graph, tree_ensemble(graph, table, ordered), order)


def _vector_leaves(graph: Graph, ensemble: Ensemble, shape: Shape, rows: Value) -> Value:
    """The number of the leaf each tree reaches, then its vector, then their sum."""
    leaf = ensemble.is_leaf
    trees, leaves = len(ensemble.roots), int(leaf.sum())
    if leaves >= EXACT_IN_FLOAT32:
        raise Unsupported(f"{leaves} leaves in one ensemble are more than float32 can number")
    table = node_table(ensemble, np.arange(leaves, dtype=np.float64), shape.tree[leaf], np.zeros(trees))
    number = graph.cast(tree_ensemble(graph, table, rows), "int32")
    vectors: Array = ensemble.values[leaf].astype(np.float32)
    return _running_sum(graph, ensemble, rows, graph.op("Gather", graph.const(vectors), number, axis=0))


def _running_sum(graph: Graph, ensemble: Ensemble, rows: Value, parts: str) -> Value:
    """The base and then float32 `parts` `[batch, trees, n_targets]`, one tree after the other."""
    batch = graph.op("Shape", rows, start=0, end=1)
    wide = graph.op("Concat", batch, graph.const(np.array([1, ensemble.n_targets], np.int64)), axis=0)
    base = graph.op("Expand", graph.const(ensemble.base[None, None, :], "float32"), wide)
    running = graph.op("CumSum", graph.op("Concat", base, parts, axis=1), graph.const(np.array([1], np.int64)))
    last = graph.op("Gather", running, graph.const(np.array([-1], np.int64)), axis=1)
    flat = graph.op("Reshape", last, graph.const(np.array([-1, ensemble.n_targets], np.int64)))
    return Value(flat, "float32", ensemble.n_targets)
