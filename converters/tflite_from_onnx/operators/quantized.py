"""QuantizeLinear and DequantizeLinear, of the standard and of com.microsoft."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from mlpack_edge.converters.tflite_from_onnx import sizes
from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import FLOATS, cast, compute
from mlpack_edge.converters.tflite_from_onnx.operators.quantized_codes import (
    LIMITS,
    dequantized,
    held_codes,
    is_kernel_scale,
    is_kernel_type,
    quantized,
    weights,
)
from mlpack_edge.converters.tflite_from_onnx.values import Codes, Value, constant
from mlpack_edge.converters.tflite_graph.model import Quantization

Array = NDArray[Any]


def quantize_linear(node: Node) -> Value:
    """QuantizeLinear-10 to -25: saturate(round(x / scale) + zero_point), halves to even.

    One constant scale for all becomes QUANTIZE. Scales for an axis, in blocks, or known only when the model runs are
    computed with.
    """
    x, scale, zero = node.input(0), node.input(1), node.optional(2)
    dtype = zero.dtype if zero is not None else _output_type(node, "uint8")
    if dtype not in LIMITS:
        raise node.refuse(f"its codes are {dtype}, and TFLite has integers alone")
    if x.dtype not in FLOATS:
        x = cast(node.low, x, "float32")
    one = _single(scale, zero)
    if one is not None and is_kernel_scale(one[0]) and is_kernel_type(dtype, one[1]):
        return quantized(node.low, x, dtype, *one)
    low = node.low
    codes = compute(low, "DIV", x, _along(node, x, scale))
    codes = low.op("Round", codes)
    if zero is not None:
        codes = compute(low, "ADD", codes, _along(node, x, _as_type(low, zero, "float32")))
    least, most = LIMITS[dtype]
    codes = compute(low, "MINIMUM", compute(low, "MAXIMUM", codes, float(least)), float(most))
    made = cast(low, cast(low, codes, "int32"), dtype) if held_codes(dtype) else Value("", dtype, x.shape)
    if one is not None:
        real = compute(low, "MUL", compute(low, "SUB", codes, float(one[1])), one[0])
        made.codes = Codes(real, *one)
    return made


def dequantize_linear(node: Node) -> Value:
    """DequantizeLinear-10 to -25: (x - zero_point) * scale. Constant codes of 8 bits or fewer stay codes in the file."""
    x, scale, zero = node.input(0), node.input(1), node.optional(2)
    dtype = _output_type(node, scale.dtype)
    if x.dtype not in LIMITS and x.dtype != "int32":
        raise node.refuse(f"its codes are {x.dtype}, and TFLite has integers alone")
    if x.array is not None and scale.array is not None and (zero is None or zero.array is not None):
        return _constant(node, x.name, x.array, scale.array, None if zero is None else zero.array, dtype)
    low, one = node.low, _single(scale, zero)
    if one is not None and x.codes is not None and (x.codes.scale, x.codes.zero_point) == one:
        return Value("", dtype, x.shape, forms=x.codes.real.forms)
    if one is not None and is_kernel_scale(one[0]) and is_kernel_type(x.dtype, one[1]):
        return dequantized(low, x, *one, dtype)
    if not held_codes(x.dtype):
        raise node.refuse(f"TFLite holds no {x.dtype} tensors")
    codes = cast(low, x, "int32")
    if zero is not None:
        codes = compute(low, "SUB", codes, _along(node, x, _as_type(low, zero, "int32")))
    made = compute(low, "MUL", cast(low, codes, "float32"), _along(node, x, scale))
    return replace(made, dtype=dtype, name="")


def _output_type(node: Node, default: str) -> str:
    given = int(node.attr("output_dtype", 0))
    return helper.tensor_dtype_to_np_dtype(given).name if given else default


def _single(scale: Value, zero: Value | None) -> tuple[float, int] | None:
    """(scale, zero point) where they are constant and one for all; None else."""
    if scale.array is None or scale.array.size != 1 or (zero is not None and zero.array is None):
        return None
    center = 0 if zero is None or zero.array is None else int(zero.array.reshape(-1)[0])
    return float(np.float32(scale.array.reshape(-1)[0])), center


def _axis(node: Node, rank: int) -> int:
    return node.axis(1, rank) if rank else 0


def _as_type(low: Lowering, number: Value, dtype: str) -> Value:
    """A zero point in another type; a constant may be of one that TFLite lacks."""
    return cast(low, number, dtype) if number.array is None else constant("", number.array.astype(dtype))


def _along(node: Node, x: Value, number: Value) -> Value:
    """A scale or zero point so that it is broadcast over `x`: for all, for each place of its axis, or for each block."""
    low, block = node.low, int(node.attr("block_size", 0))
    if number.rank == 0 or sizes.count(number.shape) == 1:
        return number if number.rank == 0 else low.op("Reshape", number, np.array([], np.int64))
    axis = _axis(node, x.rank)
    if number.rank == 1 and not block:
        shape = np.array([-1 if place == axis else 1 for place in range(x.rank)], np.int64)
        return low.op("Reshape", number, shape)
    before, after = sizes.known(number.shape), sizes.known(x.shape)
    if not block or before is None or after is None or len(before) != len(after):
        raise node.refuse(f"its scales have the shape {list(number.shape)}", "fix the sizes with --shape")
    if number.array is not None:
        return constant("", blown_up(number.array, axis, block, after[axis]))
    wide = low.op("Unsqueeze", number, np.array([axis + 1], np.int64))
    target = [*before[: axis + 1], block, *before[axis + 1 :]]
    wide = low.op("Expand", wide, np.array(target, np.int64))
    joined = [*before[:axis], before[axis] * block, *before[axis + 1 :]]
    wide = low.op("Reshape", wide, np.array(joined, np.int64))
    if joined[axis] == after[axis]:
        return wide
    ends = [np.array([number], np.int64) for number in (0, after[axis], axis)]
    return low.op("Slice", wide, *ends)


def blown_up(array: Array, axis: int, block: int, size: int) -> Array:
    """Numbers of blocks as numbers of elements: each `block` times along `axis`, the last as often as `size` leaves."""
    return np.take(np.repeat(array, block, axis=axis), range(size), axis=axis)


def _constant(node: Node, name: str, codes: Array, scale: Array, zero: Array | None, dtype: str) -> Value:
    """Constant codes: their real numbers as ONNX Runtime computes them, in float32."""
    block = int(node.attr("block_size", 0))
    axis = _axis(node, codes.ndim) if scale.size > 1 else 0
    factor, center = scale.astype(np.float32), np.zeros((), np.int64) if zero is None else zero.astype(np.int64)

    def along(number: Array) -> Array:
        if number.size == 1:
            return number.reshape(())
        if block:
            return blown_up(number, axis, block, codes.shape[axis])
        return number.reshape([-1 if place == axis else 1 for place in range(codes.ndim)])

    reals = ((codes.astype(np.int64) - along(center)).astype(np.float32) * along(factor)).astype(np.float32)
    blocked = block and factor.size > 1
    if codes.dtype.name not in ("int8", "uint8", "int4", "uint4") or blocked or not codes.size:
        return replace(constant("", reals), dtype=dtype)
    how = Quantization(factor.reshape(-1), np.broadcast_to(center.reshape(-1), (factor.size,)).copy(), axis)
    return replace(weights(name, codes, reals, how, node.low), dtype=dtype)


OPERATORS = {
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
    "com.microsoft:QuantizeLinear": quantize_linear,
    "com.microsoft:DequantizeLinear": dequantize_linear,
}
