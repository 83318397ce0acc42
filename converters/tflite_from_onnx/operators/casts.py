"""Element types, and what passes a value on: Cast, CastLike, Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from mlpack_edge.converters.tflite_from_onnx.emitter import HELD
from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import FLOATS, SMALL, cast, compute
from mlpack_edge.converters.tflite_from_onnx.operators.quantized_codes import FEWEST, halves
from mlpack_edge.converters.tflite_from_onnx.values import Value, constant

Array = NDArray[Any]


def to_type(node: Node) -> Value:
    """Cast-6 to Cast-25."""
    return _cast(node, helper.tensor_dtype_to_np_dtype(int(node.attr("to"))).name)


def like(node: Node) -> Value:
    """CastLike-15 to CastLike-25."""
    return _cast(node, node.input(1).dtype)


def _cast(node: Node, dtype: str) -> Value:
    """Floats are truncated; outside of int32 and int64, where ONNX leaves it open, they end at their limits.

    For the narrower types they go through int32 and wrap, as compiled C does. A cast to float16 or float64 stays float32.
    """
    x = node.input(0)
    for name in (x.dtype, dtype):
        if name not in HELD:
            raise node.refuse(f"TFLite computes nothing with {name if name != 'object' else 'string'} tensors")
    if x.array is not None and x.dtype == "float16":
        return _of_halves(node.low, x, x.array, dtype)
    if x.dtype in FLOATS and dtype in SMALL:
        x = cast(node.low, x, "int32")
    return cast(node.low, x, dtype)


def _of_halves(low: Lowering, x: Value, array: Array, dtype: str) -> Value:
    """A constant of float16, which a file holds so: as real numbers, and as the halves they come from."""
    if dtype in FLOATS and array.size >= FEWEST:
        return halves(low, x.name, array.astype(np.float16), dtype)
    return constant("", array.astype(dtype))


def dropout(node: Node) -> list[Value | None]:
    """Dropout-7 to Dropout-22 as it runs in inference: its input, and a mask that is true everywhere."""
    x = node.input(0)
    if node.optional(2) is not None and bool(node.constant(2, "training_mode").any()):
        ratio = 0.5 if node.optional(1) is None else float(node.constant(1, "ratio").reshape(-1)[0])
        if ratio:
            raise node.refuse("it drops at random while training, and a file for inference does not")
    made: list[Value | None] = [node.low.op("Identity", x)]
    if node.wants(1):
        mask = compute(node.low, "LOGICAL_NOT", compute(node.low, "LESS", x, x, dtype="bool"))
        made.append(mask if node.version >= 10 else cast(node.low, mask, x.dtype))
    return made


OPERATORS = {
    "Cast": to_type,
    "CastLike": like,
    "Dropout": dropout,
}
