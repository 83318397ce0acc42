"""Rows that fall the same way, next to each other.

ONNX Runtime walks one tree for 128 rows in turn, and most of its time goes into branches the processor could not
foresee. Rows are independent, so they may be walked in any order: sorted by a few of the ensemble's own questions,
neighbours take the same branches, and a big batch costs a third less (docs/decisions/0002-tree-layout.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.onnx_graph import Graph, Value
from mlpack_edge.converters.trees.ensemble import MEMBER, Ensemble
from mlpack_edge.converters.trees.node_table import NodeTable, Shape, tree_ensemble

#: Fewer branches a row than this are not worth sorting for.
WORTH_SORTING = 150
#: How many questions the sort key holds; float32 could hold 24.
QUESTIONS = 18
#: How much less a comparison counts than the one above it.
DECAY = 0.7


@dataclass(frozen=True, slots=True)
class Order:
    """perm: int64 [batch, 1], the row that comes first, second, ..."""

    perm: str


def similar_rows_first(graph: Graph, ensemble: Ensemble, shape: Shape, rows: Value) -> Order | None:
    """An order of the rows in which neighbours agree on the questions asked most; None where it would not pay."""
    asked = (ensemble.feature >= 0) & (ensemble.mode != MEMBER) & (shape.tree >= 0)
    weight = np.where(asked, DECAY ** shape.depth.astype(np.float64), 0.0)
    leaf = ensemble.is_leaf & (shape.tree >= 0)
    steps = float((shape.depth[leaf] * 0.5 ** shape.depth[leaf]).sum())
    if steps < WORTH_SORTING or not asked.any():
        return None
    questions = _questions(ensemble, np.flatnonzero(asked), weight)
    count = len(questions)
    bits = 2.0 ** np.arange(count)[::-1]
    places = np.arange(count)
    yes = np.ones(count, np.bool_)
    table = NodeTable(
        roots=places, feature=ensemble.feature[questions], mode=ensemble.mode[questions],
        threshold=ensemble.threshold[questions], true_child=2 * places, false_child=2 * places + 1,
        true_leaf=yes, false_leaf=yes, missing_true=~yes, members=[],
        weights=np.stack([0 * bits, bits], axis=1).ravel(), targets=np.zeros(2 * count, np.int64), n_targets=1,
    )  # fmt: skip
    key = tree_ensemble(graph, table, rows)
    size = graph.op("Shape", rows, start=0, end=1)
    _, perm = graph.ops("TopK", 2, key, size, axis=0, largest=0, sorted=1)
    return Order(perm)


def _questions(ensemble: Ensemble, nodes: NDArray[np.int64], weight: NDArray[np.float64]) -> NDArray[np.int64]:
    """The nodes whose comparisons make the sort key, the most telling first.

    Each column starts with the weight of its comparisons (less with every level); a column that was asked counts
    half from then on. Its first question is the weighted median of its thresholds, the next the quartiles, and so on.
    """
    columns: dict[int, NDArray[np.int64]] = {}
    order = nodes[np.lexsort((ensemble.threshold[nodes], ensemble.feature[nodes]))]
    for part in np.split(order, np.flatnonzero(np.diff(ensemble.feature[order])) + 1):
        columns[int(ensemble.feature[part[0]])] = part
    mass = {column: float(weight[part].sum()) for column, part in columns.items()}
    asked = dict.fromkeys(columns, 0)
    chosen: list[int] = []
    while len(chosen) < QUESTIONS:
        column = max(mass, key=lambda key: (mass[key], -key))
        level = int(np.log2(asked[column] + 1))
        within = (2 * (asked[column] + 1 - 2**level) + 1) / 2 ** (level + 1)
        part = columns[column]
        total = np.cumsum(weight[part])
        chosen.append(int(part[np.searchsorted(total, within * total[-1])]))
        asked[column] += 1
        if asked[column] + 1 == 2 ** int(np.log2(asked[column] + 1)):
            mass[column] /= 2
    return np.array(chosen, np.int64)


def in_order(graph: Graph, rows: Value, order: Order | None) -> Value:
    """The rows in that order."""
    if order is None:
        return rows
    return Value(graph.op("GatherND", rows, order.perm), rows.dtype, rows.width)


def restored(graph: Graph, result: Value, order: Order | None) -> Value:
    """What was computed for the rows in that order, back in the order of the input."""
    if order is None:
        return result
    return Value(graph.op("ScatterND", result, order.perm, result), result.dtype, result.width)
