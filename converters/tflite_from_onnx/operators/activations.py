"""Activation functions."""

from __future__ import annotations

from collections.abc import Callable

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import unary
from mlpack_edge.converters.tflite_from_onnx.values import Value


def _same(kind: str) -> Callable[[Node], Value]:
    """An operator that TFLite has under another name, for floats."""

    def lower(node: Node) -> Value:
        if node.input(0).dtype not in ("float32", "float64", "float16"):
            raise node.refuse(f"TFLite has {kind} for floats, not for {node.input(0).dtype}")
        return unary(node, kind)

    return lower


OPERATORS = {
    "Relu": _same("RELU"),
    "Tanh": _same("TANH"),
    "Sigmoid": _same("LOGISTIC"),
}
