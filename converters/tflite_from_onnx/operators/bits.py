"""Bits of whole numbers. TFLite has XOR and AND; the rest follows from them in arithmetic that wraps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import (
    WHOLE,
    check_broadcast,
    compute,
    in_int32,
)
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, broadcast
from mlpack_edge.converters.tflite_from_onnx.values import Value, constant


def _bitwise(combined: Callable[[Lowering, Value, Value], Value]) -> Callable[[Node], Value]:
    """BitwiseAnd, BitwiseOr, BitwiseXor of opset 18."""

    def lower(node: Node) -> Value:
        a, b = _whole(node, 0), _whole(node, 1)
        check_broadcast(node, [a, b])
        return in_int32(node.low, [a, b], lambda x, y: combined(node.low, x, y))

    return lower


def _whole(node: Node, place: int) -> Value:
    value = node.input(place)
    if value.dtype not in WHOLE:
        raise node.refuse(f"TFLite has no operators on the bits of {value.dtype}")
    return value


def _and(low: Lowering, a: Value, b: Value) -> Value:
    """STABLEHLO_AND, which broadcasts nothing: 0 times the other one is added first."""
    shape = broadcast(a.shape, b.shape)
    return compute(low, "STABLEHLO_AND", *(_spread(low, x, other, shape) for x, other in ((a, b), (b, a))))


def _spread(low: Lowering, value: Value, other: Value, shape: tuple[Size, ...]) -> Value:
    if value.shape == shape:
        return value
    return compute(low, "ADD", value, compute(low, "MUL", other, 0))


def _or(low: Lowering, a: Value, b: Value) -> Value:
    """a + b counts the bits that both have twice."""
    return compute(low, "SUB", compute(low, "ADD", a, b), _and(low, a, b))


def _xor(low: Lowering, a: Value, b: Value) -> Value:
    if a.dtype == "int32":
        return compute(low, "BITWISE_XOR", a, b)
    return compute(low, "SUB", _or(low, a, b), _and(low, a, b))


def bitwise_not(node: Node) -> Value:
    """BitwiseNot-18: -1 - x, which wraps to 255 - x for uint8."""
    return in_int32(node.low, [_whole(node, 0)], lambda x: compute(node.low, "SUB", -1, x))


def shift(node: Node) -> Value:
    """BitShift-11. Shifting by the width or more leaves nothing."""
    x, by = node.input(0), node.input(1)
    check_broadcast(node, [x, by])
    if x.dtype != "uint8":
        raise node.refuse(f"TFLite holds no {x.dtype}")
    low = node.low
    left = node.attr("direction") == "LEFT"

    def shifted(value: Value, bits: Value) -> Value:
        bits = compute(low, "MINIMUM", bits, 8)
        if left:
            powers = constant("", np.array([1 << place for place in range(9)], np.int32))
            return compute(low, "MUL", value, low.op("Gather", powers, bits, axis=0))
        return compute(low, "RIGHT_SHIFT", value, bits)

    return in_int32(low, [x, by], shifted)


OPERATORS = {
    "BitwiseAnd": _bitwise(_and),
    "BitwiseOr": _bitwise(_or),
    "BitwiseXor": _bitwise(_xor),
    "BitwiseNot": bitwise_not,
    "BitShift": shift,
}
