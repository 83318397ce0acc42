"""One reshape instead of several, and none where a reduction can drop its axes itself."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.edges import Edges, same_shape
from mlpack_edge.converters.tflite_graph.model import Graph, Op

_SHAPING = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")
_REDUCTIONS = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL")


def merge_reshapes(graph: Graph) -> bool:
    """A RESHAPE behind a RESHAPE, EXPAND_DIMS or SQUEEZE reads what those read; whether anything changed.

    What nobody reads any more is left to `drop_dead`.
    """
    edges, changed = Edges(graph), False
    for op in list(graph.ops):
        if op.kind not in _SHAPING or edges.is_removed(op):
            continue
        before = edges.maker(op.inputs[0])
        if before is None or before.inputs[0] is None:
            continue
        if before.kind in _REDUCTIONS and op.kind == "RESHAPE":
            changed |= _dropping(edges, before, op)
        elif before.kind in _SHAPING:
            whole = before.inputs[0]
            if _undoes(before, op) or same_shape(whole, op.output):
                if op.output in edges.outputs and (whole in edges.borders or edges.maker(whole) is None):
                    continue  # the two tensors have to stay two
                edges.read(op, 0, whole)
                changed |= edges.bypass(op)
            elif op.kind == "RESHAPE" and _is_fixed(op):
                edges.read(op, 0, whole)
                changed = True
    return edges.sweep() or changed


def _is_fixed(op: Op) -> bool:
    """Whether the target of a RESHAPE is known, so that it can be reached from any shape."""
    target = op.inputs[1]
    return target is not None and target.data is not None


def _undoes(before: Op, after: Op) -> bool:
    """Whether an EXPAND_DIMS puts back the axis that a SQUEEZE dropped, or the other way round."""
    if {before.kind, after.kind} != {"EXPAND_DIMS", "SQUEEZE"}:
        return False
    expand, squeeze = (before, after) if before.kind == "EXPAND_DIMS" else (after, before)
    axis = expand.inputs[1]
    if axis is None or axis.data is None:
        return False
    rank = len(expand.output.shape)
    dropped = [int(item) % rank for item in np.asarray(squeeze.options.get("squeeze_dims", ())).reshape(-1)]
    return dropped == [int(axis.data.reshape(-1)[0]) % rank]


def _dropping(edges: Edges, reduction: Op, op: Op) -> bool:
    """A reduction that keeps its axes, and a RESHAPE that drops just those: one reduction that drops them."""
    if not reduction.options.get("keep_dims") or edges.sole_reader(reduction.output) is not op:
        return False
    whole, axes = reduction.inputs
    if whole is None or axes is None or axes.data is None or op.output.quantization is not None:
        return False
    gone = {int(axis) % len(whole.shape) for axis in axes.data.reshape(-1)}
    left = tuple(size for axis, size in enumerate(whole.shape) if axis not in gone)
    if left != op.output.shape or sum(size < 0 for size in left) > 1:
        return False
    reduction.options["keep_dims"] = False
    edges.absorb(reduction, op)
    return True
