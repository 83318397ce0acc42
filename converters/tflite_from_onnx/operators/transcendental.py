"""Exponential functions, logarithms and the error function."""

from __future__ import annotations

from collections.abc import Sequence

from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import compute, demand_floats, on_floats
from mlpack_edge.converters.tflite_from_onnx.values import Value

#: erf(x) = x * P(x**2) / Q(x**2) for |x| up to the point where it rounds to 1 in float32: the minimax approximation that
#: OpenXLA evaluates (xla/hlo/builder/lib/math.cc, ErfImpl32), highest power first.
_ERF_ABOVE = (
    0.00022905065861350646,
    0.0034082910107109506,
    0.050955695062380861,
    0.18520832239976145,
    1.128379143519084,
)
_ERF_BELOW = (
    -1.1791602954361697e-7, 0.000023547966471313185, 0.0010179625278914885, 0.014070470171167667, 0.11098505178285362,
    0.49746925110067538, 1.0,
)  # fmt: skip
_ERF_END = 3.832506856900711


def erf(node: Node) -> Value:
    """Erf-9 to Erf-13, within 3e-7 of the exact value."""
    return error_function(node.low, demand_floats(node))


def error_function(low: Lowering, x: Value) -> Value:
    """erf(x) in arithmetic, for TFLite has no operator for it."""
    x = compute(low, "MINIMUM", _ERF_END, compute(low, "MAXIMUM", -_ERF_END, x))
    square = compute(low, "MUL", x, x)
    above = compute(low, "MUL", x, polynomial(low, square, _ERF_ABOVE))
    return compute(low, "DIV", above, polynomial(low, square, _ERF_BELOW))


def polynomial(low: Lowering, x: Value, coefficients: Sequence[float]) -> Value:
    """By Horner's rule; coefficients: highest power first, at least two."""
    made = compute(low, "MUL", x, coefficients[0])
    for coefficient in coefficients[1:-1]:
        made = compute(low, "MUL", compute(low, "ADD", made, coefficient), x)
    return compute(low, "ADD", made, coefficients[-1])


OPERATORS = {
    "Exp": on_floats("EXP"),
    "Log": on_floats("LOG"),
    "Erf": erf,
}
