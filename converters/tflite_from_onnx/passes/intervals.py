"""Between which numbers a float tensor lies, as far as the operators behind it tell (interval arithmetic)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.codes import LIMITS, one_scale, scale_of, zero_of
from mlpack_edge.converters.tflite_from_onnx.passes.edges import Edges
from mlpack_edge.converters.tflite_graph.model import Op, Tensor

#: (lowest, highest); infinite where nothing is known. NaN is in none: who needs a bound for it asks elsewhere.
Interval = tuple[float, float]
ANYTHING: Interval = (-math.inf, math.inf)

#: Operators that give elements of their first input.
_MOVING = frozenset({
    "AVERAGE_POOL_2D", "BROADCAST_TO", "DEPTH_TO_SPACE", "EXPAND_DIMS", "GATHER", "MAX_POOL_2D", "MEAN", "MIRROR_PAD",
    "REDUCE_MAX", "REDUCE_MIN", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SLICE", "SPACE_TO_DEPTH",
    "SPLIT_V", "SQUEEZE", "STRIDED_SLICE", "TILE", "TRANSPOSE", "UNPACK",
})  # fmt: skip
_BETWEEN: dict[str, Interval] = {
    "LOGISTIC": (0.0, 1.0), "SOFTMAX": (0.0, 1.0), "TANH": (-1.0, 1.0), "RELU_0_TO_1": (0.0, 1.0), "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0), "SIN": (-1.0, 1.0), "COS": (-1.0, 1.0),
}  # fmt: skip
_FUSED: dict[str, Interval] = {"RELU": (0.0, math.inf), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}


class Intervals:
    """The intervals of one graph's tensors, each found once."""

    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self._found: dict[Tensor, Interval] = {}

    def of(self, tensor: Tensor | None) -> Interval:
        """Between which numbers `tensor` lies whatever the inputs of the graph are."""
        if tensor is None:
            return ANYTHING
        stack = [tensor]  # a walk of its own: nets are deeper than Python's stack
        while stack:
            current = stack[-1]
            maker = self._edges.maker(current)
            missing = [
                given
                for given in (maker.inputs if maker is not None and maker.kind in _RULES else ())
                if given is not None and given.dtype == "float32" and given not in self._found
            ]
            if current not in self._found and missing:
                stack.extend(missing)
                continue
            stack.pop()
            if current not in self._found:
                self._found[current] = self._compute(current, maker)
        return self._found[tensor]

    def _compute(self, tensor: Tensor, maker: Op | None) -> Interval:
        if tensor.data is not None:
            if not tensor.data.size or not np.isfinite(tensor.data).all():
                return ANYTHING
            return float(tensor.data.min()), float(tensor.data.max())
        if maker is None or tensor.dtype != "float32":
            return ANYTHING
        if maker.kind == "DEQUANTIZE":
            return _of_codes(maker.inputs[0])
        rule = _RULES.get(maker.kind)
        found = _BETWEEN.get(maker.kind, ANYTHING) if rule is None else rule(self, maker)
        low, high = _FUSED.get(maker.options.get("fused_activation_function", "NONE"), ANYTHING)
        found = max(found[0], low), min(found[1], high)
        return ANYTHING if math.isnan(found[0]) or math.isnan(found[1]) else found

    def known(self, tensor: Tensor | None) -> Interval:
        assert tensor is not None
        return self._found.get(tensor, ANYTHING)


def _of_codes(codes: Tensor | None) -> Interval:
    if codes is None or not one_scale(codes):
        return ANYTHING
    low, high = ((limit - zero_of(codes)) * scale_of(codes) for limit in LIMITS[codes.dtype])
    return low, high


def _first(found: Intervals, op: Op) -> Interval:
    return found.known(op.inputs[0])


def _second(found: Intervals, op: Op) -> Interval:
    return found.known(op.inputs[1])


def _hull(*intervals: Interval) -> Interval:
    return min(low for low, _ in intervals), max(high for _, high in intervals)


def _with_zero(found: Intervals, op: Op) -> Interval:
    return _hull(_first(found, op), (0.0, 0.0))


def _joined(found: Intervals, op: Op) -> Interval:
    return _hull(*(found.known(tensor) for tensor in op.inputs if tensor is not None))


def _sum(found: Intervals, op: Op) -> Interval:
    (a, b), (c, d) = (found.known(tensor) for tensor in op.inputs)
    return a + c, b + d


def _difference(found: Intervals, op: Op) -> Interval:
    (a, b), (c, d) = (found.known(tensor) for tensor in op.inputs)
    return a - d, b - c


def _product(found: Intervals, op: Op) -> Interval:
    if op.inputs[0] is op.inputs[1]:
        return _square(found, op)
    left, right = (found.known(tensor) for tensor in op.inputs)
    products = [x * y for x in left for y in right]
    return (min(products), max(products)) if not any(map(math.isnan, products)) else ANYTHING


def _square(found: Intervals, op: Op) -> Interval:
    low, high = _first(found, op)
    least = 0.0 if low <= 0 <= high else min(low * low, high * high)
    return least, max(low * low, high * high)


def _quotient(found: Intervals, op: Op) -> Interval:
    left, (low, high) = (found.known(tensor) for tensor in op.inputs)
    if low <= 0 <= high:
        return ANYTHING
    quotients = [x / y for x in left for y in (low, high)]
    return (min(quotients), max(quotients)) if not any(map(math.isnan, quotients)) else ANYTHING


def _inverse_root(found: Intervals, op: Op) -> Interval:
    low, high = _first(found, op)
    return (1 / math.sqrt(high), 1 / math.sqrt(low)) if low > 0 else ANYTHING


def _largest(found: Intervals, op: Op) -> Interval:
    (a, b), (c, d) = (found.known(tensor) for tensor in op.inputs)
    return max(a, c), max(b, d)


def _least(found: Intervals, op: Op) -> Interval:
    (a, b), (c, d) = (found.known(tensor) for tensor in op.inputs)
    return min(a, c), min(b, d)


def _leaky(found: Intervals, op: Op) -> Interval:
    low, high = _first(found, op)
    alpha = float(op.options.get("alpha", 0.0))
    return _hull((low, high), (low * alpha, high * alpha)) if math.isfinite(low) and math.isfinite(high) else ANYTHING


def _parametric(found: Intervals, op: Op) -> Interval:
    (low, high), slopes = (found.known(tensor) for tensor in op.inputs)
    products = [low * slope for slope in slopes]
    return ANYTHING if any(map(math.isnan, products)) else _hull((low, high), *((x, x) for x in products), (0.0, 0.0))


_RULES: dict[str, Callable[[Intervals, Op], Interval]] = {
    **dict.fromkeys(_MOVING, _first),
    **dict.fromkeys(("PAD", "RELU", "HARD_SWISH", "GELU", "ELU"), _with_zero),
    "ADD": _sum,
    "CONCATENATION": _joined,
    "DIV": _quotient,
    "LEAKY_RELU": _leaky,
    "MAXIMUM": _largest,
    "MINIMUM": _least,
    "MUL": _product,
    "PACK": _joined,
    "PADV2": _joined,
    "PRELU": _parametric,
    "RSQRT": _inverse_root,
    "SPLIT": _second,
    "SQUARE": _square,
    "SUB": _difference,
}
