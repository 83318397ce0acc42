"""Resize along one axis by a matrix."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.emitter import Given
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.sizes import product
from mlpack_edge.converters.tflite_from_onnx.values import Array, Spec, Value, permuted


def along_axis(node: Node, x: Value, axis: int, weights: Array) -> Value:
    """`weights` `[out, size]` applied along an axis, in the layout in which `x` is: nothing is transposed."""
    low, perm = node.low, x.layout
    shape = permuted(x.shape, perm)
    at = perm.index(axis)
    out = (*shape[:at], len(weights), *shape[at + 1 :])
    spec = Spec(x.dtype, (*x.shape[:axis], len(weights), *x.shape[axis + 1 :]))
    content = weights.astype(np.float32)
    if at == len(perm) - 1:
        tensors: list[Given] = [low.tensor(x, perm), content, None]
        return low.emit_value("FULLY_CONNECTED", tensors, spec, perm, keep_num_dims=True)
    front, behind = product(shape[:at]), product(shape[at + 1 :])
    flat = low.reshape(low.tensor(x, perm), (front, shape[at], behind))
    made = low.emit("BATCH_MATMUL", [content[None], flat], x.dtype, (front, len(weights), behind))
    return low.value(low.reshape(made, out), spec, perm)
