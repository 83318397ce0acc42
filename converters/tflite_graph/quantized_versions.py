"""Versions of operators by the codes they take or give."""

from __future__ import annotations

from collections.abc import Callable

from mlpack_edge.converters.tflite_graph.model import Op, Tensor


def _dequantize(op: Op) -> int:
    codes = _first(op)
    if codes.dtype in ("int16", "float16"):
        return 3
    if codes.dtype != "int8":
        return 1
    return 5 if codes.quantization is not None and codes.quantization.per_channel else 2


def _quantize(op: Op) -> int:
    if op.output.quantization is not None and op.output.quantization.per_channel:
        return 3
    return 2 if op.output.dtype == "int16" else 1


def _batch_matmul(op: Op) -> int:
    return {"int16": 3, "int8": 2}.get(_first(op).dtype, 1)


def _transpose_conv(op: Op) -> int:
    if op.options.get("fused_activation_function", "NONE") != "NONE":
        return 4
    if len(op.inputs) > 3 and op.inputs[3] is not None:
        return 3
    weights = op.inputs[1]
    return 2 if weights is not None and weights.dtype == "int8" else 1


def _first(op: Op) -> Tensor:
    tensor = op.inputs[0]
    assert tensor is not None
    return tensor


RULES: dict[str, Callable[[Op], int]] = {
    "BATCH_MATMUL": _batch_matmul,
    "DEQUANTIZE": _dequantize,
    "QUANTIZE": _quantize,
    "TRANSPOSE_CONV": _transpose_conv,
}
