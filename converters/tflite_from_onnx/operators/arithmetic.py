"""Sums, products and signs."""

from __future__ import annotations

from collections.abc import Callable

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import (
    FLOATS,
    SMALL,
    WHOLE,
    check_broadcast,
    common_type,
    compute,
    demand_floats,
    in_int32,
    unary,
)
from mlpack_edge.converters.tflite_from_onnx.values import Value


def _binary(kind: str) -> Callable[[Node], Value]:
    """Add, Sub, Mul of opset 7 to 14. Whole numbers wrap; infinite sums are the largest float without XNNPACK."""

    def lower(node: Node) -> Value:
        a, b = node.input(0), node.input(1)
        check_broadcast(node, [a, b])
        dtype = common_type([a, b])
        if dtype not in FLOATS | WHOLE:
            raise node.refuse(f"TFLite's {kind} does not take {dtype}")
        return in_int32(node.low, [a, b], lambda x, y: compute(node.low, kind, x, y, dtype=_wide(dtype)))

    return lower


def _wide(dtype: str) -> str:
    return "int32" if dtype in SMALL else dtype


def total(node: Node) -> Value:
    """Sum-6 to Sum-13, of any number of inputs."""
    values = [node.input(place) for place in range(len(node.inputs))]
    check_broadcast(node, values)
    demand_floats(node, values[0])
    made = values[0]
    for value in values[1:]:
        made = compute(node.low, "ADD", made, value)
    return node.low.op("Identity", made) if len(values) == 1 else made


def mean(node: Node) -> Value:
    """Mean-6 to Mean-13: of its inputs, element by element."""
    made = total(node)
    return compute(node.low, "DIV", made, len(node.inputs)) if len(node.inputs) > 1 else made


def neg(node: Node) -> Value:
    """Neg-6 to Neg-13."""
    x = node.input(0)
    if x.dtype not in FLOATS | WHOLE or x.dtype == "uint8":
        raise node.refuse(f"there is no negative {x.dtype}")
    return in_int32(node.low, [x], lambda value: unary(node, "NEG", value))


def absolute(node: Node) -> Value:
    """Abs-6 to Abs-13. The absolute of the least int8 is itself, as it wraps."""
    x = node.input(0)
    if x.dtype == "uint8":
        return node.low.op("Identity", x)
    if x.dtype in FLOATS or x.dtype == "int32":
        return unary(node, "ABS")
    if x.dtype == "int64":
        return compute(node.low, "MAXIMUM", x, unary(node, "NEG"))
    if x.dtype not in SMALL:
        raise node.refuse(f"TFLite's ABS does not take {x.dtype}")
    return in_int32(node.low, [x], lambda value: unary(node, "ABS", value))


def sign(node: Node) -> Value:
    """Sign-9 to Sign-13."""
    x = node.input(0)
    if x.dtype in FLOATS:
        return unary(node, "SIGN")
    if x.dtype not in WHOLE:
        raise node.refuse(f"TFLite's SIGN does not take {x.dtype}")
    at_most = compute(node.low, "MINIMUM", x, 1)
    return at_most if x.dtype == "uint8" else compute(node.low, "MAXIMUM", at_most, -1)


OPERATORS = {
    "Add": _binary("ADD"),
    "Sub": _binary("SUB"),
    "Mul": _binary("MUL"),
    "Sum": total,
    "Mean": mean,
    "Neg": neg,
    "Abs": absolute,
    "Sign": sign,
}
