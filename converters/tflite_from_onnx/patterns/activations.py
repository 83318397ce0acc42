"""Activations that exporters take apart. Each pattern is given the last node, and tells what it is of and its operator."""

from __future__ import annotations

import math

import onnx

from mlpack_edge.converters.tflite_from_onnx.patterns.expressions import Expressions, close

#: (domain, operator, the value it is of)
Found = tuple[str, str, str]

_CUBIC = 0.044715
_SLOPE = math.sqrt(2.0 / math.pi)


def gelu(known: Expressions, last: onnx.NodeProto) -> Found | None:
    """x / 2 * (1 + erf(x / sqrt(2))): D. Hendrycks and K. Gimpel 2016, "Gaussian Error Linear Units"."""
    for gate in _factors(known, last):
        inner = known.maker(known.added(gate, 1.0) or "", "Erf")
        if inner is None:
            continue
        for x in known.under(inner.input[0]):
            of_x = known.product(inner.input[0], [x]).is_of(math.sqrt(0.5), x)
            if of_x and known.product(last.output[0], [x]).is_of(0.5, x, gate):
                return "com.microsoft", "Gelu", x
    return None


def gelu_by_tanh(known: Expressions, last: onnx.NodeProto) -> Found | None:
    """x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))), the same paper; the cubic in either grouping."""
    for gate in _factors(known, last):
        inner = known.maker(known.added(gate, 1.0) or "", "Tanh")
        if inner is None:
            continue
        for x in known.under(inner.input[0]):
            if _is_cubic(known, inner.input[0], x) and known.product(last.output[0], [x]).is_of(0.5, x, gate):
                return "com.microsoft", "FastGelu", x
    return None


def _is_cubic(known: Expressions, name: str, x: str) -> bool:
    for total in known.product(name, [x]).factors:
        if total == x:
            continue
        whole = known.product(name, [x, total])
        for one, other in _ways(known, total):
            if one == x and known.product(other, [x]).is_of(_CUBIC, x, x, x):
                return whole.is_of(_SLOPE, total)
            number = known.number(one)
            if number is not None and close(number, 1.0) and known.product(other, [x]).is_of(_CUBIC, x, x):
                return whole.is_of(_SLOPE, x, total)
    return False


def _ways(known: Expressions, name: str) -> list[tuple[str, str]]:
    pair = known.summands(name)
    return [] if pair is None else [pair, (pair[1], pair[0])]


def hard_swish(known: Expressions, last: onnx.NodeProto) -> Found | None:
    """x * relu6(x + 3) / 6, and x * HardSigmoid(x) with its slope of 1/6: A. Howard and others 2019, "MobileNetV3"."""
    for gate in _factors(known, last):
        node = known.maker(gate, "Clip", "HardSigmoid")
        if node is None:
            continue
        if node.op_type == "HardSigmoid":
            x, number = node.input[0], 1.0
            slope, offset = known.attribute(node, "alpha", 0.2), known.attribute(node, "beta", 0.5)
            fits = close(slope, 1 / 6) and close(offset, 0.5)
        else:
            x, number = known.added(node.input[0], 3.0) or "", 1 / 6
            fits = bool(x) and _is_clip(known, node, 0.0, 6.0)
        if fits and known.product(last.output[0], [x]).is_of(number, x, gate):
            return "", "HardSwish", x
    return None


def _is_clip(known: Expressions, node: onnx.NodeProto, least: float, most: float) -> bool:
    if len(node.input) == 3:
        return (known.number(node.input[1]), known.number(node.input[2])) == (least, most)
    if len(node.input) > 1:
        return False
    return (known.attribute(node, "min", math.nan), known.attribute(node, "max", math.nan)) == (least, most)


def mish(known: Expressions, last: onnx.NodeProto) -> Found | None:
    """x * tanh(softplus(x)): D. Misra 2019, "Mish"."""
    for gate in _factors(known, last):
        outer = known.maker(gate, "Tanh")
        inner = None if outer is None else known.maker(outer.input[0], "Softplus")
        if inner is not None and known.product(last.output[0], [inner.input[0]]).is_of(1.0, inner.input[0], gate):
            return "", "Mish", inner.input[0]
    return None


def _factors(known: Expressions, last: onnx.NodeProto) -> list[str]:
    return list(known.product(last.output[0]).factors)


PATTERNS = (gelu, gelu_by_tanh, hard_swish, mish)
