"""Trigonometric and hyperbolic functions and their inverses.

TFLite has SIN, COS, TANH and ATAN2. XNNPACK's SIN and COS are within 3e-7 for arguments up to some thousands.
"""

from __future__ import annotations

from collections.abc import Callable

from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import compute, demand_floats, on_floats
from mlpack_edge.converters.tflite_from_onnx.values import Value

#: Above this, asinh and acosh are log(2 x) in float32, and x * x would overflow soon.
_LARGE = 1e9


def _of(function: Callable[[Lowering, Value], Value]) -> Callable[[Node], Value]:
    def lower(node: Node) -> Value:
        return function(node.low, demand_floats(node))

    return lower


def tan(low: Lowering, x: Value) -> Value:
    return compute(low, "DIV", compute(low, "SIN", x), compute(low, "COS", x))


def asin(low: Lowering, x: Value) -> Value:
    """atan2(x, sqrt(1 - x**2)); NaN beyond 1."""
    return compute(low, "ATAN2", x, _other_leg(low, x))


def acos(low: Lowering, x: Value) -> Value:
    return compute(low, "ATAN2", _other_leg(low, x), x)


def _other_leg(low: Lowering, x: Value) -> Value:
    """sqrt(1 - x**2) as sqrt((1 - x) * (1 + x)), which loses nothing near 1."""
    product = compute(low, "MUL", compute(low, "SUB", 1.0, x), compute(low, "ADD", x, 1.0))
    return compute(low, "SQRT", product)


def atan(low: Lowering, x: Value) -> Value:
    """atan2(x, 1); ATAN2 broadcasts nothing, so the 1 is made in the shape of x."""
    ones = compute(low, "MAXIMUM", 1.0, compute(low, "MINIMUM", 1.0, x))
    return compute(low, "ATAN2", x, ones)


def sinh(low: Lowering, x: Value) -> Value:
    """(e**a - e**-a) / 2 for a = |x|, with the sign of x.

    It is -m * (m + 2) * e**a / 2 with m = e**-a - 1, which ELU gives without loss near 0; e**a is taken as a square, for
    the result is finite for a little longer than it.
    """
    a = compute(low, "ABS", x)
    m = compute(low, "ELU", compute(low, "NEG", a))
    root = compute(low, "EXP", compute(low, "MUL", a, 0.5))
    factor = compute(low, "MUL", compute(low, "MUL", m, compute(low, "ADD", m, 2.0)), -0.5)
    made = compute(low, "MUL", compute(low, "MUL", root, factor), root)
    return compute(low, "MUL", made, compute(low, "SIGN", x))


def cosh(low: Lowering, x: Value) -> Value:
    """(e**x + e**-x) / 2."""
    halves = []
    for half in (0.5, -0.5):
        root = compute(low, "EXP", compute(low, "MUL", x, half))
        halves.append(compute(low, "MUL", compute(low, "MUL", root, 0.5), root))
    return compute(low, "ADD", *halves)


def asinh(low: Lowering, x: Value) -> Value:
    """log(a + sqrt(a**2 + 1)) for a = |x|, with the sign of x; within 3e-7 of small results."""
    a = compute(low, "ABS", x)
    t = compute(low, "MINIMUM", _LARGE, a)
    root = compute(low, "SQRT", compute(low, "ADD", compute(low, "MUL", t, t), 1.0))
    made = compute(low, "LOG", compute(low, "ADD", t, root))
    return compute(low, "MUL", _with_rest(low, made, a), compute(low, "SIGN", x))


def acosh(low: Lowering, x: Value) -> Value:
    """log(x + sqrt(x - 1) * sqrt(x + 1)); NaN below 1."""
    t = compute(low, "MINIMUM", _LARGE, x)
    roots = [compute(low, "SQRT", compute(low, "ADD", t, number)) for number in (-1.0, 1.0)]
    made = compute(low, "LOG", compute(low, "ADD", t, compute(low, "MUL", *roots)))
    return _with_rest(low, made, x)


def _with_rest(low: Lowering, made: Value, x: Value) -> Value:
    """What was cut off of a large argument is the same factor of what the logarithm is taken of."""
    factor = compute(low, "MUL", compute(low, "MAXIMUM", _LARGE, x), 1.0 / _LARGE)
    return compute(low, "ADD", made, compute(low, "LOG", factor))


def atanh(low: Lowering, x: Value) -> Value:
    """log((1 + x) / (1 - x)) / 2; NaN beyond 1; within 2e-7 of small results."""
    fraction = compute(low, "DIV", compute(low, "ADD", x, 1.0), compute(low, "SUB", 1.0, x))
    return compute(low, "MUL", compute(low, "LOG", fraction), 0.5)


OPERATORS = {
    "Sin": on_floats("SIN"),
    "Cos": on_floats("COS"),
    "Tanh": on_floats("TANH"),
    "Tan": _of(tan),
    "Asin": _of(asin),
    "Acos": _of(acos),
    "Atan": _of(atan),
    "Sinh": _of(sinh),
    "Cosh": _of(cosh),
    "Asinh": _of(asinh),
    "Acosh": _of(acosh),
    "Atanh": _of(atanh),
}
