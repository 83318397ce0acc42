"""Unique: every row is compared with every other, since TFLite's own UNIQUE neither sorts nor counts nor takes rows."""

from __future__ import annotations

import math

import numpy as np

from mlpack_edge.converters.tflite_from_onnx import sizes
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.indices import cast, int32, recast
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value
from mlpack_edge.converters.tflite_graph.model import Tensor

#: So many numbers are compared with each other at most.
_MOST_COMPARED = 1 << 24


def unique(node: Node) -> list[Value | None]:
    """Unique-11: of numbers or, along an axis, of rows; sorted (rows by their first number that differs) or as they come.

    How many there are shows when the model runs. The outputs are the values, where each occurs first, which of them
    each row is, and how often each occurs. NaN is equal to what it is compared with, and refused where ONNX sorts it.
    """
    value, low = node.input(0), node.low
    shape = sizes.known(value.shape)
    if shape is None:
        raise node.refuse("the sizes of what it compares are known only when the model runs", "fix them with --shape")
    axis = node.axis(0) if node.has("axis") else None
    count = math.prod(shape) if axis is None else shape[axis]
    width = 1 if axis is None else math.prod(shape) // max(count, 1)
    if not count or not width or count * count * width > _MOST_COMPARED:
        raise node.refuse(f"it compares {count} rows of {width} numbers with each other")
    moved = (
        value if axis is None else low.op("Transpose", value, perm=[axis, *(a for a in range(value.rank) if a != axis)])
    )
    rows = low.op("Reshape", moved, np.array([count, width], np.int64))
    equal, after = _comparisons(node, rows, count, width)
    first = low.op("ArgMax", recast(low, equal, "int32"), axis=1, keepdims=0)  # the first row that is the same
    numbers = np.arange(count, dtype=np.int64)
    is_first = low.op("Equal", first, numbers)
    if node.attr("sorted", 1):
        before = low.op("And", after, low.op("Reshape", is_first, np.array([1, count], np.int64)))
        place = low.op("ReduceSum", recast(low, before, "int32"), np.array([1], np.int64), keepdims=0)
    else:
        running = low.op("CumSum", recast(low, is_first, "int32"), np.array(0, np.int64), exclusive=1)
        place = low.op("Gather", running, first)
    found: Size = node.spec(1).shape[0] if node.wants(1) else _found(node, axis)
    chosen = _ordered(node, is_first, place, found)
    counts = low.op("ReduceSum", recast(low, equal, "int64"), np.array([1], np.int64), keepdims=0)
    index = low.value(cast(low, chosen, "int64", (found,)), Spec("int64", (found,)))
    source = rows if axis is None else value
    taken = low.op("Gather", source, index, axis=axis or 0)
    made = low.op("Reshape", taken, np.array([-1], np.int64)) if axis is None else taken
    return [
        made if node.wants(0) else None,
        index if node.wants(1) else None,
        recast(low, place, "int64") if node.wants(2) else None,
        low.op("Gather", counts, index) if node.wants(3) else None,
    ]


def _found(node: Node, axis: int | None) -> Size:
    return node.spec().shape[axis or 0]


def _comparisons(node: Node, rows: Value, count: int, width: int) -> tuple[Value, Value]:
    """Whether row i is row j, and whether it comes after it: bool `[count, count]`."""
    low = node.low
    if rows.dtype in ("int8", "uint8", "int16", "bool"):
        rows = recast(low, rows, "int32")
    mine = low.op("Reshape", rows, np.array([count, 1, width], np.int64))
    other = low.op("Reshape", rows, np.array([1, count, width], np.int64))
    greater, less = low.op("Greater", mine, other), low.op("Less", mine, other)
    differs = recast(low, low.op("Or", greater, less), "int32")
    last = np.array([2], np.int64)
    most = low.op("ReduceMax", differs, last, keepdims=0)
    where = low.op("ArgMax", differs, axis=2, keepdims=1)  # the first number that differs
    signs = low.op("GatherElements", recast(low, greater, "int32"), where, axis=2)
    after = low.op("Equal", low.op("Squeeze", signs, last), np.array(1, np.int32))
    return low.op("Equal", most, np.array(0, np.int32)), after


def _ordered(node: Node, is_first: Value, place: Value, found: Size) -> Tensor:
    """The first rows of their kind in the order of `place`: int32 `[found]`."""
    low = node.low
    rows = low.emit("WHERE", [low.tensor(is_first)], "int64", (found, 1))
    rows = low.reshape(rows, (found,))
    keys = low.emit("GATHER", [int32(low, place), rows], "int32", (found,), axis=0, batch_dims=0)
    turned = low.emit("NEG", [keys], "int32", (found,))
    whole = low.emit("SHAPE", [turned], "int32", (1,), out_type="int32")
    k = low.reshape(whole, ())
    _, order = low.emit_many("TOPK_V2", [turned, k], [("int32", (found,)), ("int32", (found,))])
    picked = low.emit("GATHER", [rows, order], "int64", (found,), axis=0, batch_dims=0)
    return cast(low, picked, "int32", (found,))


OPERATORS = {
    "Unique": unique,
}
