"""Category sets as ONNX Runtime's TreeEnsemble tests them.

A set of members within 0..30 becomes a chain of equalities and then a bit mask: exact for every number. Any other set
is looked up with x cast to int32 in C++: 1.5 counts as 1, and NaN and numbers beyond int32 as whatever the processor
makes of them (INT_MIN on x86-64, 0 or the bounds on ARM). Such nodes get columns of their own, on which the cast is safe.
Source: tree_ensemble_attribute.h and tree_ensemble_common.h of ONNX Runtime.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlpack_edge.converters.onnx_graph import Graph, Value
from mlpack_edge.converters.trees.ensemble import MEMBER, Ensemble

#: ONNX Runtime unrolls sets of up to this many members, none of them above LAST_SMALL.
MOST_SMALL, LAST_SMALL = 30, 30
#: The greatest float32 below 2**31.
_GREATEST = 2147483520.0
#: A member that no guarded column holds: it stands in for an empty set and keeps a set from being unrolled.
NOBODY = -2147483520


def guarded(graph: Graph, ensemble: Ensemble, rows: Value) -> tuple[Ensemble, Value]:
    """The same ensemble, its looked-up sets reading guarded columns that are appended to `rows`.

    A guarded column holds x where it is a whole number of 0..2**31-128, and -1 elsewhere; NaN stays NaN for nodes that
    send it to the true side.
    """
    looked_up = _looked_up(ensemble)
    if not looked_up:
        return ensemble, rows
    members = dict(ensemble.members)
    feature = ensemble.feature.copy()
    width = rows.width or 1
    columns: dict[tuple[int, bool], int] = {}
    for node in looked_up:
        members[node] = (*members[node], NOBODY)
        key = (int(feature[node]), bool(ensemble.missing_true[node]))
        feature[node] = width + columns.setdefault(key, len(columns))
    plain = graph.gather_columns(rows, [column for column, _ in columns])
    lowest, greatest, stray = (graph.const(np.array(number, rows.dtype)) for number in (0.0, _GREATEST, -1.0))
    whole = graph.op("Equal", plain, graph.op("Clip", graph.op("Floor", plain), lowest, greatest))
    keeps_nan = np.array([[missing for _, missing in columns]])
    if keeps_nan.any():
        whole = graph.op("Or", whole, graph.op("And", graph.op("IsNaN", plain), graph.const(keeps_nan)))
    safe = Value(graph.op("Where", whole, plain, stray), rows.dtype, len(columns))
    return replace(ensemble, feature=feature, members=members), graph.concat([rows, safe])


def _looked_up(ensemble: Ensemble) -> list[int]:
    """The nodes whose sets ONNX Runtime looks up, or must.

    It merges the chain of a node with that of its false child where both read one column and their true sides look
    alike, and forgets where the child sends NaN: a set followed by another one on its column is looked up instead.
    """
    found = []
    for node, members in ensemble.members.items():
        below = int(ensemble.false_child[node])
        followed = ensemble.mode[below] == MEMBER and ensemble.feature[below] == ensemble.feature[node]
        if followed or not members or len(members) > MOST_SMALL or max(members) > LAST_SMALL:
            found.append(node)
    return sorted(found)
