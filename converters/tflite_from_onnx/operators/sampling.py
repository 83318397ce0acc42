"""Samples of an image at places that are known only when the model runs: GridSample and deformable convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.spatial import FLOATS
from mlpack_edge.converters.tflite_from_onnx.operators.windows import Window, windows_of
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, known, product
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, channels_last

_FLOAT, _INT32 = 1, 6


@dataclass(frozen=True, slots=True)
class Sampler:
    """mode: "nearest", "linear" or "cubic"; padding: "zeros", "border" or "reflection"."""

    mode: str
    padding: str
    align_corners: bool = False


def number(value: float) -> np.ndarray:
    return np.array(value, np.float32)


def sampled(low: Lowering, x: Value, at: Sequence[Value], how: Sampler) -> Value:
    """`x` `[N, C, ...]` at the float places `at`, one value `[N, P]` for each spatial axis, as a value `[N, P, C]`."""
    sizes = known(x.shape[2:])
    assert sizes is not None, "the image's sizes are known"
    rank = len(sizes)
    index: Value | None = None
    weight: Value | None = None
    for axis, (place, size) in enumerate(zip(at, sizes, strict=True)):
        taps, share = _taps(low, place, size, how)
        shape = np.array([2 + other for other in range(rank) if other != axis])
        if rank > 1:
            taps, share = low.op("Unsqueeze", taps, shape), low.op("Unsqueeze", share, shape)
        step = math.prod(sizes[axis + 1 :])
        mine = taps if step == 1 else low.op("Mul", taps, np.array(step, np.int32))
        index = mine if index is None else low.op("Add", index, mine)
        weight = share if weight is None else low.op("Mul", weight, share)
    assert index is not None and weight is not None
    count = math.prod(int(size) for size in index.shape[2:])
    batch, places = at[0].shape
    flat = low.reshape(low.tensor(x, channels_last(x.rank)), (x.shape[0], math.prod(sizes), x.shape[1]))
    many = low.reshape(low.tensor(index), (batch, product([places, count])))
    found = (batch, product([places, count]), x.shape[1])
    taken = low.emit_value("GATHER", [flat, many], Spec(x.dtype, found), axis=1, batch_dims=1)
    if count == 1:
        single = (batch, places, 1)
        shares = low.value(low.reshape(low.tensor(weight), single), Spec(x.dtype, single))
        return taken if how.mode == "nearest" and how.padding != "zeros" else low.op("Mul", taken, shares)
    split, column = (batch, places, count, x.shape[1]), (batch, places, count, 1)
    parts = low.value(low.reshape(low.tensor(taken), split), Spec(x.dtype, split))
    shares = low.value(low.reshape(low.tensor(weight), column), Spec(x.dtype, column))
    return low.op("ReduceSum", low.op("Mul", parts, shares), np.array([2]), keepdims=0)


def _taps(low: Lowering, at: Value, size: int, how: Sampler) -> tuple[Value, Value]:
    """`[N, P, T]`: the elements around each place (int32, all inside) and their shares (float)."""
    at = low.op("Unsqueeze", at, np.array([2]))
    if how.mode == "nearest":
        places = low.op("Round", at)
        shares = None
    else:
        near = {"linear": (0, 1), "cubic": (-1, 0, 1, 2)}[how.mode]
        places = low.op("Add", low.op("Floor", at), np.array(near, np.float32))
        shares = _shares(low, low.op("Abs", low.op("Sub", at, places)), how.mode)
    kept = reflected(low, places, size, how.align_corners) if how.padding == "reflection" else places
    inside = low.op("Clip", kept, number(0), number(size - 1))
    if how.padding == "zeros":
        valid = low.op("Cast", low.op("Equal", inside, places), to=_FLOAT)
        shares = valid if shares is None else low.op("Mul", shares, valid)
    if shares is None:
        shares = low.op("Add", low.op("Mul", inside, number(0)), number(1))
    return low.op("Cast", inside, to=_INT32), shares


def _shares(low: Lowering, off: Value, mode: str) -> Value:
    """How much an element counts that lies `off` away; the cubic is Keys's with a = -0.75, as PyTorch has it."""
    linear = low.op("Relu", low.op("Sub", number(1), off))
    if mode == "linear":
        return linear
    a = -0.75
    near = low.op("Mul", low.op("Sub", low.op("Mul", off, number(a + 2)), number(a + 3)), low.op("Mul", off, off))
    far = low.op("Add", low.op("Mul", low.op("Sub", off, number(5)), off), number(8))
    far = low.op("Mul", low.op("Sub", low.op("Mul", far, off), number(4)), number(a))
    return low.op("Where", low.op("LessOrEqual", off, number(1)), low.op("Add", near, number(1)), far)


def reflected(low: Lowering, at: Value, size: int, align_corners: bool) -> Value:
    """Places thrown back at the borders of the image until they lie inside."""
    least, span = (0.0, float(size - 1)) if align_corners else (-0.5, float(size))
    if span == 0:
        return low.op("Mul", at, number(0))
    off = low.op("Abs", low.op("Sub", at, number(least)))
    rounds = low.op("Floor", low.op("Mul", off, number(1 / (2 * span))))
    rest = low.op("Sub", off, low.op("Mul", rounds, number(2 * span)))
    return low.op("Add", low.op("Min", rest, low.op("Sub", number(2 * span), rest)), number(least))


def grid_sample(node: Node) -> Value:
    """GridSample-16 to GridSample-22 over two or three spatial axes; the image's sizes are known."""
    low, x, grid = node.low, node.input(0), node.input(1)
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(found := str(node.attr("mode", "linear")), found)
    how = Sampler(mode, str(node.attr("padding_mode", "zeros")), bool(node.attr("align_corners", 0)))
    sizes = known(x.shape[2:])
    rank = x.rank - 2
    if x.dtype not in FLOATS or sizes is None or not 2 <= rank <= 3 or (mode == "cubic" and rank == 3):
        raise node.refuse(f"it samples {x.dtype} of shape {list(x.shape)}, which is not lowered")
    if grid.dtype != x.dtype:
        grid = low.op("Cast", grid, to=_FLOAT)
    out = grid.shape[1:-1]
    places = product(out)
    at = []
    for axis, size in enumerate(sizes):
        one = low.op("Gather", grid, np.array(rank - 1 - axis), axis=rank + 1)  # x comes first
        flat = (grid.shape[0], places)
        one = low.value(low.reshape(low.tensor(one), flat), Spec(grid.dtype, flat))
        scale, shift = ((size - 1) / 2, (size - 1) / 2) if how.align_corners else (size / 2, (size - 1) / 2)
        one = low.op("Add", low.op("Mul", one, number(scale)), number(shift))
        if how.padding == "reflection":
            one = reflected(low, one, size, how.align_corners)
        at.append(one)
    return _image(low, sampled(low, x, at, how), (x.shape[0], *out, x.shape[1]))


def _image(low: Lowering, value: Value, shape: Sequence[Size]) -> Value:
    """`[N, P, C]` as a value `[N, C, ...]`, channel-last; shape: `[N, ..., C]`."""
    perm = channels_last(len(shape))
    spec = Spec(value.dtype, (shape[0], shape[-1], *shape[1:-1]))
    return low.value(low.reshape(low.tensor(value), shape), spec, perm)


def deform_conv(node: Node) -> Value:
    """DeformConv-19 and DeformConv-22 with two spatial axes: samples, then a matrix product."""
    low, x, w, offsets = node.low, node.input(0), node.input(1), node.input(2)
    sizes, kernel = known(x.shape[1:]), known(w.shape)
    if x.dtype not in FLOATS or x.rank != 4 or sizes is None or kernel is None:
        raise node.refuse(f"it convolves {x.dtype} of shape {list(x.shape)}, which is not lowered")
    windows = windows_of(node, sizes[1:], kernel[2:])
    out = [int(size) for size in known(node.spec().shape[2:]) or ()]
    groups, parts = int(node.attr("group", 1)), int(node.attr("offset_group", 1))
    taps, places = kernel[2] * kernel[3], math.prod(out)
    moved = _by_place(low, offsets, (x.shape[0], places, parts, taps, 2))
    mask = node.optional(4)
    scale = None if mask is None else _by_place(low, mask, (x.shape[0], places, parts, taps, 1))
    base = _base(windows, out)  # [P, taps, 2]
    pieces = []
    width = sizes[0] // parts
    for part in range(parts):
        here = low.op("Gather", moved, np.array(part), axis=2)  # [N, P, taps, 2]
        at = []
        for axis in range(2):
            one = low.op("Add", low.op("Gather", here, np.array(axis), axis=3), base[None, ..., axis])
            flat = (x.shape[0], places * taps)
            at.append(low.value(low.reshape(low.tensor(one), flat), Spec(x.dtype, flat)))
        channels = np.arange(part * width, (part + 1) * width)
        piece = x if parts == 1 else low.op("Gather", x, channels, axis=1)
        made = sampled(low, piece, at, Sampler("linear", "zeros"))
        cube = (x.shape[0], places, taps, width)
        made = low.value(low.reshape(low.tensor(made), cube), Spec(x.dtype, cube))
        if scale is not None:
            made = low.op("Mul", made, low.op("Gather", scale, np.array(part), axis=2))
        pieces.append(made)
    columns = pieces[0] if parts == 1 else low.op("Concat", *pieces, axis=3)  # [N, P, taps, C]
    made = _products(low, columns, w, groups)
    if node.optional(3) is not None:
        made = low.op("Add", made, node.input(3))
    return _image(low, made, (x.shape[0], *out, kernel[0]))


def _by_place(low: Lowering, value: Value, shape: Sequence[Size]) -> Value:
    """`[N, channels, H, W]` as `[N, H*W, ...]`."""
    return low.value(low.reshape(low.tensor(value, channels_last(4)), shape), Spec(value.dtype, tuple(shape)))


def _base(windows: Sequence[Window], out: Sequence[int]) -> np.ndarray:
    """`[P, taps, 2]` float32: where a plain convolution looks, rows and columns."""
    rows, columns = (
        np.arange(size)[:, None] * one.stride - (one.begin or 0) + np.arange(one.kernel)[None] * one.dilation
        for one, size in zip(windows, out, strict=True)
    )  # [out, kernel]
    shape = (out[0], out[1], windows[0].kernel, windows[1].kernel)
    y = np.broadcast_to(rows[:, None, :, None], shape)
    x = np.broadcast_to(columns[None, :, None, :], shape)
    return np.stack([y, x], axis=-1).reshape(out[0] * out[1], -1, 2).astype(np.float32)


def _products(low: Lowering, columns: Value, w: Value, groups: int) -> Value:
    """`[N, P, taps, C]` with the weights `[O, C/groups, kh, kw]`: `[N, P, O]`."""
    outputs, inputs, taps = int(w.shape[0]) // groups, int(w.shape[1]), int(w.shape[2]) * int(w.shape[3])
    flat = low.op("Reshape", w, np.array([groups, outputs, inputs, taps]))
    matrices = low.op(
        "Reshape", low.op("Transpose", flat, perm=[0, 3, 2, 1]), np.array([groups, taps * inputs, outputs])
    )
    made = []
    for group in range(groups):
        channels = np.arange(group * inputs, (group + 1) * inputs)
        mine = columns if groups == 1 else low.op("Gather", columns, channels, axis=3)
        shape = (*columns.shape[:2], taps * inputs)
        rows = low.value(low.reshape(low.tensor(mine), shape), Spec(mine.dtype, shape))
        made.append(low.op("MatMul", rows, low.op("Gather", matrices, np.array(group), axis=0)))
    return made[0] if groups == 1 else low.op("Concat", *made, axis=2)


OPERATORS = {"DeformConv": deform_conv, "GridSample": grid_sample}
