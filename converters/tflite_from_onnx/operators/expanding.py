"""Operators that repeat a value along its axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpack_edge.converters.tflite_from_onnx import sizes
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.indices import int32
from mlpack_edge.converters.tflite_from_onnx.operators.shapes import renamed, spread
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, product
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, permuted


def expand(node: Node) -> Value:
    """Expand-8 to Expand-13. As TILE wherever the numbers of repeats are known, so that no shape is computed."""
    value, target = node.input(0), node.input(1).elements
    if target is None:
        return _expand_at_run_time(node)
    shape = sizes.broadcast(value.shape, target)
    if len(shape) > value.rank:
        value = spread(node, value, range(len(shape) - value.rank))
    repeats = [_repeats(old, new) for old, new in zip(value.shape, shape, strict=True)]
    if all(isinstance(count, int) for count in repeats):
        return tiled(node, value, repeats, shape)
    if any(old not in (1, new) for old, new in zip(value.shape, shape, strict=True)):
        return _expand_at_run_time(node)  # two sizes of different names: which one is 1 shows only then
    opened = [axis for axis, count in enumerate(repeats) if count is None]
    if all(_has_witness(node, shape[axis]) for axis in opened):
        known = tuple(1 if axis in opened else size for axis, size in enumerate(shape))
        value = tiled(node, value, [1 if count is None else count for count in repeats], known)
        for axis in opened:
            value = _expanded_as(node, value, axis, shape[axis])
        return value
    perm = value.layout
    wanted = node.low.shape_tensor(permuted(shape, perm))
    return node.low.emit_value("BROADCAST_TO", [node.low.tensor(value, perm), wanted], Spec(value.dtype, shape), perm)


def _repeats(old: Size, new: Size) -> int | None:
    if old == new:
        return 1
    return new if old == 1 and isinstance(new, int) else None


def _has_witness(node: Node, size: Size) -> bool:
    """Whether a tensor has this size, and a type that can be compared."""
    source = node.low.sources.get(size) if isinstance(size, str) else None
    return source is not None and source[0].dtype in ("float32", "float64", "float16", "int32", "int64", "bool")


def _expanded_as(node: Node, value: Value, axis: int, size: Size) -> Value:
    """Repeated as often as a tensor is long that has the named size: chosen by a condition of that length.

    Both branches are the value, so it does not matter what the condition is. No shape is computed when the model runs:
    what is behind a computed shape can neither be planned nor go to XNNPACK.
    """
    low = node.low
    assert isinstance(size, str)
    source, along = low.sources[size]
    held = source.layout
    place = held.index(along)
    column = low.tensor(source, held)
    rank = source.rank
    if rank > 1:
        others = sum(1 << other for other in range(rank) if other != place)
        bounds = [np.zeros(rank, np.int32), np.ones(rank, np.int32), np.ones(rank, np.int32)]
        masks = {"begin_mask": 1 << place, "end_mask": 1 << place, "shrink_axis_mask": others}
        column = low.emit("STRIDED_SLICE", [column, *bounds], source.dtype, (size,), **masks)
    perm = value.layout
    shape = [1] * value.rank
    shape[perm.index(axis)] = -1
    target = [size if number < 0 else 1 for number in shape]
    column = low.reshape(column, target)
    condition = low.emit("EQUAL", [column, column], "bool", target)
    tensor = low.tensor(value, perm)
    spec = Spec(value.dtype, tuple(size if other == axis else old for other, old in enumerate(value.shape)))
    return low.emit_value("SELECT_V2", [condition, tensor, tensor], spec, perm)


def _expand_at_run_time(node: Node) -> Value:
    value, spec = node.input(0), node.spec()
    tensor = node.low.tensor(value)
    own = node.low.emit("SHAPE", [tensor], "int32", (value.rank,), out_type="int32")
    rank = len(spec.shape)
    wanted = node.low.emit("BROADCAST_ARGS", [own, int32(node.low, node.input(1))], "int32", (rank,))
    return node.low.emit_value("BROADCAST_TO", [tensor, wanted], spec)


def tile(node: Node) -> Value:
    """Tile-6 to Tile-13, in the layout at hand."""
    value, repeats = node.input(0), node.input(1).elements
    if value.rank == 0:
        return renamed(value)
    if repeats is None:
        tensor = node.low.tensor(value)
        return node.low.emit_value("TILE", [tensor, int32(node.low, node.input(1))], node.spec())
    if len(repeats) != value.rank:
        raise node.refuse(f"it has {len(repeats)} repeats for {value.rank} dimensions")
    shape = tuple(product(pair) for pair in zip(value.shape, repeats, strict=True))
    return tiled(node, value, repeats, shape)


def tiled(node: Node, value: Value, repeats: Sequence[Size | None], shape: tuple[Size, ...]) -> Value:
    """`value` repeated along each axis, in the layout at hand; shape: of the result."""
    if all(count == 1 for count in repeats):
        return renamed(value)
    perm = value.layout
    counts = permuted([count for count in repeats if count is not None], perm)
    numbers = sizes.known(counts)
    given = node.low.shape_tensor(counts) if numbers is None else np.array(numbers, np.int32)
    return node.low.emit_value("TILE", [node.low.tensor(value, perm), given], Spec(value.dtype, shape), perm)


OPERATORS = {
    "Expand": expand,
    "Tile": tile,
}
