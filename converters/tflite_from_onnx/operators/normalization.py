"""Normalisation by statistics of the values themselves: over the last axes, groups of channels, chosen axes, or by a norm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import unary
from mlpack_edge.converters.tflite_from_onnx.operators.reductions import FLOATS, reduced
from mlpack_edge.converters.tflite_from_onnx.sizes import product
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, channels_last

#: The smallest normal float32: a norm is not divided by less, so that a row of zeros stays one.
_TINY = np.float32(1.1754944e-38)


def floats(node: Node, value: Value) -> Value:
    """`value`, refused where it holds no floats."""
    if value.dtype not in FLOATS:
        raise node.refuse(f"it normalises floats in TFLite, not {value.dtype}")
    return value


def centred(node: Node, value: Value, axes: Sequence[int], epsilon: float) -> tuple[Value, Value, Value]:
    """(value - mean, mean, 1 / sqrt(variance + epsilon)), the statistics with sizes of 1 at `axes`."""
    mean = reduced(node, "MEAN", value, axes, True)
    off = node.low.op("Sub", value, mean)
    return off, mean, _inverse_root(node, node.low.op("Mul", off, off), axes, epsilon)


def _inverse_root(node: Node, squares: Value, axes: Sequence[int], epsilon: float) -> Value:
    power = reduced(node, "MEAN", squares, axes, True)
    return unary(node, "RSQRT", node.low.op("Add", power, np.array(epsilon, power.dtype)))


def normalized(node: Node, value: Value, axes: Sequence[int], epsilon: float) -> Value:
    """(value - mean) / sqrt(variance + epsilon) over `axes`."""
    off, _, scale = centred(node, value, axes, epsilon)
    return node.low.op("Mul", off, scale)


def affine(node: Node, value: Value, scale: Value | None, shift: Value | None) -> Value:
    """value * scale + shift, broadcast as numpy does; a scale of ones and a shift of zeros cost nothing."""
    if scale is not None and not (scale.array is not None and bool((scale.array == 1).all())):
        value = node.low.op("Mul", value, scale)
    if shift is not None and not (shift.array is not None and not shift.array.any()):
        value = node.low.op("Add", value, shift)
    return value


def layer(node: Node) -> list[Value]:
    """LayerNormalization-17: over the axes from `axis` on; also gives the mean and the inverse deviation."""
    value = floats(node, node.input(0))
    axes = range(node.axis(-1), value.rank)
    off, mean, scale = centred(node, value, axes, float(node.attr("epsilon", 1e-5)))
    made = affine(node, node.low.op("Mul", off, scale), node.input(1), node.optional(2))
    if value.dtype != "float32":  # the statistics are of the type of `stash_type`
        kind = int(node.attr("stash_type", 1))
        mean, scale = (node.low.op("Cast", statistic, to=kind) for statistic in (mean, scale))
    return [made, mean, scale][: node.outputs]


def rms(node: Node) -> Value:
    """RMSNormalization-23: divided by the root of the mean square over the axes from `axis` on."""
    value = floats(node, node.input(0))
    return affine(node, _by_root_mean_square(node, value, range(node.axis(-1), value.rank)), node.input(1), None)


def _by_root_mean_square(node: Node, value: Value, axes: Sequence[int]) -> Value:
    squares = node.low.op("Mul", value, value)
    return node.low.op("Mul", value, _inverse_root(node, squares, axes, float(node.attr("epsilon", 1e-5))))


def group(node: Node) -> Value:
    """GroupNormalization-18 (scale and bias a group) and -21 (a channel). Channels may be last in memory."""
    value, low = floats(node, node.input(0)), node.low
    channels, groups = value.shape[1], int(node.attr("num_groups"))
    if not isinstance(channels, int) or channels % groups:
        raise node.refuse(f"its {channels} channels are no whole number of {groups} groups")
    space = product(value.shape[2:])
    spec = Spec(value.dtype, (value.shape[0], groups, channels // groups, space))
    last = channels_last(value.rank)
    inner = (0, 3, 1, 2) if value.layout == last and value.rank > 2 else (0, 1, 2, 3)
    outer = last if inner != (0, 1, 2, 3) else value.plain
    split = low.value(low.reshape(low.tensor(value, outer), [spec.shape[axis] for axis in inner]), spec, inner)
    made = normalized(node, split, (2, 3), float(node.attr("epsilon", 1e-5)))
    numbers = node.inputs[1:3]
    if node.version < 21:
        made = affine(node, made, *(_column(node, number, (groups, 1, 1)) for number in numbers))
    back = low.reshape(low.tensor(made, inner), [value.shape[axis] for axis in outer])
    joined = low.value(back, Spec(value.dtype, value.shape), outer)
    if node.version < 21:
        return joined
    shape = (channels, *(1,) * (value.rank - 2))
    return affine(node, joined, *(_column(node, number, shape) for number in numbers))


def _column(node: Node, value: Value | None, shape: tuple[int, ...]) -> Value | None:
    return None if value is None else node.low.op("Reshape", value, np.array(shape, np.int64))


def mean_variance(node: Node) -> Value:
    """MeanVarianceNormalization-9 and -13: (x - mean) / (deviation + 1e-9), over batch and space by default."""
    value, low = floats(node, node.input(0)), node.low
    axes = [int(axis) % value.rank for axis in node.attr("axes", [0, 2, 3])]
    off = low.op("Sub", value, reduced(node, "MEAN", value, axes, True))
    deviation = unary(node, "SQRT", reduced(node, "MEAN", low.op("Mul", off, off), axes, True))
    return low.op("Div", off, low.op("Add", deviation, np.array(1e-9, value.dtype)))


def norm(node: Node) -> Value:
    """LpNormalization-1 and -22: divided by the sum of absolute values or the root of the sum of squares."""
    value, low = floats(node, node.input(0)), node.low
    order, axis = int(node.attr("p", 2)), node.axis(-1)
    if order not in (1, 2):
        raise node.refuse(f"its norm is of order {order}, and the standard has 1 and 2")
    parts = unary(node, "ABS", value) if order == 1 else low.op("Mul", value, value)
    length = reduced(node, "SUM", parts, [axis], True)
    if order == 2:
        length = unary(node, "SQRT", length)
    return low.op("Div", value, low.op("Max", length, np.array(_TINY, value.dtype)))


OPERATORS = {
    "LayerNormalization": layer,
    "RMSNormalization": rms,
    "GroupNormalization": group,
    "MeanVarianceNormalization": mean_variance,
    "LpNormalization": norm,
}
