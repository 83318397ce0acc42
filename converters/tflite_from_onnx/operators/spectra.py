"""Fourier transforms as products with constant matrices: DFT, and STFT as a convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.attention_core import reshaped
from mlpack_edge.converters.tflite_from_onnx.operators.normalization import floats
from mlpack_edge.converters.tflite_from_onnx.operators.products import matrix_product
from mlpack_edge.converters.tflite_from_onnx.sizes import product
from mlpack_edge.converters.tflite_from_onnx.values import Value, constant

Matrix = NDArray[np.float64]
#: A matrix of more numbers than these makes a file larger than the model around it.
_MOST_NUMBERS = 1 << 23


def dft(node: Node) -> Value:
    """DFT-17 (axis as an attribute) and DFT-20 (as an input): of real [..., 1] or complex [..., 2] numbers."""
    value, low = floats(node, node.input(0)), node.low
    parts = value.shape[-1]
    if parts not in (1, 2):
        raise node.refuse(f"its last dimension is {parts}, and numbers have 1 or 2 parts")
    axis = _axis(node, value)
    size = value.shape[axis]
    length = node.optional(1)
    number = int(node.constant(1, "length").reshape(-1)[0]) if length is not None else size
    if not isinstance(size, int) or not isinstance(number, int):
        raise node.refuse("the length of its signal is known only when the model runs", "fix it with --shape")
    back, half = bool(node.attr("inverse", 0)), bool(node.attr("onesided", 0))
    if back and half:
        raise node.refuse("it goes back from one side of a spectrum")
    if size > number:
        bounds = [np.array([bound], np.int64) for bound in (0, number, axis)]
        value = low.op("Slice", value, *bounds)
    kept = min(size, number)
    matrix = _matrix(node, kept, number, number // 2 + 1 if half else number, int(parts), back)
    order = [*(other for other in range(value.rank) if other not in (axis, value.rank - 1)), axis, value.rank - 1]
    turned = low.op("Transpose", value, perm=order)
    front = turned.shape[:-2]
    flat = reshaped(node, turned, (product(front), kept * int(parts)))
    made = matrix_product(node, flat, constant("spectrum", matrix.astype(value.dtype)))
    split = reshaped(node, made, (*front, matrix.shape[1] // 2, 2))
    return low.op("Transpose", split, perm=[order.index(place) for place in range(value.rank)])


def _axis(node: Node, value: Value) -> int:
    if node.version < 20:
        axis = int(node.attr("axis", 1))
    else:
        axis = -2 if node.optional(2) is None else int(node.constant(2, "axis").reshape(-1)[0])
    axis %= value.rank
    if axis == value.rank - 1:
        raise node.refuse("its axis is that of the parts of a number")
    return axis


def _matrix(node: Node, rows: int, length: int, columns: int, parts: int, back: bool) -> Matrix:
    """[rows * parts, columns * 2]: what each part of each sample adds to each part of each frequency."""
    if rows * parts * columns * 2 > _MOST_NUMBERS:
        raise node.refuse(f"its matrix for {length} samples would have {rows * parts * columns * 2:,} numbers")
    angle = 2 * np.pi * (np.outer(np.arange(rows), np.arange(columns)) % length) / length
    cos, sin = np.cos(angle), np.sin(angle) * (-1 if back else 1)
    real = np.stack([cos, -sin], -1)  # of a real part, to the real and the imaginary one
    imaginary = np.stack([sin, cos], -1)
    made = np.stack([real, imaginary][:parts], 1).reshape(rows * parts, columns * 2)
    return made / length if back else made


def stft(node: Node) -> Value:
    """STFT-17: a window slides over real [B, S], [B, S, 1] or complex [B, S, 2] numbers; gives [B, frames, bins, 2]."""
    value, low = floats(node, node.input(0)), node.low
    value = value if value.rank == 3 else reshaped(node, value, (*value.shape, 1))
    parts = value.shape[2]
    if parts not in (1, 2):
        raise node.refuse(f"its last dimension is {parts}, and numbers have 1 or 2 parts")
    step = int(node.constant(1, "step").reshape(-1)[0])
    window: NDArray[Any] | None = node.constant(2, "window") if node.optional(2) is not None else None
    if node.optional(3) is not None:
        length = int(node.constant(3, "length of frames").reshape(-1)[0])
    elif window is not None:
        length = window.size
    else:
        raise node.refuse("it has neither a window nor a length of frames")
    if window is not None and window.size != length:
        raise node.refuse(f"its window has {window.size} numbers, and its frames have {length}")
    half = bool(node.attr("onesided", 1)) and parts == 1
    columns = length // 2 + 1 if half else length
    matrix = _matrix(node, length, length, columns, int(parts), False).reshape(length, int(parts), 2 * columns)
    if window is not None:
        matrix = matrix * window.reshape(-1, 1, 1)
    filters = np.ascontiguousarray(matrix.transpose(2, 1, 0)).astype(value.dtype)
    made = low.op("Conv", low.op("Transpose", value, perm=[0, 2, 1]), filters, strides=[step])
    frames = low.op("Transpose", made, perm=[0, 2, 1])
    return reshaped(node, frames, (*frames.shape[:2], columns, 2))


OPERATORS = {
    "DFT": dft,
    "STFT": stft,
}
