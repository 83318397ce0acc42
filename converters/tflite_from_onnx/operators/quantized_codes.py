"""Quantized values under the operators: how codes are held, and what passes them on.

ONNX's uint8 codes are held as int8 with a zero point 128 lower: the same grid, and the one TFLite has kernels for. Each
value keeps its codes and its real numbers side by side; what nobody reads is dropped. Real numbers come from a
QUANTIZE and a DEQUANTIZE, which `passes/quantize.py` draws together into the operators between them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.lowering import Lower, Lowering
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.values import Codes, Spec, Value, constant, permuted
from mlpack_edge.converters.tflite_from_onnx.writing import HELD
from mlpack_edge.converters.tflite_graph.model import Quantization, Tensor

#: ONNX's code types: lowest and highest code.
LIMITS = {
    "int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "uint16": (0, 65535),
    "int4": (-8, 7), "uint4": (0, 15), "int2": (-2, 1), "uint2": (0, 3),
}  # fmt: skip
#: Constants below this stay floats where nothing draws their codes into a kernel: a DEQUANTIZE costs more than it saves.
FEWEST = 256
#: Operators that move elements of their first input (Concat: of all) and do the same to codes as to real numbers.
_MOVING = frozenset({
    "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "Pad", "Reshape", "Resize", "Slice",
    "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip


def grid(scale: float, zero_point: int) -> Quantization:
    """One scale for the whole tensor."""
    return Quantization(np.array([scale], np.float32), np.array([zero_point], np.int64))


def is_kernel_type(dtype: str, zero_point: int) -> bool:
    """Whether TFLite has kernels for codes of this ONNX type: int8, uint8 (as int8), and int16 around 0."""
    return dtype in ("int8", "uint8") or (dtype == "int16" and zero_point == 0)


def is_kernel_scale(scale: float) -> bool:
    """Whether a float32 scale is one that QUANTIZE can divide by: normal, finite and above 0."""
    return bool(np.finfo(np.float32).tiny <= scale <= np.finfo(np.float32).max)


def signed(dtype: str, zero_point: int) -> tuple[str, int]:
    """The TFLite type and zero point that hold the codes of an ONNX type."""
    return ("int8", zero_point - 128) if dtype == "uint8" else (dtype, zero_point)


def quantized(low: Lowering, x: Value, dtype: str, scale: float, zero_point: int) -> Value:
    """Real numbers as codes of ONNX type `dtype`: QUANTIZE, beside it their real numbers and the bare integers.

    Ties are rounded to even where the integers are an output of the model or are computed with (`passes/exact.py`);
    else as the kernels do, which without XNNPACK is away from 0.
    """
    perm = x.layout
    shape = permuted(x.shape, perm)
    stored, center = signed(dtype, zero_point)
    codes = low.emit("QUANTIZE", [low.tensor(x, perm)], stored, shape)
    codes.quantization = grid(scale, center)
    real = low.value(low.emit("DEQUANTIZE", [codes], "float32", shape), Spec(x.dtype, x.shape), perm)
    bare = codes
    if dtype == "uint8":
        bare = low.emit("QUANTIZE", [codes], "uint8", shape)
        bare.quantization = grid(scale, zero_point)
    bare = _seen_as(low, bare, perm, x, None)
    made = low.value(bare, Spec(dtype, x.shape), perm)
    made.codes = Codes(real, scale, zero_point)
    return made


def dequantized(low: Lowering, x: Value, scale: float, zero_point: int, dtype: str) -> Value:
    """The real numbers of codes that are int8, uint8 or int16 around 0."""
    codes = x.codes
    if codes is not None and codes.scale == scale and codes.zero_point == zero_point:
        return Value("", dtype, x.shape, forms=codes.real.forms)
    perm = x.layout
    shape = permuted(x.shape, perm)
    tensor = _seen_as(low, low.tensor(x, perm), perm, x, grid(scale, zero_point))
    if x.dtype == "uint8":
        tensor = low.emit("QUANTIZE", [tensor], "int8", shape)
        tensor.quantization = grid(scale, zero_point - 128)
    return low.value(low.emit("DEQUANTIZE", [tensor], "float32", shape), Spec(dtype, x.shape), perm)


def _seen_as(low: Lowering, tensor: Tensor, perm: tuple[int, ...], x: Value, how: Quantization | None) -> Tensor:
    """The same integers with another grid, or with none: a CAST that changes nothing else."""
    made = low.emit(
        "CAST", [tensor], tensor.dtype, permuted(x.shape, perm), in_data_type=tensor.dtype, out_data_type=tensor.dtype
    )
    made.quantization = how
    return made


def weights(
    name: str, array: NDArray[np.generic], reals: NDArray[np.float32], how: Quantization, low: Lowering
) -> Value:
    """Constant codes of 8 bits or fewer: their real numbers, and a DEQUANTIZE from which `passes/weights.py` knows them."""
    codes = array.astype(np.int16)
    if array.dtype.name == "uint8":
        codes, how = codes - 128, Quantization(how.scale, how.zero_point - 128, how.axis)
    made = constant("", reals)
    tensor = Tensor(name, "int8", tuple(array.shape), codes.astype(np.int8), how)
    made.forms[made.plain] = low.emit("DEQUANTIZE", [tensor], "float32", array.shape)
    return made


def halves(low: Lowering, name: str, array: NDArray[np.float16], dtype: str) -> Value:
    """A constant of float16: its real numbers, and a DEQUANTIZE from which `passes/weights.py` knows how to store them."""
    reals = array.astype(np.float32)
    made = constant("", reals.astype(dtype))
    tensor = Tensor(name, "float16", tuple(array.shape), array)
    made.forms[made.plain] = low.emit("DEQUANTIZE", [tensor], "float32", array.shape)
    return made


def passing_codes(table: Mapping[tuple[str, str], Lower]) -> dict[tuple[str, str], Lower]:
    """The table with operators that move elements working on the real numbers of codes that have some."""
    return {
        (domain, kind): _passing(kind, lower) if not domain and kind in _MOVING else lower
        for (domain, kind), lower in table.items()
    }


def _passing(kind: str, lower: Lower) -> Lower:
    def lowered(node: Node) -> Value | list[Value | None]:
        first = node.inputs[0] if node.inputs else None
        inputs = None if first is None or first.codes is None else _real_inputs(kind, node, first.codes)
        if first is None or first.codes is None or inputs is None:
            made = lower(node)
            return made if isinstance(made, Value) else list(made)
        inner = Node(node.low, node.proto, inputs, node.version)
        inner.scope = node.scope
        codes, found = first.codes, lower(inner)
        made_of = [found] if isinstance(found, Value) else list(found)
        return [
            quantized(node.low, value, first.dtype, codes.scale, codes.zero_point)
            if value is not None and value.dtype == codes.real.dtype
            else value
            for value in made_of
        ]

    return lowered


def _real_inputs(kind: str, node: Node, codes: Codes) -> list[Value | None] | None:
    """The inputs in real numbers; None where the operator is not the same on them."""
    if kind == "Concat":
        reals: list[Value | None] = []
        for value in node.inputs:
            other = None if value is None else value.codes
            if other is None or (other.scale, other.zero_point) != (codes.scale, codes.zero_point):
                return None
            reals.append(other.real)
        return reals
    inputs = [codes.real, *node.inputs[1:]]
    if kind == "Resize" and node.attr("mode", "nearest") != "nearest":
        return None
    if kind == "Pad" and node.attr("mode", "constant") == "constant":
        given = node.optional(2)
        if node.has("value") or len(inputs) < 2 or (given is not None and given.array is None):
            return None
        code = 0 if given is None or given.array is None else int(given.array.reshape(-1)[0])
        real = np.array((code - codes.zero_point) * np.float32(codes.scale), np.float32)
        inputs[2:3] = [constant("", real)]
    return inputs


def held_codes(dtype: str) -> bool:
    """Whether TFLite has tensors of a code type."""
    return dtype in HELD
