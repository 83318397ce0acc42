"""What operators share that work element by element, in whatever layout their inputs are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlpack_edge.converters.tflite_from_onnx.emitter import aligned, arranged
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, broadcast
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value


def unary(node: Node, kind: str, value: Value | None = None, **options: Any) -> Value:
    """A TFLite operator on one value, element type and shape kept."""
    value = node.input(0) if value is None else value
    perm = value.layout
    return node.low.emit_value(kind, [node.low.tensor(value, perm)], Spec(value.dtype, value.shape), perm, **options)


def elementwise(node: Node, kind: str, values: Sequence[Value], dtype: str, **options: Any) -> Value:
    """A TFLite operator on values that are broadcast as numpy does; dtype: of the result, in ONNX's terms.

    It runs in the layout in which its widest input is there already; what is narrower or constant follows.
    """
    shape: tuple[Size, ...] = ()
    for value in values:
        shape = broadcast(shape, value.shape)
    perm = arranged(values, len(shape))
    tensors = [aligned(node.low, value, perm) for value in values]
    return node.low.emit_value(kind, tensors, Spec(dtype, shape), perm, **options)
