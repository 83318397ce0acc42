"""Integer products, exact: MatMulInteger, ConvInteger, and what ONNX Runtime's dynamic quantization writes with them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx import sizes
from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import cast, compute
from mlpack_edge.converters.tflite_from_onnx.sizes import broadcast
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, constant

Array = NDArray[Any]
#: Whole numbers up to here are exact in float32, and so are sums that stay below it.
_EXACT = 1 << 24


def matmul_integer(node: Node) -> Value:
    """MatMulInteger-10: (a - a_zero) (b - b_zero) in int32. Zero points for all, for rows of a, for columns of b."""
    return _product(node, node.input(0), node.input(1), node.optional(2), node.optional(3))


def _product(node: Node, a: Value, b: Value, a_zero: Value | None, b_zero: Value | None) -> Value:
    low = node.low
    if not isinstance(a.shape[-1], int):
        raise node.refuse("how many products it sums is open", "fix the sizes with --shape")
    rows, columns = a.rank == 1, b.rank == 1
    a = low.op("Unsqueeze", a, np.array([0], np.int64)) if rows else a
    b = low.op("Unsqueeze", b, np.array([1], np.int64)) if columns else b
    left, left_zero = _as_int8(low, a, _beside(low, a_zero, column=True))
    right, right_zero = _as_int8(low, b, _beside(low, b_zero, column=False))
    made = _int8_product(node, left, right)
    if left_zero is not None:
        made = compute(low, "SUB", made, compute(low, "MUL", _sum(low, right, -2), left_zero))
    if right_zero is not None:
        summed = _sum(low, left, -1)
        if left_zero is not None:
            summed = compute(low, "SUB", summed, compute(low, "MUL", left_zero, int(left.shape[-1])))
        made = compute(low, "SUB", made, compute(low, "MUL", summed, right_zero))
    gone = [axis for axis, dropped in ((-2, rows), (-1, columns)) if dropped]
    return low.op("Squeeze", made, np.array(gone, np.int64)) if gone else made


def _int8_product(node: Node, a: Value, b: Value) -> Value:
    """BATCH_MATMUL of bare int8 matrices with int32 sums."""
    low = node.low
    shape = (*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    if len(shape) > 5:
        raise node.refuse(f"its matrices have {len(shape)} dimensions, and TFLite takes 5")
    spec = Spec("int32", shape)
    return low.emit_value("BATCH_MATMUL", [low.tensor(a), low.tensor(b)], spec, adj_x=False, adj_y=False)


def _as_int8(low: Lowering, x: Value, zero: Value | None) -> tuple[Value, Value | None]:
    """Codes as int8, and their zero point as int32 or a constant; None where it is 0 everywhere."""
    center = constant("", np.zeros((), np.int32)) if zero is None else cast(low, zero, "int32")
    if x.dtype == "uint8":
        x = cast(low, compute(low, "SUB", cast(low, x, "int32"), 128), "int8") if x.array is None else _moved(x)
        center = low.op("Sub", center, np.array(128, np.int32))
    elif x.array is None:
        x = cast(low, cast(low, x, "int32"), "int8")  # without the scales that the codes may have
    return x, None if center.array is not None and not center.array.any() else center


def _moved(x: Value) -> Value:
    assert x.array is not None
    return constant(x.name, (x.array.astype(np.int16) - 128).astype(np.int8))


def _beside(low: Lowering, zero: Value | None, *, column: bool) -> Value | None:
    """A zero point that is broadcast over the product: those of a's rows stand in a column."""
    if zero is None or zero.rank == 0:
        return zero
    if sizes.count(zero.shape) == 1:
        return low.op("Reshape", zero, np.array([], np.int64))
    return low.op("Unsqueeze", zero, np.array([-1], np.int64)) if column and zero.rank == 1 else zero


def _sum(low: Lowering, x: Value, axis: int) -> Value:
    return low.op("ReduceSum", cast(low, x, "int32"), np.array([axis], np.int64), keepdims=1)


def conv_integer(node: Node) -> Value:
    """ConvInteger-10 by convolutions of floats whose sums stay exact.

    Constant weights are taken apart bit by bit where their sums could pass 2**24; others are refused there.
    """
    low, x, w = node.low, node.input(0), node.input(1)
    x_zero, w_zero = node.optional(2), node.optional(3)
    reals = cast(low, cast(low, x, "int32"), "float32")
    if x_zero is not None:
        reals = compute(low, "SUB", reals, cast(low, _single(node, x_zero), "float32"))
    attributes = {attribute.name: node.attr(attribute.name) for attribute in node.proto.attribute}
    made: Value | None = None
    for part, factor in _filters(node, w, w_zero):
        summed = cast(low, low.op("Conv", reals, part, **attributes), "int32")
        summed = summed if factor == 1 else compute(low, "MUL", summed, factor)
        made = summed if made is None else compute(low, "ADD", made, summed)
    assert made is not None
    return made


def _filters(node: Node, w: Value, zero: Value | None) -> list[tuple[Value, int]]:
    """(weights less their zero points as floats, factor) that add up to them."""
    low = node.low
    if w.array is not None and (zero is None or zero.array is not None):
        center = np.zeros((), np.int64) if zero is None or zero.array is None else zero.array.astype(np.int64)
        center = center.reshape(()) if center.size == 1 else center.reshape(-1, *(1,) * (w.rank - 1))
        parts = _parts(node, w.array.astype(np.int64) - center)
        return [(constant(w.name, part.astype(np.float32)), factor) for part, factor in parts]
    kernel = sizes.known(w.shape[1:])
    if kernel is None or math.prod(kernel) * 255 * 255 >= _EXACT:
        raise node.refuse(
            "its sums can pass 16,777,216, above which float32 rounds, and its weights are known only when it runs",
            "make the weights a constant of the model",
        )
    filters = cast(low, cast(low, w, "int32"), "float32")
    if zero is not None:
        center_of = cast(low, zero, "float32")
        if sizes.count(zero.shape) != 1:
            center_of = low.op("Unsqueeze", center_of, np.arange(1, w.rank))
        filters = low.op("Sub", filters, center_of)
    return [(filters, 1)]


def _single(node: Node, zero: Value) -> Value:
    if sizes.count(zero.shape) != 1:
        raise node.refuse("its input has several zero points")
    return node.low.op("Reshape", zero, np.array([], np.int64))


def _parts(node: Node, weights: Array) -> list[tuple[Array, int]]:
    """(weights, factor) that add up to `weights`, each so small that sums of products with codes are exact."""
    sign, size = np.sign(weights), np.abs(weights)
    for bits in (9, 5, 3, 2, 1):
        digits = [(sign * ((size >> shift) & ((1 << bits) - 1)), 1 << shift) for shift in range(0, 9, bits)]
        if all(_largest(part) * 255 < _EXACT for part, _ in digits):
            return [digit for digit in digits if digit[0].any()] or digits[:1]
    raise node.refuse("it sums too many products of integers for TFLite's convolutions to be exact")


def _largest(weights: Array) -> int:
    return int(np.abs(weights).reshape(len(weights), -1).sum(axis=1).max(initial=0))


def matmul_integer_to_float(node: Node) -> Value:
    """com.microsoft MatMulIntegerToFloat-1: a, b, their scales, their zero points, a bias."""
    made = _product(node, node.input(0), node.input(1), node.optional(4), node.optional(5))
    return _in_reals(node, made, node.input(2), node.input(3), node.optional(6))


def dynamic_quantize_matmul(node: Node) -> Value:
    """com.microsoft DynamicQuantizeMatMul-1: a is quantized as it comes; b, its scale, its zero point, a bias."""
    codes, scale, zero = node.low.ops("DynamicQuantizeLinear", node.input(0), outputs=3)
    assert codes is not None and scale is not None
    made = _product(node, codes, node.input(1), zero, node.optional(3))
    return _in_reals(node, made, scale, node.input(2), node.optional(4))


def _in_reals(node: Node, sums: Value, a_scale: Value, b_scale: Value, bias: Value | None) -> Value:
    low = node.low
    scale = low.op("Mul", _beside(low, a_scale, column=True), b_scale)
    made = low.op("Mul", cast(low, sums, "float32"), scale)
    return made if bias is None else low.op("Add", made, bias)


OPERATORS = {
    "MatMulInteger": matmul_integer,
    "ConvInteger": conv_integer,
    "com.microsoft:DynamicQuantizeMatMul": dynamic_quantize_matmul,
    "com.microsoft:MatMulIntegerToFloat": matmul_integer_to_float,
}
