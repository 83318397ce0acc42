"""Operators that take a part of a value along its axes, in the layout at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.emitter import Given
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.indices import cast, int32
from mlpack_edge.converters.tflite_from_onnx.operators.shapes import renamed
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, calculated
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, constant
from mlpack_edge.converters.tflite_graph.model import Tensor

_LEAST, _MOST = int(np.iinfo(np.int32).min), int(np.iinfo(np.int32).max)
#: start, end and step along an axis, with what comes out; None for an end is "as far as there is something".
Cut = tuple[Size, Size | None, int, Size]


def slice_(node: Node) -> Value:
    """Slice-1 to Slice-13. Bounds may be sizes of other values; what they are is then read when the model runs."""
    value = node.input(0)
    starts, ends = _bounds(node, "starts", 1), _bounds(node, "ends", 2)
    axes = node.integers("axes", 3)
    if starts is None or ends is None:
        return _slice_at_run_time(node, axes)
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if node.optional(4) is None else [int(n) for n in node.constant(4, "steps").reshape(-1)]
    cuts: dict[int, Cut] = {}
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if not -value.rank <= axis < value.rank or axis % value.rank in cuts or step == 0:
            raise node.refuse(f"it cuts the axis {axis} of {value.rank} by the step {step}")
        place = axis % value.rank
        cuts[place] = _cut(node, place, start, end, step)
    return cut(node, value, cuts)


def _bounds(node: Node, name: str, place: int) -> list[Size] | None:
    if node.has(name):
        return [int(item) for item in node.attr(name)]
    value = node.input(place)
    if value.elements is not None:
        return list(value.elements)
    return None if value.array is None else [int(item) for item in value.array.reshape(-1)]


def _slice_at_run_time(node: Node, axes: Sequence[int] | None) -> Value:
    """Bounds that the model computes: each axis' own is picked out of them, the others stay whole."""
    value, low = node.input(0), node.low
    if axes is None:
        axes = list(range(value.rank))
    axes = [axis % max(value.rank, 1) for axis in axes]
    steps = [1] * len(axes) if node.optional(4) is None else [int(n) for n in node.constant(4, "steps").reshape(-1)]
    if min(steps, default=1) < 1:
        raise node.refuse("it goes backwards, and its bounds are known only when the model runs")
    perm = value.layout
    kept = sum(1 << place for place, axis in enumerate(perm) if axis not in axes)
    bounds: list[Given] = []
    for place in (1, 2):
        given = _within_int32(node, node.input(place))
        parts: list[Given] = [
            low.emit("GATHER", [given, np.array(axes.index(axis), np.int32)], "int32", (), axis=0, batch_dims=0)
            if axis in axes
            else np.zeros((), np.int32)
            for axis in perm
        ]
        bounds.append(low.emit("PACK", parts, "int32", (len(parts),), values_count=len(parts), axis=0))
    strides = np.array([steps[axes.index(axis)] if axis in axes else 1 for axis in perm], np.int32)
    masks = {"ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
    tensors = [low.tensor(value, perm), *bounds, strides]
    return low.emit_value("STRIDED_SLICE", tensors, node.spec(), perm, begin_mask=kept, end_mask=kept, **masks)


def _within_int32(node: Node, value: Value) -> Tensor:
    """Bounds as int32; the largest int64 stands for "to the end", and stays beyond it."""
    if value.array is not None or value.elements is not None or value.dtype == "int32":
        return int32(node.low, value)
    tensor = node.low.tensor(value)
    tensor = node.low.emit("MINIMUM", [tensor, np.array(_MOST, np.int64)], "int64", value.shape)
    tensor = node.low.emit("MAXIMUM", [tensor, np.array(_LEAST, np.int64)], "int64", value.shape)
    return cast(node.low, tensor, "int32", value.shape)


def _cut(node: Node, axis: int, start: Size, end: Size, step: int) -> Cut:
    size = node.input(0).shape[axis]
    if isinstance(size, int) and isinstance(start, int) and isinstance(end, int):
        # going backwards, a start before the first place is the first place; Python's slice would be empty
        start = max(start, -size) if step < 0 else start
        places = range(*slice(start, _stop(end, step, size), step).indices(size))
        last = places.stop if step > 0 or places.stop >= 0 else -size - 1
        return places.start, last, step, len(places)
    whole = isinstance(end, int) and (end >= _MOST if step > 0 else end <= -_MOST)
    if step > 0 and isinstance(start, int) and start >= 0 and (whole or end == size):
        left = calculated("-", size, start)
        return start, None, step, left if step == 1 else node.spec().shape[axis]
    if step == 1:
        return start, None if whole else end, 1, _length(node, axis, start, end)
    if step < 0 and (not isinstance(start, int) or start < -1):
        raise node.refuse(
            f"it goes backwards from {start} along an axis whose size is known only when the model runs",
            f"fix the size with --shape {size}=...",
        )
    return start, None if whole else end, step, size if whole and step == -1 and start in (-1, _MOST) else (
        node.spec().shape[axis]
    )  # fmt: skip


def _stop(end: int, step: int, size: int) -> int | None:
    """An end as Python's slice takes it: one before the first place, going backwards, is None there."""
    return None if step < 0 and end < -size else end


def _length(node: Node, axis: int, start: Size, end: Size) -> Size:
    """How many places lie between two bounds of an axis, by name where it is known by name."""
    size = node.input(0).shape[axis]
    if start == 0 and (end == size or (isinstance(end, int) and end >= _MOST)):
        return size
    if start == 0 and isinstance(end, int) and end < 0:
        return calculated("-", size, -end)
    if isinstance(start, int) and start < 0 and isinstance(end, int) and end >= _MOST and start == -1:
        return 1
    if start == 0 and isinstance(end, str):
        return end if isinstance(size, int) else node.spec().shape[axis]
    return node.spec().shape[axis]


def part(node: Node, value: Value, axis: int, start: int, end: int) -> Value:
    """The places from `start` to before `end`, which lie within the axis."""
    return cut(node, value, {axis: (start, end, 1, end - start)})


def cut(node: Node, value: Value, cuts: Mapping[int, Cut]) -> Value:
    """The parts of `value` that `cuts` names by axis."""
    shape = tuple(cuts[axis][3] if axis in cuts else size for axis, size in enumerate(value.shape))
    spec = Spec(value.dtype, shape)
    if 0 in shape and all(isinstance(size, int) for size in shape):
        return constant("", np.zeros(_numbers(shape), "float32" if value.dtype == "bfloat16" else value.dtype))
    if all(
        not isinstance(c[0], str) and c[0] == 0 and c[2] == 1 and shape[a] == value.shape[a] for a, c in cuts.items()
    ):
        return renamed(value)
    perm = value.layout
    ordered = [cuts.get(axis) for axis in perm]
    begins: list[Size] = [0 if c is None or c[3] == 0 else c[0] for c in ordered]
    ends: list[Size] = [0 if c is None or c[1] is None or c[3] == 0 else c[1] for c in ordered]
    open_ends = sum(1 << place for place, c in enumerate(ordered) if c is None or (c[1] is None and c[3] != 0))
    # XNNPACK takes an end of 0 for "to the end", and leaves steps other than 1 to LiteRT's own kernel
    steps = np.array([1 if c is None else 2 if c[3] == 0 else c[2] for c in ordered], np.int32)
    return node.low.emit_value(
        "STRIDED_SLICE",
        [node.low.tensor(value, perm), _given(node, begins), _given(node, ends), steps],
        spec,
        perm,
        begin_mask=0,
        end_mask=open_ends,
        ellipsis_mask=0,
        new_axis_mask=0,
        shrink_axis_mask=0,
    )


def _given(node: Node, bounds: Sequence[Size]) -> Given:
    if all(isinstance(bound, int) for bound in bounds):
        return np.clip(np.array(bounds, np.int64), _LEAST, _MOST).astype(np.int32)
    return node.low.shape_tensor(bounds)


def _numbers(shape: Sequence[Size]) -> tuple[int, ...]:
    return tuple(size for size in shape if isinstance(size, int))


def at(node: Node, value: Value, axis: int, place: int) -> Value:
    """The part at one place of an axis, and the axis gone."""
    low = node.low
    taken = part(node, value, axis, place, place + 1)
    return low.op("Squeeze", taken, np.array([axis], np.int64))


OPERATORS = {
    "Slice": slice_,
}
