"""Powers and roots."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import (
    FLOATS,
    WHOLE,
    cast,
    check_broadcast,
    choose,
    compute,
    demand_floats,
    on_floats,
)
from mlpack_edge.converters.tflite_from_onnx.values import Value

#: Exponents for which other operators than POW do, which XNNPACK does not have and which is slower by far.
_SIMPLE: dict[float, Callable[[Lowering, Value], Value]] = {
    1.0: lambda low, x: low.op("Identity", x),
    2.0: lambda low, x: compute(low, "MUL", x, x),
    3.0: lambda low, x: compute(low, "MUL", compute(low, "MUL", x, x), x),
    0.5: lambda low, x: compute(low, "SQRT", x),
    -1.0: lambda low, x: compute(low, "DIV", 1.0, x),
}


def power(node: Node) -> Value:
    """Pow-7 to Pow-15: of the element type of the base, whatever the exponent is.

    A whole base to a whole exponent is exact and wraps. To a float exponent it is computed in float32 and truncated
    where the exponent is no whole number.
    """
    base, exponent = node.input(0), node.input(1)
    check_broadcast(node, [base, exponent])
    low = node.low
    if base.dtype in FLOATS:
        return _float_power(low, base, exponent)
    if base.dtype not in ("int32", "int64"):
        raise node.refuse(f"the standard has no power of {base.dtype}")
    if exponent.dtype in WHOLE:
        return _whole_power(low, base, exponent)
    whole = compute(low, "EQUAL", exponent, compute(low, "FLOOR", exponent), dtype="bool")
    near = cast(low, compute(low, "POW", cast(low, base, "float32"), cast(low, exponent, "float32")), base.dtype)
    return choose(low, whole, _whole_power(low, base, cast(low, exponent, "int32")), near)


def _float_power(low: Lowering, base: Value, exponent: Value) -> Value:
    if exponent.array is not None and exponent.array.size == 1:
        simple = _SIMPLE.get(float(exponent.array.item()))
        if simple is not None:
            return _as_wide(low, simple(low, base), exponent)
    return compute(low, "POW", base, cast(low, exponent, "float32"), dtype=base.dtype)


def _as_wide(low: Lowering, value: Value, other: Value) -> Value:
    """`value` with the sizes of 1 in front that broadcasting with a single element of higher rank gives it."""
    missing = other.rank - value.rank
    return low.op("Reshape", value, np.array([1] * missing + [-1], np.int64)) if missing > 0 else value


def _whole_power(low: Lowering, base: Value, exponent: Value) -> Value:
    """By squaring: the exponent's bits choose the factors.

    Exponents are cut at 62 or 63 (of the same parity), which changes nothing but what overflows. Below 0 whole
    numbers but 1 and -1 have the power 0.
    """
    exponent = cast(low, exponent, "int32")
    negative = compute(low, "LESS", exponent, 0, dtype="bool")
    absolute = compute(low, "ABS", exponent)
    parity = compute(low, "FLOOR_MOD", absolute, 2)
    rest = compute(low, "MINIMUM", absolute, compute(low, "ADD", parity, 62))
    factor = base
    made: Value | None = None
    for bit in range(6):
        odd = compute(low, "EQUAL", compute(low, "FLOOR_MOD", rest, 2), 1, dtype="bool")
        chosen = choose(low, odd, factor, 1)
        made = chosen if made is None else compute(low, "MUL", made, chosen)
        if bit < 5:
            rest = compute(low, "FLOOR_DIV", rest, 2)
            factor = compute(low, "MUL", factor, factor)
    assert made is not None
    vanishing = compute(low, "LOGICAL_AND", negative, _beyond_one(low, base))
    return choose(low, vanishing, 0, made)


def _beyond_one(low: Lowering, base: Value) -> Value:
    above = compute(low, "GREATER", base, 1, dtype="bool")
    return compute(low, "LOGICAL_OR", above, compute(low, "LESS", base, -1, dtype="bool"))


def reciprocal(node: Node) -> Value:
    """Reciprocal-6 to Reciprocal-13. Without XNNPACK that of 0 is the largest float instead of infinity."""
    return compute(node.low, "DIV", 1.0, demand_floats(node))


OPERATORS = {
    "Pow": power,
    "Sqrt": on_floats("SQRT"),
    "Reciprocal": reciprocal,
}
