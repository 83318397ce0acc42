"""Transposed convolutions as convolutions without stride whose channels are then spread over space.

An output at `q * stride + r` sees the kernel's elements `r, r + stride, ...` alone: for each `r` it is a convolution of
its own (Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?", arXiv:1609.07009). TFLite's
TRANSPOSE_CONV wants the output's whole shape, its batch included, fixes the padding by it, and has neither groups nor
dilations; this form keeps the batch open and runs in XNNPACK.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.convolution import convolved
from mlpack_edge.converters.tflite_from_onnx.operators.spatial import FLOATS, spatial_axes
from mlpack_edge.converters.tflite_from_onnx.operators.windows import Window
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, known, product
from mlpack_edge.converters.tflite_from_onnx.values import Array, Spec, Value, channels_last
from mlpack_edge.converters.tflite_graph.model import Tensor

#: What TFLite's TRANSPOSE takes.
_MOST_AXES = 8


@dataclass(frozen=True, slots=True)
class Axis:
    """One spatial axis. begin: padding before; extra: output size less stride times input size."""

    size: Size
    kernel: int
    stride: int
    dilation: int
    begin: int
    extra: int


@dataclass(frozen=True, slots=True)
class Phases:
    """The convolution for one axis. places: `[taps, stride]`, which element of the kernel, -1 for none; before, behind:
    padding; first, last: how many outputs are cut off at either end."""

    places: Array
    before: int
    behind: int
    first: int
    last: int

    @property
    def taps(self) -> int:
        return len(self.places)


def phases(axis: Axis) -> Phases:
    """The cheapest way to write a transposed convolution along `axis`: fewest taps, then nothing to cut off."""
    found = [_aligned(axis, axis.begin - first) for first in range(max(axis.stride, axis.begin + 1))]
    return min(
        (one for one in found if one.before >= 0),
        key=lambda one: (one.taps, one.first + one.last > 0, one.before != (one.taps - 1) // 2, one.first),
    )


def _aligned(axis: Axis, start: int) -> Phases:
    """Outputs counted so that the first phase of the kernel begins at its (dilated) place `start`."""
    step, reach = axis.stride, (axis.kernel - 1) * axis.dilation + 1
    low, high = -((step - 1 + start) // step), (reach - 1 - start) // step
    high = max(high, low)
    before = high
    first = axis.begin - start
    wanted = -(-(first + axis.extra) // step)  # how many more than inputs
    behind = max(wanted - low, 0)
    last = (low + behind) * step - axis.extra - first
    tap = high - np.arange(high - low + 1)[:, None]
    place = np.arange(step)[None] + start + tap * step
    valid = (place >= 0) & (place < reach) & (place % axis.dilation == 0)
    return Phases(np.where(valid, place // axis.dilation, -1), before, behind, first, last)


def conv_transpose(node: Node) -> Value:
    """ConvTranspose-1 to ConvTranspose-22 with one to three spatial axes; the weights may be known only when it runs."""
    low, x, w = node.low, node.input(0), node.input(1)
    rank = spatial_axes(node)
    kernel = known(w.shape)
    if x.dtype not in FLOATS:
        raise node.refuse(f"TFLite convolves floats, not {x.dtype}")
    if kernel is None or not isinstance(x.shape[1], int):
        raise node.refuse("the sizes of its kernel or its channels are open", "fix them with --shape")
    groups = int(node.attr("group", 1))
    axes = _axes(node, x.shape[2:], kernel[2:])
    made = [phases(axis) for axis in axes]
    strides = [axis.stride for axis in axes]
    filters = _filters(node, w, made, strides, groups)
    channels, spread = kernel[1] * groups, math.prod(strides)
    bias = node.optional(2)
    order = np.arange(channels).reshape(groups, 1, kernel[1]).repeat(spread, axis=1).reshape(-1)
    spread_bias = None if bias is None else low.op("Gather", bias, order, axis=0)
    windows = [Window(axis.size, one.taps, 1, 1, one.before, one.behind) for axis, one in zip(axes, made, strict=True)]
    inner = _sizes(axes, made)
    spec = Spec(x.dtype, (x.shape[0], channels * spread, *inner))
    tensor = convolved(node, x, filters, spread_bias, windows, groups, spec)
    tensor = _spread(node, tensor, (x.shape[0], *inner, channels * spread), strides, groups)
    inferred = node.spec().shape[2:]
    out = tuple(
        product([axis.stride, axis.size]) if axis.extra == 0
        else axis.stride * axis.size + axis.extra if isinstance(axis.size, int)
        else size
        for axis, size in zip(axes, inferred, strict=True)
    )  # fmt: skip
    tensor = _cut(node, tensor, (x.shape[0], *out, channels), made)
    return low.value(tensor, Spec(x.dtype, (x.shape[0], channels, *out)), channels_last(rank + 2))


def _axes(node: Node, sizes: Sequence[Size], kernel: Sequence[int]) -> list[Axis]:
    rank = len(sizes)
    strides, dilations = (
        [int(item) for item in node.attr(name, None) or [1] * rank] for name in ("strides", "dilations")
    )
    pads = [int(item) for item in node.attr("pads", None) or [0] * 2 * rank]
    more = [int(item) for item in node.attr("output_padding", None) or [0] * rank]
    wanted = node.attr("output_shape", None)
    auto = str(node.attr("auto_pad", "NOTSET"))
    made = []
    for axis, size in enumerate(sizes):
        step = strides[axis]
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        full = reach - step + more[axis]  # how much longer than step * size it is without padding
        if wanted is not None:
            if not isinstance(size, int):
                raise node.refuse("it has output_shape, and the size of its image is open", "fix it with --shape")
            extra = int(wanted[len(wanted) - rank + axis]) - step * size
        elif auto in ("SAME_UPPER", "SAME_LOWER"):
            extra = 0
            if full < 0:
                raise node.refuse(
                    f"its auto_pad is {auto} with a stride beyond its kernel, where ONNX Runtime's size is not the standard's"
                )
        else:
            extra = full - (pads[axis] + pads[rank + axis] if auto == "NOTSET" else 0)
            made.append(Axis(size, kernel[axis], step, dilations[axis], pads[axis] if auto == "NOTSET" else 0, extra))
            continue
        total = max(full - extra, 0)
        begin = total // 2 if auto == "SAME_UPPER" else total - total // 2
        made.append(Axis(size, kernel[axis], step, dilations[axis], begin, extra))
    if min(strides) < 1 or min(dilations) < 1 or any(axis.begin < 0 for axis in made):
        raise node.refuse("a stride or a dilation is below 1, or its padding below 0")
    return made


def _filters(node: Node, w: Value, made: Sequence[Phases], strides: Sequence[int], groups: int) -> Value:
    """`[C, O/groups, k, ...]` as the weights `[groups * phases * O/groups, C/groups, taps, ...]` of a convolution."""
    low, rank = node.low, len(made)
    inputs, outputs = int(w.shape[0]) // groups, int(w.shape[1])
    ends = [0] * (2 + rank) + [0, 0] + [1] * rank
    filled = low.op("Pad", w, np.array(ends), np.array(0, w.dtype))  # a zero for the places that have no element
    for axis, one in enumerate(made):
        places = np.where(one.places < 0, int(w.shape[2 + axis]), one.places).reshape(-1)
        filled = low.op("Gather", filled, places, axis=2 + axis)
    pairs = [size for one, step in zip(made, strides, strict=True) for size in (one.taps, step)]
    split = low.op("Reshape", filled, np.array([groups, inputs, outputs, *pairs]))
    perm = [0, *range(4, 4 + 2 * rank, 2), 2, 1, *range(3, 3 + 2 * rank, 2)]
    moved = low.op("Transpose", split, perm=perm)
    taps = [one.taps for one in made]
    return low.op("Reshape", moved, np.array([groups * math.prod(strides) * outputs, inputs, *taps]))


def _sizes(axes: Sequence[Axis], made: Sequence[Phases]) -> tuple[Size, ...]:
    """How many outputs of each phase there are."""
    more = [one.before + one.behind - one.taps + 1 for one in made]
    return tuple(
        axis.size + add if isinstance(axis.size, int) else axis.size if add == 0 else f"({axis.size}+{add})"
        for axis, add in zip(axes, more, strict=True)
    )


def _spread(node: Node, tensor: Tensor, shape: Sequence[Size], strides: Sequence[int], groups: int) -> Tensor:
    """`[N, ..., groups * phases * C]` with the phases moved into space."""
    low = node.low
    spread = math.prod(strides)
    batch, *inner = shape[:-1]
    channels = int(shape[-1]) // spread
    out = (batch, *(product([size, step]) for size, step in zip(inner, strides, strict=True)), channels)
    if spread == 1:
        return tensor
    if len(strides) == 2 and strides[0] == strides[1] and groups == 1:
        return low.emit("DEPTH_TO_SPACE", [tensor], tensor.dtype, out, block_size=strides[0])
    if groups == 1 and spread == strides[-1]:
        return low.reshape(tensor, out)
    rank = len(strides)
    parts = (batch, *inner, groups, *strides, channels // groups)
    if len(parts) > _MOST_AXES:
        return _spread_by_axis(node, tensor, shape, strides, groups)
    perm = [0, *(axis for i in range(rank) for axis in (1 + i, 2 + rank + i)), 1 + rank, 2 + 2 * rank]
    moved = low.transpose(low.reshape(tensor, parts), tuple(perm), parts)
    return low.reshape(moved, out)


def _spread_by_axis(node: Node, tensor: Tensor, shape: Sequence[Size], strides: Sequence[int], groups: int) -> Tensor:
    """The same, from the last axis to the first, so that no tensor has more axes than TRANSPOSE takes."""
    low = node.low
    batch, *inner = shape[:-1]
    channels = int(shape[-1]) // math.prod(strides) // groups
    for axis in reversed(range(len(strides))):
        step, outer = strides[axis], groups * math.prod(strides[:axis])
        parts = (product([batch, *inner[:axis]]), inner[axis], product(inner[axis + 1 :]), outer, step, channels)
        tensor = low.transpose(low.reshape(tensor, parts), (0, 1, 4, 2, 3, 5), parts)
        inner[axis] = product([inner[axis], step])
    return low.reshape(tensor, (batch, *inner, groups * channels))


def _cut(node: Node, tensor: Tensor, out: Sequence[Size], made: Sequence[Phases]) -> Tensor:
    """`tensor` without the outputs that padding takes away; counted from the end, so that no size has to be known."""
    if not any(one.first or one.last for one in made):
        return tensor
    begin = np.array([0, *(one.first for one in made), 0], np.int32)
    end = np.array([0, *(-one.last for one in made), 0], np.int32)
    mask = sum(1 << axis for axis, number in enumerate(end) if number == 0)
    ones = np.ones_like(begin)
    return node.low.emit("STRIDED_SLICE", [tensor, begin, end, ones], tensor.dtype, out, end_mask=mask)


OPERATORS = {"ConvTranspose": conv_transpose}
