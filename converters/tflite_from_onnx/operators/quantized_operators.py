"""Operators on codes (QLinearConv and its like): the real numbers of their inputs, the operator, the codes of its result.

So they are what QDQ models are, and the passes that draw those together into int8 kernels serve both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlpack_edge.converters.tflite_from_onnx import sizes
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.values import Value, constant


def real(node: Node, place: int, axis: int | None = None) -> Value:
    """The real numbers of the codes at input `place`, whose scale and zero point follow it.

    axis: along which they lie where there are several; None where one is for all.
    """
    return scaled(node, node.input(place), node.input(place + 1), node.optional(place + 2), axis)


def scaled(node: Node, codes: Value, scale: Value, zero: Value | None, axis: int | None) -> Value:
    """DequantizeLinear, with scales for an axis written with as many sizes of 1 as their operator likes."""
    low, along = node.low, None
    if sizes.count(scale.shape) != 1:
        if axis is None:
            raise node.refuse(f"it has {list(scale.shape)} scales where one is for the whole tensor")
        if sizes.count(scale.shape) != codes.shape[axis]:
            raise node.refuse(f"its scales {list(scale.shape)} are not one for each place of one axis")
        along = axis
    shape = np.array([] if along is None else [-1], np.int64)
    scale = low.op("Reshape", scale, shape)
    if zero is not None:
        if along is not None and sizes.count(zero.shape) == 1:
            zero = low.op("Expand", low.op("Reshape", zero, np.array([1], np.int64)), _shape_of(scale))
        zero = low.op("Reshape", zero, shape)
    return low.op("DequantizeLinear", codes, scale, zero, axis=along)


def _shape_of(value: Value) -> np.ndarray:
    return np.array(sizes.known(value.shape), np.int64)


def codes_of(node: Node, value: Value, place: int) -> Value:
    """The result as codes with the scale at input `place` and the zero point behind it."""
    shape = np.array([], np.int64)
    scale, zero = node.input(place), node.optional(place + 1)
    if sizes.count(scale.shape) != 1:
        raise node.refuse("it has several scales for its result")
    scale = node.low.op("Reshape", scale, shape)
    return node.low.op("QuantizeLinear", value, scale, None if zero is None else node.low.op("Reshape", zero, shape))


def _attributes(node: Node, *dropped: str) -> dict[str, Any]:
    return {
        attribute.name: node.attr(attribute.name) for attribute in node.proto.attribute if attribute.name not in dropped
    }


def bias(node: Node, given: Value | None, *scales: Value, factor: float = 1.0) -> Value | None:
    """An int32 bias in real numbers: its scale is the product of the scales of the operands."""
    if given is None:
        return None
    product = np.array([factor], np.float32)
    for value in scales:
        if value.array is None:
            raise node.refuse("the scales of its operands are known only when the model runs, and its bias is in them")
        product = product * value.array.astype(np.float32).reshape(-1)
    flat = product.astype(np.float32)
    one = flat.size == 1
    axis = None if one else given.rank - 1
    return node.low.op("DequantizeLinear", given, constant("", flat.reshape(()) if one else flat), axis=axis)


def qlinear_conv(node: Node) -> Value:
    """QLinearConv-10: x, w with scales for each output channel, y's scale, an int32 bias."""
    shift = bias(node, node.optional(8), node.input(1), node.input(4))
    made = node.low.op("Conv", real(node, 0), real(node, 3, axis=0), shift, **_attributes(node))
    return codes_of(node, made, 6)


def qlinear_matmul(node: Node) -> Value:
    """QLinearMatMul-10 and -21: scales for the rows of a and the columns of b."""
    a, b = node.input(0), node.input(3)
    made = node.low.op("MatMul", real(node, 0, axis=max(a.rank - 2, 0)), real(node, 3, axis=b.rank - 1))
    return codes_of(node, made, 6)


def qgemm(node: Node) -> Value:
    """com.microsoft QGemm-1: alpha * A' B' + C, C in the scale of alpha * a * b; real numbers without y's scale."""
    turned = bool(node.attr("transB", 0))
    alpha = float(node.attr("alpha", 1.0))
    shift = bias(node, node.optional(6), node.input(1), node.input(4), factor=alpha)
    b = real(node, 3, axis=0 if turned else 1)
    made = node.low.op("Gemm", real(node, 0), b, shift, **_attributes(node))
    return made if node.optional(7) is None else codes_of(node, made, 7)


def _binary(op_type: str) -> Callable[[Node], Value]:
    """com.microsoft QLinearAdd-1 and QLinearMul-1: a, b, the scale of c."""

    def lower(node: Node) -> Value:
        return codes_of(node, node.low.op(op_type, real(node, 0), real(node, 3)), 6)

    return lower


def _unary(op_type: str, *dropped: str) -> Callable[[Node], Value]:
    """com.microsoft operators on one tensor: x, the scale of y."""

    def lower(node: Node) -> Value:
        if node.attr("channels_last", 0):
            raise node.refuse("its image is channel-last, which ONNX Runtime writes only for itself")
        made = node.low.op(op_type, real(node, 0), **_attributes(node, "channels_last", *dropped))
        return codes_of(node, made, 3)

    return lower


def qlinear_softmax(node: Node) -> Value:
    """com.microsoft QLinearSoftmax-1: as the Softmax of the opset it names."""
    made = node.low.op("Softmax", real(node, 0), version=int(node.attr("opset", 13)), axis=node.attr("axis"))
    return codes_of(node, made, 3)


def qlinear_concat(node: Node) -> Value:
    """com.microsoft QLinearConcat-1: the scale of y, then each input with its own."""
    parts = [real(node, place) for place in range(2, len(node.inputs), 3)]
    return codes_of(node, node.low.op("Concat", *parts, axis=int(node.attr("axis", 0))), 0)


def qlinear_where(node: Node) -> Value:
    """com.microsoft QLinearWhere-1: the condition, x, y, the scale of z."""
    return codes_of(node, node.low.op("Where", node.input(0), real(node, 1), real(node, 4)), 7)


OPERATORS = {
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "com.microsoft:QGemm": qgemm,
    "com.microsoft:QLinearAdd": _binary("Add"),
    "com.microsoft:QLinearMul": _binary("Mul"),
    "com.microsoft:QLinearAveragePool": _unary("AveragePool"),
    "com.microsoft:QLinearConcat": qlinear_concat,
    "com.microsoft:QLinearGlobalAveragePool": _unary("GlobalAveragePool"),
    "com.microsoft:QLinearLeakyRelu": _unary("LeakyRelu"),
    "com.microsoft:QLinearSigmoid": _unary("Sigmoid"),
    "com.microsoft:QLinearSoftmax": qlinear_softmax,
    "com.microsoft:QLinearWhere": qlinear_where,
}
