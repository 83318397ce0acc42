"""Arithmetic on two values, broadcast as numpy does."""

from __future__ import annotations

from collections.abc import Callable

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import elementwise
from mlpack_edge.converters.tflite_from_onnx.values import Value


def _binary(kind: str) -> Callable[[Node], Value]:
    def lower(node: Node) -> Value:
        a, b = node.input(0), node.input(1)
        if a.dtype not in ("float32", "float64", "float16", "int32", "int64"):
            raise node.refuse(f"TFLite's {kind} does not take {a.dtype}")
        return elementwise(node, kind, [a, b], a.dtype)

    return lower


OPERATORS = {
    "Add": _binary("ADD"),
    "Sub": _binary("SUB"),
    "Mul": _binary("MUL"),
}
