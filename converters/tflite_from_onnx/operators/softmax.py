"""Softmax and LogSoftmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.reductions import FLOATS
from mlpack_edge.converters.tflite_from_onnx.sizes import product
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, permuted

#: XNNPACK's SOFTMAX takes no more dimensions than these, and a model that has more is not loaded at all.
_MOST_DIMENSIONS = 6


def along(node: Node, kind: str, value: Value, axis: int, **options: Any) -> Value:
    """TFLite's SOFTMAX or LOG_SOFTMAX along one axis (from 0): the last one in memory."""
    if value.dtype not in FLOATS:
        raise node.refuse(f"TFLite's {kind} takes floats, not {value.dtype}")
    low, spec = node.low, Spec(value.dtype, value.shape)
    perm = (*(other for other in value.layout if other != axis), axis)
    tensor = low.tensor(value, perm)
    if value.rank <= _MOST_DIMENSIONS:
        return low.emit_value(kind, [tensor], spec, perm, **options)
    shape = permuted(value.shape, perm)
    flat = (product(shape[:-1]), shape[-1])
    made = low.emit(kind, [low.reshape(tensor, flat)], value.dtype, flat, **options)
    return low.value(low.reshape(made, shape), spec, perm)


def _softmax(kind: str, **options: Any) -> Callable[[Node], Value]:
    def lower(node: Node) -> Value:
        """Softmax-1 to -13: from 13 on along `axis`, before that over all axes from `axis` on together."""
        value = node.input(0)
        if node.version >= 13:
            return along(node, kind, value, node.axis(-1), **options)
        first = node.axis(1)
        wide = [axis for axis in range(first, value.rank) if value.shape[axis] != 1] or [value.rank - 1]
        if len(wide) == 1:
            return along(node, kind, value, wide[0], **options)
        low = node.low
        flat = (product(value.shape[:first]), product(value.shape[first:]))
        made = low.emit(kind, [low.reshape(low.tensor(value), flat)], value.dtype, flat, **options)
        return low.value(low.reshape(made, value.shape), Spec(value.dtype, value.shape))

    return lower


OPERATORS = {
    "Softmax": _softmax("SOFTMAX", beta=1.0),
    "LogSoftmax": _softmax("LOG_SOFTMAX"),
}
