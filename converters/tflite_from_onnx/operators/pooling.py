"""Pools: channel-last inside, three spatial axes as two pools one behind the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.pool_indices import max_pool_with_indices
from mlpack_edge.converters.tflite_from_onnx.operators.spatial import (
    FLOATS,
    SINGLE,
    as_image,
    pad,
    pad_windows,
    spatial_axes,
    squeeze,
)
from mlpack_edge.converters.tflite_from_onnx.operators.windows import Window, elements, output_sizes, windows_of
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, product
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, channels_last, permuted
from mlpack_edge.converters.tflite_graph.model import Tensor


def max_pool(node: Node) -> Value | Sequence[Value | None]:
    """MaxPool-1 to MaxPool-22; what lies outside never wins. The indices are computed by gathering every window."""
    x = node.input(0)
    windows = _windows(node)
    if node.wants(1):
        return max_pool_with_indices(node, windows)
    if x.dtype not in (*FLOATS, "int8", "uint8"):
        raise node.refuse(f"TFLite has no maximum pool of {x.dtype}")
    lowest = np.array(np.iinfo(x.dtype).min, x.dtype) if x.dtype not in FLOATS else np.array(-np.inf, np.float32)
    return _pooled(node, "MAX_POOL_2D", x, windows, lowest)


def average_pool(node: Node) -> Value:
    """AveragePool-1 to AveragePool-22: windows that reach outside are divided by as much as counts in them."""
    x = node.input(0)
    if x.dtype not in FLOATS:
        raise node.refuse(f"TFLite averages floats, not {x.dtype}")
    return average(node, x, _windows(node), bool(node.attr("count_include_pad", 0)))


def average(node: Node, x: Value, windows: Sequence[Window], include_pad: bool) -> Value:
    """The mean over each window; padding counts as zeros where `include_pad`."""
    plain = all(window.is_valid() for window in windows)
    if all(window.begin == window.end == 0 for window in windows):
        include_pad = False  # what a window of ceil_mode reaches beyond the end counts in neither case
    if plain or (not include_pad and all(window.is_same() and window.dilation == 1 for window in windows)):
        return _pooled(node, "AVERAGE_POOL_2D", x, windows, None)
    counts = [_counts(node, window, include_pad) for window in windows]
    explicit = [_explicit(node, window) for window in windows]
    made = _pooled(node, "AVERAGE_POOL_2D", x, explicit, None, padded=True)
    full = elements(windows)
    if all((count == window.kernel).all() for count, window in zip(counts, windows, strict=True)):
        return made
    scale = full / reduce(np.multiply.outer, counts)
    return node.low.op("Mul", made, scale.astype(np.float32)[None, None])


def lp_pool(node: Node) -> Value:
    """LpPool-1 to LpPool-22: the p-norm of each window; padding is 0."""
    x, p = node.input(0), int(node.attr("p", 2))
    windows = [_explicit(node, window) for window in _windows(node)]
    low = node.low
    powers = low.op("Mul", x, x) if p == 2 else low.op("Abs", x)
    if p > 2:
        powers = low.op("Pow", powers, np.array(p, np.float32))
    sums = low.op("Mul", average(node, powers, windows, True), np.array(elements(windows), np.float32))
    if p == 2:
        return low.op("Sqrt", sums)
    return sums if p == 1 else low.op("Pow", sums, np.array(1 / p, np.float32))


def _windows(node: Node) -> list[Window]:
    spatial_axes(node)
    if str(node.attr("auto_pad", "NOTSET")).startswith("SAME") and max(node.attr("dilations", None) or [1]) > 1:
        raise node.refuse("its auto_pad has dilated windows, for which ONNX Runtime pads otherwise than the standard")
    made = windows_of(node, node.input(0).shape[2:], [int(item) for item in node.attr("kernel_shape")])
    if str(node.attr("auto_pad", "NOTSET")).startswith("SAME") and any(_is_cropped(window) for window in made):
        raise node.refuse(
            "its auto_pad drops what its windows pass over, where ONNX Runtime moves the windows or fails"
        )
    return made


def _is_cropped(window: Window) -> bool:
    """Whether windows that do not touch leave more than one element over at the end, as an auto_pad below -1 has it."""
    size = window.size if isinstance(window.size, int) else 0
    return (-(-size // window.stride) - 1) * window.stride + window.reach - size < -1


def _explicit(node: Node, window: Window) -> Window:
    """The window with padding that is known and VALID."""
    padded = window.padded()
    if padded is None:
        raise node.refuse("its padding depends on a size that is open", "fix the sizes of its image with --shape")
    return padded


def _counts(node: Node, window: Window, include_pad: bool) -> NDArray[np.int64]:
    """How many elements count at each place of a window; of length 1 where it is the same everywhere."""
    out = window.out()
    if not window.ceil and (include_pad or (window.begin == window.end == 0)):
        return np.array([window.kernel])
    if not isinstance(out, int) or not isinstance(window.size, int) or window.begin is None or window.end is None:
        raise node.refuse(
            "padding does not count in its means, and the size of its image is open", "fix the size with --shape"
        )
    places = np.arange(out)[:, None] * window.stride + np.arange(window.kernel) * window.dilation - window.begin
    first, last = (-window.begin, window.size + window.end) if include_pad else (0, window.size)
    counts: NDArray[np.int64] = ((places >= first) & (places < last)).sum(axis=1)
    return np.maximum(counts, 1)


def _pooled(
    node: Node,
    kind: str,
    x: Value,
    windows: Sequence[Window],
    outside: NDArray[np.generic] | None,
    *,
    padded: bool = False,
) -> Value:
    """The pool `kind` of `x`; `outside` is what lies in the padding. padded: write the padding out in any case."""
    low = node.low
    rank = len(windows)
    spec = Spec(x.dtype, (*x.shape[:2], *output_sizes(windows, node.spec().shape[2:])))
    tensor, shape = as_image(low, x)
    moved = [SINGLE, *windows] if rank == 1 else list(windows)
    if padded or any(window.dilation > 1 for window in moved):
        tensor, shape, moved = _laid_out(node, tensor, shape, moved, outside)
    perm = channels_last(rank + 2)
    out = permuted(spec.shape, perm)
    if rank < 3:
        full = (out[0], 1, *out[1:]) if rank == 1 else out
        made = _pool_2d(node, kind, tensor, shape, moved, full, outside)
        return low.value(squeeze(low, made, 1, out) if rank == 1 else made, spec, perm)
    batch = product(shape[:2])
    planes = (batch, *shape[2:])
    flat = (batch, *out[2:])
    made = _pool_2d(node, kind, low.reshape(tensor, planes), planes, moved[1:], flat, outside)
    columns = (*shape[:2], product(out[2:4]), shape[4])
    made = low.reshape(made, columns)
    made = _pool_2d(node, kind, made, columns, [moved[0], SINGLE], (out[0], out[1], *columns[2:]), outside)
    return low.value(low.reshape(made, out), spec, perm)


def _pool_2d(
    node: Node,
    kind: str,
    tensor: Tensor,
    shape: Sequence[Size],
    windows: Sequence[Window],
    out: Sequence[Size],
    outside: NDArray[np.generic] | None,
) -> Tensor:
    if all(window.kernel == window.stride == 1 and window.is_valid() for window in windows):
        return tensor
    tensor, _, padding = pad_windows(node, tensor, shape, windows, outside)
    rows, columns = windows
    return node.low.emit(
        kind,
        [tensor],
        tensor.dtype,
        out,
        padding=padding,
        stride_h=rows.stride,
        stride_w=columns.stride,
        filter_height=rows.kernel,
        filter_width=columns.kernel,
    )


def _laid_out(
    node: Node,
    tensor: Tensor,
    shape: Sequence[Size],
    windows: Sequence[Window],
    outside: NDArray[np.generic] | None,
) -> tuple[Tensor, tuple[Size, ...], list[Window]]:
    """Padding written out, and dilated windows laid out in a row, for TFLite's pools have no dilation."""
    low = node.low
    made = [_explicit(node, window) for window in windows]
    pads = [(window.begin or 0, window.end or 0) for window in made]
    outs = [window.out() for window in made]
    tensor, shape = pad(low, tensor, shape, [(0, 0), *pads, (0, 0)], outside)
    for axis, (window, out) in enumerate(zip(made, outs, strict=True)):
        made[axis] = replace(window, size=shape[axis + 1], begin=0, end=0)
        if window.dilation == 1:
            continue
        if not isinstance(out, int):
            raise node.refuse("its windows are dilated and the size of its image is open", "fix it with --shape")
        places = np.arange(out)[:, None] * window.stride + np.arange(window.kernel) * window.dilation
        shape = (*shape[: axis + 1], places.size, *shape[axis + 2 :])
        tensor = low.emit("GATHER", [tensor, places.reshape(-1).astype(np.int32)], tensor.dtype, shape, axis=axis + 1)
        made[axis] = replace(SINGLE, size=places.size, kernel=window.kernel, stride=window.kernel)
    return tensor, tuple(shape), made


def _global(kind: str) -> Callable[[Node], Value]:
    def lower(node: Node) -> Value:
        x = node.input(0)
        perm = x.layout
        axes = np.sort([perm.index(axis) for axis in range(2, x.rank)]).astype(np.int32)
        if x.dtype not in FLOATS:
            raise node.refuse(f"TFLite pools floats, not {x.dtype}")
        spec = Spec(x.dtype, (*x.shape[:2], *[1] * (x.rank - 2)))
        return node.low.emit_value(kind, [node.low.tensor(x, perm), axes], spec, perm, keep_dims=True)

    return lower


def global_lp_pool(node: Node) -> Value:
    """GlobalLpPool-1 to GlobalLpPool-22: the p-norm over the spatial axes."""
    x, p = node.input(0), int(node.attr("p", 2))
    axes = np.arange(2, x.rank)
    low = node.low
    if p in (1, 2):
        return low.op(f"ReduceL{p}", x, axes, keepdims=1)
    powers = low.op("Pow", low.op("Abs", x), np.array(p, np.float32))
    return low.op("Pow", low.op("ReduceSum", powers, axes, keepdims=1), np.array(1 / p, np.float32))


OPERATORS = {
    "AveragePool": average_pool,
    "GlobalAveragePool": _global("MEAN"),
    "GlobalLpPool": global_lp_pool,
    "GlobalMaxPool": _global("REDUCE_MAX"),
    "LpPool": lp_pool,
    "MaxPool": max_pool,
}
