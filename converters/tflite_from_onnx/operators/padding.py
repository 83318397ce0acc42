"""Pad in its modes, in the layout at hand. What is negative is cut off first, and the rest is padded, as ONNX Runtime does."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx import sizes
from mlpack_edge.converters.tflite_from_onnx.emitter import Given, held
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.indices import int32
from mlpack_edge.converters.tflite_from_onnx.operators.slicing import Cut, cut
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, calculated, product
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, permuted, physical

#: TFLite's PAD and PADV2 take no more dimensions without XNNPACK.
_MOST_DIMENSIONS = 5
Sides = tuple[int, int]


def pad(node: Node) -> Value:
    """Pad-2 to Pad-25: constant, reflect, edge, wrap."""
    value = node.input(0)
    mode = str(node.attr("mode", "constant"))
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise node.refuse(f"the mode {mode!r} is none of constant, reflect, edge and wrap")
    sides = _sides(node)
    if sides is None:
        return _pad_at_run_time(node, mode)
    value = _cut_negative(node, value, sides)
    wanted = {axis: (max(first, 0), max(last, 0)) for axis, (first, last) in sides.items()}
    wanted = {axis: both for axis, both in wanted.items() if any(both)}
    if not wanted:
        return node.low.op("Identity", value)
    if mode == "constant":
        return padded(node, value, wanted, _filling(node))
    for axis, (first, last) in wanted.items():
        size = value.shape[axis]
        if isinstance(size, int) and (size == 0 or (mode == "reflect" and max(first, last) >= size)):
            raise node.refuse(f"its axis {axis} has {size} places, too few for {mode} padding of {max(first, last)}")
    if mode == "reflect":
        return _mirrored(node, value, wanted, "REFLECT")
    if mode == "edge" and all(max(both) == 1 for both in wanted.values()):
        return _mirrored(node, value, wanted, "SYMMETRIC")
    for axis, both in wanted.items():
        value = _repeated(node, value, axis, both, mode)
    return value


def _sides(node: Node) -> dict[int, Sides] | None:
    """Padding before and after, by axis; None where it is known only when the model runs."""
    rank = node.input(0).rank
    if node.has("pads"):
        given = [int(item) for item in node.attr("pads")]
    else:
        array = node.input(1).array
        if array is None:
            return None
        given = [int(item) for item in array.reshape(-1)]
    axes = node.integers("axes", 3)
    axes = list(range(rank)) if axes is None else [axis % max(rank, 1) for axis in axes]
    if len(given) != 2 * len(axes) or len(set(axes)) != len(axes):
        raise node.refuse(f"it has {len(given)} numbers for {len(axes)} axes")
    return {axis: (given[i], given[i + len(axes)]) for i, axis in enumerate(axes)}


def _filling(node: Node) -> Given:
    """What constant padding puts in, of rank 0 and the type that TFLite holds the value in."""
    dtype = held(node.input(0).dtype)
    if node.has("value"):
        return np.array(node.attr("value"), dtype)
    value = node.optional(2)
    if value is None:
        return np.zeros((), dtype)
    if value.array is not None:
        return value.array.reshape(()).astype(dtype)
    return node.low.reshape(node.low.tensor(value), ())


def _cut_negative(node: Node, value: Value, sides: dict[int, Sides]) -> Value:
    cuts: dict[int, Cut] = {}
    for axis, (first, last) in sides.items():
        start, over = max(-first, 0), max(-last, 0)
        if not start and not over:
            continue
        size = value.shape[axis]
        if isinstance(size, int) and start + over > size:
            raise node.refuse(f"it cuts {start} and {over} off the {size} places of axis {axis}")
        left = calculated("-", size, start + over)
        end = size - over if isinstance(size, int) else -over if over else None
        cuts[axis] = (start, end, 1, left)
    return cut(node, value, cuts) if cuts else value


def _grown(value: Value, wanted: dict[int, Sides]) -> Spec:
    shape = tuple(calculated("+", size, sum(wanted.get(axis, (0, 0)))) for axis, size in enumerate(value.shape))
    return Spec(value.dtype, shape)


def padded(node: Node, value: Value, wanted: dict[int, Sides], filling: Given) -> Value:
    """`value` with `filling` around it, as many places before and after as `wanted` says by axis, none of them negative."""
    if value.rank > _MOST_DIMENSIONS:
        return _padded_one_by_one(node, value, wanted, filling)
    perm = value.layout
    spec = _grown(value, wanted)
    numbers = np.array([wanted.get(axis, (0, 0)) for axis in perm], np.int32)
    tensor = node.low.tensor(value, perm)
    if isinstance(filling, np.ndarray) and not filling.tobytes().strip(b"\0"):
        return node.low.emit_value("PAD", [tensor, numbers], spec, perm)
    return node.low.emit_value("PADV2", [tensor, numbers, filling], spec, perm)


def _padded_one_by_one(node: Node, value: Value, wanted: dict[int, Sides], filling: Given) -> Value:
    """Each axis as the middle one of three."""
    low = node.low
    perm = value.layout
    tensor, shape = low.tensor(value, perm), list(permuted(value.shape, perm))
    for axis, both in wanted.items():
        place = physical(axis, perm)
        sides = (product(shape[:place]), product(shape[place + 1 :]))
        flat = low.reshape(tensor, (sides[0], shape[place], sides[1]))
        shape[place] = calculated("+", shape[place], sum(both))
        numbers = np.array([(0, 0), both, (0, 0)], np.int32)
        grown = low.emit("PADV2", [flat, numbers, filling], value.dtype, (sides[0], shape[place], sides[1]))
        tensor = low.reshape(grown, shape)
    return low.value(tensor, _grown(value, wanted), perm)


def _mirrored(node: Node, value: Value, wanted: dict[int, Sides], mode: str) -> Value:
    perm = value.layout
    numbers = np.array([wanted.get(axis, (0, 0)) for axis in perm], np.int32)
    return node.low.emit_value(
        "MIRROR_PAD", [node.low.tensor(value, perm), numbers], _grown(value, wanted), perm, mode=mode
    )


def _repeated(node: Node, value: Value, axis: int, both: Sides, mode: str) -> Value:
    """The first and last place again and again (edge), or the other end's places (wrap)."""
    size, (first, last) = value.shape[axis], both
    if isinstance(size, int):
        places = np.arange(-first, size + last)
        places = np.clip(places, 0, size - 1) if mode == "edge" else places % size
        return node.low.op("Gather", value, places, axis=axis)
    if mode == "wrap":
        raise node.refuse(
            f"its axis {axis} has a size that is known only when the model runs",
            f"fix it with --shape {size}=...",
        )
    counts = [1] * value.rank
    parts = [value]
    if first:
        counts[axis] = first
        parts.insert(0, node.low.op("Tile", cut(node, value, {axis: (0, 1, 1, 1)}), np.array(counts, np.int64)))
    if last:
        counts[axis] = last
        parts.append(node.low.op("Tile", cut(node, value, {axis: (-1, None, 1, 1)}), np.array(counts, np.int64)))
    return node.low.op("Concat", *parts, axis=axis)


def _pad_at_run_time(node: Node, mode: str) -> Value:
    """Pads that the model computes: in ONNX's own layout, for all axes."""
    value, rank, low = node.input(0), node.input(0).rank, node.low
    if mode not in ("constant", "reflect") or node.optional(3) is not None or rank > _MOST_DIMENSIONS:
        node.constant(1, "padding")
    elements = node.input(1).elements
    known = None if elements is None else sizes.known(elements)
    if known is not None and min(known, default=0) < 0:
        raise node.refuse("padding that is computed when the model runs can be negative in no TFLite operator")
    halves = low.reshape(int32(low, node.input(1)), (2, rank))
    numbers = low.emit("TRANSPOSE", [halves, np.array([1, 0], np.int32)], "int32", (rank, 2))
    shape: tuple[Size, ...] = node.spec().shape
    if elements is not None:
        both = zip(elements[:rank], elements[rank:], strict=True)
        shape = tuple(
            calculated("+", calculated("+", size, first), last)
            for size, (first, last) in zip(value.shape, both, strict=True)
        )
    tensors: list[Given] = [low.tensor(value), numbers]
    spec = Spec(value.dtype, shape)
    if mode == "reflect":
        return low.emit_value("MIRROR_PAD", tensors, spec, mode="REFLECT")
    return low.emit_value("PADV2", [*tensors, _filling(node)], spec)


OPERATORS = {
    "Pad": pad,
}
