"""Transposes moved to the front: before padding and before what works element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.edges import Edges, is_plain
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor

_UNARY = frozenset({
    "ABS", "ELU", "EXP", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "NEG", "RELU", "RELU6", "RELU_N1_TO_1", "SQRT", "SQUARE",
    "TANH",
})  # fmt: skip
_BINARY = frozenset({"ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "SUB"})


def hoist_transposes(graph: Graph) -> bool:
    """A TRANSPOSE goes before the PAD, unary operator or arithmetic with a constant whose only reader it is.

    It does where it gets to an input of the graph or to another transpose that way, so that padding, scales and shifts
    of a model's input stand next to the convolution, which can take them in. The tensor between loses its name, for it
    no longer holds the value before the transpose. Whether any was moved.
    """
    edges, changed = Edges(graph), False
    for op in list(graph.ops):
        moved = _hoisted(edges, op)
        while moved is not None:
            moved, changed = _hoisted(edges, moved), True
    return changed


def _hoisted(edges: Edges, op: Op) -> Op | None:
    """The operator that transposes now, where `op` does and could change places with the one before it."""
    before = edges.maker(op.inputs[0]) if op.kind == "TRANSPOSE" else None
    if before is None or not is_plain(op) or len(before.outputs) != 1:
        return None
    perm, place = op.inputs[1], _data(before)
    if perm is None or perm.data is None or place is None or edges.sole_reader(before.output) is not op:
        return None
    whole = before.inputs[place]
    if whole is None or whole.shape != _unpadded(before, whole) or not _from_border(edges, before, whole):
        return None
    order = [int(axis) for axis in perm.data]
    middle = Tensor("", whole.dtype, tuple(whole.shape[axis] for axis in order))
    later = [_moved(item, order, before, spot) for spot, item in enumerate(before.inputs)]
    later[place] = middle
    edges.make(before, before.output, middle)
    _become(edges, op, before.kind, before.options, later)
    _become(edges, before, "TRANSPOSE", {}, [whole, perm])
    return before


def _become(edges: Edges, op: Op, kind: str, options: dict[str, Any], inputs: list[Tensor | None]) -> None:
    """Let `op` be another operator with the same outputs."""
    for spot in range(len(op.inputs)):
        edges.read(op, spot, None)
    op.kind, op.options, op.inputs = kind, options, [None] * len(inputs)
    for spot, item in enumerate(inputs):
        edges.read(op, spot, item)


def _from_border(edges: Edges, reader: Op, tensor: Tensor) -> bool:
    """Whether a transpose gets to an input of the graph, or to another transpose, by going on like this."""
    while tensor not in edges.graph.inputs:
        maker = edges.maker(tensor)
        if maker is None or edges.sole_reader(tensor) is not reader:
            return False
        if maker.kind == "TRANSPOSE":
            return True
        place = _data(maker)
        source = None if place is None else maker.inputs[place]
        if source is None or source.shape != _unpadded(maker, source):
            return False
        reader, tensor = maker, source
    return True


def _data(op: Op) -> int | None:
    """Which input of an operator is moved with its output; None where it is none of those that can be."""
    if not is_plain(op):
        return None
    if op.kind in _UNARY:
        return 0
    if op.kind in ("PAD", "PADV2"):
        return 0 if all(tensor is not None and tensor.data is not None for tensor in op.inputs[1:]) else None
    if op.kind not in _BINARY:
        return None
    constant = [tensor is not None and tensor.data is not None for tensor in op.inputs]
    return constant.index(False) if sum(constant) == 1 else None


def _unpadded(op: Op, whole: Tensor) -> tuple[int, ...]:
    """The shape that the moved input needs: that of the output, but for padding."""
    return whole.shape if op.kind in ("PAD", "PADV2") else op.output.shape


def _moved(item: Tensor | None, order: list[int], op: Op, spot: int) -> Tensor | None:
    """A constant input as the operator needs it behind the transpose."""
    if item is None or item.data is None:
        return item
    if op.kind in ("PAD", "PADV2"):
        return item if spot != 1 else Tensor(item.name, item.dtype, item.shape, item.data[order])
    full = item.data.reshape((1,) * (len(order) - item.data.ndim) + item.data.shape)
    moved = np.ascontiguousarray(full.transpose(order))
    while moved.ndim and moved.shape[0] == 1:
        moved = moved[0]
    return Tensor(item.name, item.dtype, moved.shape, moved)
