"""Quotients and remainders, of whole numbers exactly."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import (
    FLOATS,
    WHOLE,
    cast,
    check_broadcast,
    choose,
    common_type,
    compute,
    in_int32,
)
from mlpack_edge.converters.tflite_from_onnx.values import Value
from mlpack_edge.converters.tflite_graph.model import Op, Tensor

#: Operators that only move elements of their first input.
_MOVING = frozenset(
    {"RESHAPE", "TRANSPOSE", "GATHER", "STRIDED_SLICE", "SQUEEZE", "EXPAND_DIMS", "BROADCAST_TO", "TILE"}
)
#: Steps in which a float32 quotient of int64 numbers becomes exact: each leaves 2**-22 of what is still to be divided.
_STEPS = 3


def div(node: Node) -> Value:
    """Div-7 to Div-14: whole numbers are truncated toward zero; a whole division by 0 ends the run with an error."""
    a, b = node.input(0), node.input(1)
    check_broadcast(node, [a, b])
    dtype = common_type([a, b])
    if dtype in FLOATS:
        return compute(node.low, "DIV", a, b, dtype=dtype)
    if dtype not in WHOLE:
        raise node.refuse(f"TFLite divides no {dtype}")
    if dtype != "int64":
        return in_int32(node.low, [a, b], lambda x, y: compute(node.low, "DIV", x, y))
    if fits_int32(node.low, a) and fits_int32(node.low, b):
        narrow = [cast(node.low, value, "int32") for value in (a, b)]
        return cast(node.low, compute(node.low, "DIV", *narrow), "int64")
    return quotient_int64(node.low, a, b)


def mod(node: Node) -> Value:
    """Mod-10 to Mod-13: sign of the divisor, or with fmod=1 of the dividend; a whole division by 0 is an error."""
    a, b = node.input(0), node.input(1)
    check_broadcast(node, [a, b])
    dtype, fmod = common_type([a, b]), bool(node.attr("fmod", 0))
    low = node.low
    if dtype in FLOATS:
        if not fmod:
            raise node.refuse("the standard wants fmod=1 for floats")
        return _float_remainder(low, a, b)
    if dtype not in WHOLE:
        raise node.refuse(f"TFLite has no remainder of {dtype}")
    return in_int32(low, [a, b], lambda x, y: truncated_remainder(low, x, y) if fmod else floored_remainder(low, x, y))


def floored_remainder(low: Lowering, x: Value, y: Value) -> Value:
    """Whole x mod y with the sign of y. The least number mod -1 would kill the process: mod 1 is the same, 0."""
    if y.array is None:
        y = choose(low, compute(low, "EQUAL", y, -1, dtype="bool"), 1, y)
    elif (y.array == -1).any():
        y = Value("", y.dtype, y.shape, np.where(y.array == -1, np.ones_like(y.array), y.array))
    return compute(low, "FLOOR_MOD", x, y)


def truncated_remainder(low: Lowering, x: Value, y: Value) -> Value:
    """Whole x mod y with the sign of x."""
    floored = floored_remainder(low, x, y)
    negative = compute(low, "LESS", x, 0, dtype="bool")
    if y.array is not None and (y.array > 0).all():
        apart = negative
    else:
        apart = compute(low, "NOT_EQUAL", negative, compute(low, "LESS", y, 0, dtype="bool"))
    some = compute(low, "NOT_EQUAL", floored, 0, dtype="bool")
    return choose(low, compute(low, "LOGICAL_AND", apart, some), compute(low, "SUB", floored, y), floored)


def quotient_int64(low: Lowering, x: Value, y: Value) -> Value:
    """x / y truncated, exact for all int64: TFLite divides none, but it has their remainder.

    What x exceeds its remainder by is a multiple of y. Its quotient is taken in float32, what that misses is divided
    again, and the last time the quotient is below 2**20, where rounding makes it exact.
    """
    rest = compute(low, "SUB", x, truncated_remainder(low, x, y))
    divisor = cast(low, y, "float32")
    total: Value | None = None
    for step in range(_STEPS):
        near = compute(low, "DIV", cast(low, rest, "float32"), divisor)
        last = step == _STEPS - 1
        part = cast(low, compute(low, "ROUND", near) if last else near, "int64")
        total = part if total is None else compute(low, "ADD", total, part)
        if not last:
            rest = compute(low, "SUB", rest, compute(low, "MUL", part, y))
    assert total is not None
    return total


def fits_int32(low: Lowering, value: Value) -> bool:
    """Whether an int64 value is known to stay within int32: a constant, a size, or a cast of something narrower."""
    if value.array is not None:
        return bool((np.abs(value.array.astype(np.float64)) < 2.0**31).all())
    if not value.forms:
        return value.elements is not None
    makers: dict[Tensor, Op] = low.graph.producers()
    tensor: Tensor | None = value.forms[value.layout]
    while tensor is not None and tensor in makers and makers[tensor].kind in _MOVING:
        tensor = makers[tensor].inputs[0]
    maker = None if tensor is None else makers.get(tensor)
    if maker is None or maker.kind != "CAST":
        return False
    source = maker.inputs[0]
    return source is not None and source.dtype in ("bool", "int8", "uint8", "int16", "int32")


def _float_remainder(low: Lowering, x: Value, y: Value) -> Value:
    """C's fmod: of the absolute values, where FLOOR_MOD is exact, with the sign of x."""
    made = compute(low, "FLOOR_MOD", compute(low, "ABS", x), compute(low, "ABS", y))
    return choose(low, compute(low, "LESS", x, 0, dtype="bool"), compute(low, "NEG", made), made)


OPERATORS = {
    "Div": div,
    "Mod": mod,
}
