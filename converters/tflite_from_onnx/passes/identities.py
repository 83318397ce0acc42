"""Drop operators that change nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.edges import Edges, is_plain, same_shape
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor


def drop_identities(graph: Graph) -> bool:
    """RESHAPE to the same shape, TRANSPOSE that moves nothing, PAD by 0, MUL by 1, ADD of 0. Whether any was dropped."""
    edges = Edges(graph)
    for op in list(graph.ops):
        rule = _RULES.get(op.kind)
        if rule is not None and rule(op) and _quantized_alike(op):
            edges.bypass(op)
    return edges.sweep()


def _quantized_alike(op: Op) -> bool:
    before, after = op.inputs[0], op.output
    if before is None or before.dtype != after.dtype:
        return False
    if before.quantization is None or after.quantization is None:
        return before.quantization is after.quantization
    return before.quantization.same_as(after.quantization)


def _reshape(op: Op) -> bool:
    return op.inputs[0] is not None and same_shape(op.inputs[0], op.output)


def _transpose(op: Op) -> bool:
    perm = op.inputs[1]
    return perm is not None and perm.data is not None and bool((perm.data == np.arange(perm.data.size)).all())


def _pad(op: Op) -> bool:
    return op.inputs[1] is not None and op.inputs[1].data is not None and not op.inputs[1].data.any()


def _neutral(number: float, *, commutes: bool) -> Callable[[Op], bool]:
    def rule(op: Op) -> bool:
        if not is_plain(op):
            return False
        a, b = op.inputs
        if commutes and _is_all(a, number):
            op.inputs[:] = a, b = b, a
        return _is_all(b, number) and a is not None and b is not None and _keeps(a, b)

    return rule


def _is_all(tensor: Tensor | None, number: float) -> bool:
    return tensor is not None and tensor.data is not None and bool((tensor.data == number).all())


def _keeps(wide: Tensor, narrow: Tensor) -> bool:
    """Whether a broadcast with `narrow` leaves the shape of `wide`."""
    if wide.data is not None or len(narrow.shape) > len(wide.shape):
        return False
    return all(size in (1, own) for size, own in zip(narrow.shape[::-1], wide.shape[::-1], strict=False))


_RULES: dict[str, Callable[[Op], bool]] = {
    "ADD": _neutral(0, commutes=True),
    "DIV": _neutral(1, commutes=False),
    "MUL": _neutral(1, commutes=True),
    "PAD": _pad,
    "PADV2": _pad,
    "RESHAPE": _reshape,
    "SUB": _neutral(0, commutes=False),
    "TRANSPOSE": _transpose,
}
