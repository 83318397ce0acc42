"""Col2Im: columns back into an image."""

from __future__ import annotations

import math

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.windows import Window, windows_of
from mlpack_edge.converters.tflite_from_onnx.sizes import known
from mlpack_edge.converters.tflite_from_onnx.values import Array, Spec, Value


def col2im(node: Node) -> Value:
    """Col2Im-18: each element of the image is the sum of the columns that fell on it, gathered by a constant table."""
    low, x = node.low, node.input(0)
    image = [int(item) for item in node.constant(1, "image shape")]
    block = [int(item) for item in node.constant(2, "block shape")]
    if x.rank != 3 or not isinstance(x.shape[1], int):
        raise node.refuse(f"its columns have the shape {list(x.shape)}")
    windows = windows_of(node, image, block)
    outs = [window.out() for window in windows]
    table = _landing([np.asarray(_places(one, int(out or 0))) for one, out in zip(windows, outs, strict=True)], image)
    taps, spots = math.prod(block), math.prod(int(out or 0) for out in outs)
    channels = x.shape[1] // taps
    if known(x.shape[2:]) != (spots,):
        raise node.refuse(f"its columns are {x.shape[2]} and its image has {spots} windows")
    flat = (x.shape[0], channels, taps * spots)
    value = low.value(low.reshape(low.tensor(x), flat), Spec(x.dtype, flat))
    value = low.op("Pad", value, np.array([0, 0, 0, 0, 0, 1]), np.array(0, x.dtype))
    value = low.op("Gather", value, table.reshape(-1), axis=2)
    parts = (x.shape[0], channels, *table.shape)
    value = low.value(low.reshape(low.tensor(value), parts), Spec(x.dtype, parts))
    value = low.op("ReduceSum", value, np.array([3]), keepdims=0)
    out = (x.shape[0], channels, *image)
    return low.value(low.reshape(low.tensor(value), out), Spec(x.dtype, out))


def _places(window: Window, out: int) -> Array:
    """`[kernel, out]`: the places of each element of a window along an axis, those outside included."""
    first = np.arange(out)[None] * window.stride - (window.begin or 0)
    return np.asarray(first + np.arange(window.kernel)[:, None] * window.dilation)


def _landing(places: list[Array], image: list[int]) -> Array:
    """`[image size, most]`: which of the flattened `[taps, spots]` fall on each element; their number stands for none."""
    rank = len(image)
    inside: Array = np.ones((1,) * 2 * rank, bool)
    target: Array = np.zeros((1,) * 2 * rank, np.int64)
    for axis, (place, size) in enumerate(zip(places, image, strict=True)):
        shape = [1] * 2 * rank
        shape[axis], shape[rank + axis] = place.shape
        inside = inside & ((place >= 0) & (place < size)).reshape(shape)
        target = target * size + place.reshape(shape)
    flat, kept = target.reshape(-1), np.broadcast_to(inside, target.shape).reshape(-1)
    sources = np.flatnonzero(kept)
    order = sources[np.argsort(flat[sources], kind="stable")]
    counts = np.bincount(flat[order], minlength=math.prod(image))
    table = np.full((math.prod(image), max(int(counts.max(initial=0)), 1)), flat.size, np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    table[flat[order], np.arange(order.size) - starts[flat[order]]] = order
    return table


OPERATORS = {"Col2Im": col2im}
