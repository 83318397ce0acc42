"""Comparisons, logic on booleans, and the choice between two values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import (
    FLOATS,
    SMALL,
    WHOLE,
    cast,
    check_broadcast,
    choose,
    common_type,
    compute,
    demand_floats,
    elementwise,
    unary,
)
from mlpack_edge.converters.tflite_from_onnx.values import Value


def _compared(kind: str, *, booleans: bool = False) -> Callable[[Node], Value]:
    """Equal, Less and their kin of opset 7 to 19; nothing is equal to or ordered with NaN. float64 compares as float32."""

    def lower(node: Node) -> Value:
        values = [node.input(0), node.input(1)]
        check_broadcast(node, values)
        dtype = common_type(values)
        if dtype not in FLOATS | WHOLE and not (booleans and dtype == "bool"):
            raise node.refuse(f"TFLite's {kind} does not take {dtype}")
        if dtype in SMALL:
            values = [cast(node.low, value, "int32") for value in values]
        return compute(node.low, kind, *values, dtype="bool")

    return lower


def _logical(kind: str) -> Callable[[Node], Value]:
    """And, Or, Xor of opset 7."""

    def lower(node: Node) -> Value:
        return elementwise(node, kind, [_boolean(node, 0), _boolean(node, 1)], "bool")

    return lower


def _boolean(node: Node, place: int) -> Value:
    value = node.input(place)
    if value.dtype != "bool":
        raise node.refuse(f"it is defined for booleans, not for {value.dtype}")
    return value


def negation(node: Node) -> Value:
    """Not-1."""
    return unary(node, "LOGICAL_NOT", _boolean(node, 0))


def is_nan(node: Node) -> Value:
    """IsNaN-9 to IsNaN-20."""
    x = demand_floats(node)
    return compute(node.low, "NOT_EQUAL", x, x, dtype="bool")


def is_inf(node: Node) -> Value:
    """IsInf-10 to IsInf-20."""
    x = demand_floats(node)
    positive, negative = bool(node.attr("detect_positive", 1)), bool(node.attr("detect_negative", 1))
    if positive and negative:
        return compute(node.low, "EQUAL", compute(node.low, "ABS", x), np.inf, dtype="bool")
    if positive or negative:
        return compute(node.low, "EQUAL", x, np.inf if positive else -np.inf, dtype="bool")
    return compute(node.low, "LESS", x, x, dtype="bool")  # of nothing: false everywhere


def where(node: Node) -> Value:
    """Where-9 to Where-16."""
    condition, yes, no = node.input(0), node.input(1), node.input(2)
    check_broadcast(node, [condition, yes, no])
    if yes.dtype == "string":
        raise node.refuse("TFLite has no operators on text")
    return choose(node.low, condition, yes, no)


OPERATORS = {
    "Equal": _compared("EQUAL", booleans=True),
    "Less": _compared("LESS"),
    "LessOrEqual": _compared("LESS_EQUAL"),
    "Greater": _compared("GREATER"),
    "GreaterOrEqual": _compared("GREATER_EQUAL"),
    "And": _logical("LOGICAL_AND"),
    "Or": _logical("LOGICAL_OR"),
    "Xor": _logical("NOT_EQUAL"),
    "Not": negation,
    "IsNaN": is_nan,
    "IsInf": is_inf,
    "Where": where,
}
