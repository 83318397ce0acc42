"""Maximum pools that say where their maxima lie, and their inverse."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.windows import Window
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, known, product
from mlpack_edge.converters.tflite_from_onnx.values import Array, Spec, Value


def max_pool_with_indices(node: Node, windows: Sequence[Window]) -> list[Value | None]:
    """The maxima `[N, C, ...]` and where each lies in the whole flattened input (int64), the first of equal ones.

    storage_order 1 counts the spatial axes from the last to the first. Needs the sizes of the image.
    """
    low, x = node.low, node.input(0)
    image = known(x.shape[2:])
    outs = [window.out() for window in windows]
    if image is None or not all(isinstance(out, int) for out in outs):
        raise node.refuse("it gives indices, and the size of its image is open", "fix it with --shape")
    if x.dtype not in ("float32", "float64", "float16"):
        raise node.refuse(f"its indices are found for floats, not for {x.dtype}")
    places = [_places(window, int(out)) for window, out in zip(windows, outs, strict=True) if out is not None]
    row_major = _flat(places, image, [math.prod(image[axis + 1 :]) for axis in range(len(image))])
    steps = [math.prod(image[:axis]) for axis in range(len(image))]
    stored = _flat(places, image, steps) if node.attr("storage_order", 0) else row_major
    size = math.prod(image)
    spots, kernel = row_major.shape
    rows: Size = product(x.shape[:2])
    flat = _reshaped(node, x, (rows, size))
    flat = low.op("Pad", flat, np.array([0, 0, 0, 1]), np.array(np.finfo(np.float32).min, x.dtype))
    windowed = low.op("Gather", flat, np.where(row_major < 0, size, row_major).reshape(-1), axis=1)
    windowed = _reshaped(node, windowed, (rows, spots, kernel))
    best = low.op("ArgMax", windowed, axis=2, keepdims=0)  # [N*C, spots]
    maxima = low.op("ReduceMax", windowed, np.array([2]), keepdims=0)
    entry = low.op("Add", best, (np.arange(spots) * kernel)[None])
    within = low.op("Gather", stored.reshape(-1), entry, axis=0)
    ones = low.op(
        "Mul", low.op("ReduceMin", low.op("Cast", best, to=6), np.array([1]), keepdims=1), np.array(0, np.int32)
    )
    first = low.op("CumSum", low.op("Add", ones, np.array(1, np.int32)), np.array(0), exclusive=1)
    offset = low.op("Mul", low.op("Cast", first, to=7), np.array(size))
    shape = (*x.shape[:2], *(int(out) for out in outs if out is not None))
    return [_reshaped(node, maxima, shape), _reshaped(node, low.op("Add", within, offset), shape)]


def _places(window: Window, out: int) -> Array:
    """`[out, kernel]`: the places of each window along an axis, those outside included."""
    begin = window.begin or 0
    return np.arange(out)[:, None] * window.stride + np.arange(window.kernel)[None] * window.dilation - begin


def _flat(places: Sequence[Array], image: Sequence[int], steps: Sequence[int]) -> Array:
    """`[spots, kernel]`: the places of all windows in the flattened image; -1 outside of it."""
    rank = len(image)
    total: Array = np.zeros((1,) * 2 * rank, np.int64)
    inside: Array = np.ones((1,) * 2 * rank, bool)
    for axis, (place, size, step) in enumerate(zip(places, image, steps, strict=True)):
        shape = [1] * 2 * rank
        shape[axis], shape[rank + axis] = place.shape
        total = total + (place * step).reshape(shape)
        inside = inside & ((place >= 0) & (place < size)).reshape(shape)
    flat = np.where(inside, total, -1)
    return flat.reshape(math.prod(flat.shape[:rank]), -1)


def _reshaped(node: Node, value: Value, shape: Sequence[Size]) -> Value:
    """`value` in a shape that may have named sizes."""
    low = node.low
    return low.value(low.reshape(low.tensor(value), shape), Spec(value.dtype, tuple(shape)))


def max_unpool(node: Node) -> Value:
    """MaxUnpool-9 to MaxUnpool-22: each value back where its maximum lay, 0 elsewhere. Needs every size."""
    low, x = node.low, node.input(0)
    sizes = known(x.shape)
    if sizes is None:
        raise node.refuse("the size of what it fills is open", "fix the sizes with --shape")
    kernel = [int(item) for item in node.attr("kernel_shape")]
    rank = len(kernel)
    strides = [int(item) for item in node.attr("strides", None) or [1] * rank]
    pads = [int(item) for item in node.attr("pads", None) or [0] * 2 * rank]
    if node.optional(2) is not None:
        shape = [int(item) for item in node.constant(2, "output shape")]
    else:
        image = [
            (sizes[2 + axis] - 1) * strides[axis] - pads[axis] - pads[rank + axis] + kernel[axis]
            for axis in range(rank)
        ]
        shape = [*sizes[:2], *image]
    zeros = np.zeros(math.prod(shape), x.dtype)
    flat = low.op("Reshape", x, np.array([-1]))
    places = low.op("Reshape", node.input(1), np.array([-1]))
    filled = low.op("ScatterElements", zeros, places, flat, axis=0)
    return low.op("Reshape", filled, np.array(shape))


OPERATORS = {"MaxUnpool": max_unpool}
