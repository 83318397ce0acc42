"""One scale and one shift for a chain of them: BatchNormalization behind or before a Scale, scaled inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.passes.edges import Edges, is_plain
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor

Array = NDArray[np.float64]


def merge_affine(graph: Graph) -> bool:
    """MUL of MUL and ADD of ADD become one; MUL of ADD becomes ADD of MUL, so that what is alike meets.

    Constants, floats, no activation between, and nobody else reads what lies between. Whether anything changed.
    """
    edges, changed = Edges(graph), False
    for op in list(graph.ops):
        number, place = _constant(op)
        tensor = op.inputs[place] if number is not None else None
        before = edges.maker(tensor)
        if number is None or tensor is None or before is None or edges.sole_reader(tensor) is not op:
            continue
        first, spot = _constant(before)
        if first is None or before.inputs[spot] is None or before.inputs[spot].shape != op.output.shape:  # type: ignore[union-attr]
            continue
        if op.kind == before.kind:
            both = first * number if op.kind == "MUL" else first + number
            if not _fits(both, first, number):
                continue
            _set(edges, op, before.inputs[spot], both)
        elif op.kind == "MUL" and _fits(first * number, first, number):
            _set(edges, before, before.inputs[spot], number)
            _set(edges, op, tensor, first * number)
            before.kind, op.kind = "MUL", "ADD"
            tensor.name = ""  # it no longer holds the shifted value
        else:
            continue
        changed = True
    return changed


def _constant(op: Op) -> tuple[Array | None, int]:
    """The constant of a MUL or ADD, and the place of the other input."""
    if op.kind not in ("MUL", "ADD") or not is_plain(op):
        return None, 0
    a, b = op.inputs
    if a is None or b is None or (a.data is None) == (b.data is None):
        return None, 0
    data, place = (a.data, 1) if a.data is not None else (b.data, 0)
    other = op.inputs[place]
    if data is None or other is None or other.shape != op.output.shape:
        return None, 0
    return data.astype(np.float64), place


def _fits(both: Array, *parts: Array) -> bool:
    """Whether the constant together is no larger than the larger of the two, and no overflow."""
    return both.size == max(part.size for part in parts) and bool(np.isfinite(both.astype(np.float32)).all())


def _set(edges: Edges, op: Op, tensor: Tensor | None, number: Array) -> None:
    """Let `op` work on `tensor` and a constant."""
    constant = Tensor("constant", "float32", number.shape, number.astype(np.float32))
    edges.read(op, 0, tensor)
    edges.read(op, 1, constant)
