"""Nodes turned so that missing values, and with them most rows, take the false side.

ONNX Runtime keeps the false child of a node right behind it, so that the way there is the cheaper one; and what goes to
the true side when missing needs a second test. Libraries send missing values where more of the training rows went
(scikit-learn also where it saw none missing). `x <= t` with NaN on the true side is the opposite of `-x <= -t'`, t' the
number after t, with NaN on the false side: the children change places, and every node stays of one mode, which is what
ONNX Runtime's fast path wants.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlpack_edge.converters.onnx_graph import Graph, Value
from mlpack_edge.converters.trees.ensemble import LEQ, Ensemble


def missing_on_the_false_side(graph: Graph, ensemble: Ensemble, rows: Value) -> tuple[Ensemble, Value]:
    """The same ensemble with such nodes turned, reading negated columns that are appended to `rows`.

    Nodes with an infinite threshold (missing against all the rest) stay as they are: infinity has no next number.
    """
    turned = (ensemble.feature >= 0) & ensemble.missing_true & (ensemble.mode == LEQ)
    turned &= np.abs(ensemble.threshold) < np.finfo(np.float64).max
    if not turned.any():
        return ensemble, rows
    columns, place = np.unique(ensemble.feature[turned], return_inverse=True)
    negated = graph.op("Neg", graph.gather_columns(rows, columns.tolist()))
    feature, threshold = ensemble.feature.copy(), ensemble.threshold.copy()
    feature[turned] = (rows.width or 0) + place
    threshold[turned] = -np.nextafter(threshold[turned], np.inf)
    ensemble = replace(
        ensemble,
        feature=feature,
        threshold=threshold,
        true_child=np.where(turned, ensemble.false_child, ensemble.true_child),
        false_child=np.where(turned, ensemble.true_child, ensemble.false_child),
        missing_true=ensemble.missing_true & ~turned,
    )
    return ensemble, graph.concat([rows, Value(negated, rows.dtype, len(columns))])
