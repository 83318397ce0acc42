"""Convolutions: channel-last inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.emitter import Given
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.spatial import (
    FLOATS,
    SINGLE,
    as_image,
    pad_windows,
    spatial_axes,
    squeeze,
    weights,
)
from mlpack_edge.converters.tflite_from_onnx.operators.windows import Window, output_sizes, windows_of
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, known
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, channels_last
from mlpack_edge.converters.tflite_graph.model import Tensor


def conv(node: Node) -> Value:
    """Conv-1 to Conv-22 with one to three spatial axes; the weights may be known only when the model runs."""
    x, w = node.input(0), node.input(1)
    axes = spatial_axes(node)
    if x.dtype not in FLOATS:
        raise node.refuse(f"TFLite convolves floats, not {x.dtype}")
    kernel, groups = known(w.shape), int(node.attr("group", 1))
    if kernel is not None and str(x.shape[1]).startswith("?"):  # made in the model, where inference lost count of them
        x = Value(x.name, x.dtype, (x.shape[0], kernel[1] * groups, *x.shape[2:]), forms=dict(x.forms))
    if kernel is None or not isinstance(x.shape[1], int):
        raise node.refuse("the sizes of its kernel or its channels are open", "fix them with --shape")
    windows = windows_of(node, x.shape[2:], kernel[2:])
    shape = (x.shape[0], kernel[0], *output_sizes(windows, node.spec().shape[2:]))
    spec = Spec(x.dtype, shape)
    if x.shape[1] != kernel[1] * groups or kernel[0] % groups:
        raise node.refuse(f"{x.shape[1]} channels in {groups} groups do not fit its kernel {list(kernel)}")
    tensor = convolved(node, x, w, node.optional(2), windows, groups, spec)
    return node.low.value(tensor, spec, channels_last(axes + 2))


def convolved(
    node: Node, x: Value, w: Value, bias: Value | None, windows: Sequence[Window], groups: int, spec: Spec
) -> Tensor:
    """The convolution of `x` `[N, C, ...]` with `w` `[O, C/groups, ...]` as a channel-last tensor of `spec`."""
    low = node.low
    tensor, shape = as_image(low, x)
    moved = [SINGLE, *windows] if len(windows) == 1 else list(windows)
    tensor, shape, padding = pad_windows(node, tensor, shape, moved)
    b: Given = np.zeros(int(w.shape[0]), np.float32) if bias is None else low.tensor(bias)
    out = tuple(spec.shape[axis] for axis in channels_last(len(spec.shape)))
    if len(windows) == 3:
        return _conv_3d(node, tensor, shape, w, b, windows, padding, groups, spec)
    full = (out[0], 1, *out[1:]) if len(windows) == 1 else out
    made = _conv_2d(node, tensor, w, b, moved, padding, groups, x.shape[1], spec.dtype, full)
    return squeeze(low, made, 1, out) if len(windows) == 1 else made


def _conv_2d(
    node: Node,
    tensor: Tensor,
    w: Value,
    bias: Given,
    windows: Sequence[Window],
    padding: str,
    groups: int,
    channels: Size,
    dtype: str,
    shape: Sequence[Size],
) -> Tensor:
    rows, columns = windows
    options: dict[str, Any] = {
        "padding": padding,
        "stride_h": rows.stride,
        "stride_w": columns.stride,
        "dilation_h_factor": rows.dilation,
        "dilation_w_factor": columns.dilation,
    }
    outputs, inputs = int(w.shape[0]), int(w.shape[1])
    spatial = tuple(range(2, w.rank))
    size = (rows.kernel, columns.kernel)
    if groups == channels and groups > 1:
        filters = weights(node.low, w, (1, *spatial, 0), (1, *size, outputs))
        options["depth_multiplier"] = outputs // groups
        return node.low.emit("DEPTHWISE_CONV_2D", [tensor, filters, bias], dtype, shape, **options)
    filters = weights(node.low, w, (0, *spatial, 1), (outputs, *size, inputs))
    return node.low.emit("CONV_2D", [tensor, filters, bias], dtype, shape, **options)


def _conv_3d(
    node: Node,
    tensor: Tensor,
    shape: Sequence[Size],
    w: Value,
    bias: Given,
    windows: Sequence[Window],
    padding: str,
    groups: int,
    spec: Spec,
) -> Tensor:
    """CONV_3D, which has no groups: one for each, side by side."""
    low = node.low
    options: dict[str, Any] = {"padding": padding}
    for letter, window in zip("dhw", windows, strict=True):
        options[f"stride_{letter}"] = window.stride
        options[f"dilation_{letter}_factor"] = window.dilation
    out = tuple(spec.shape[axis] for axis in channels_last(5))
    inputs, outputs = int(w.shape[1]), int(w.shape[0]) // groups
    filters = weights(low, w, (2, 3, 4, 1, 0), (*(window.kernel for window in windows), inputs, outputs * groups))
    if groups == 1:
        return low.emit("CONV_3D", [tensor, filters, bias], spec.dtype, out, **options)
    part = [(spec.dtype, (*shape[:4], inputs))] * groups
    xs = low.emit_many("SPLIT", [np.array(4, np.int32), tensor], part, num_splits=groups)
    kernels = [(spec.dtype, (*filters.shape[:4], outputs))] * groups
    ws = low.emit_many("SPLIT", [np.array(4, np.int32), filters], kernels, num_splits=groups)
    zero: Given = np.zeros(outputs, np.float32)
    made = [
        low.emit("CONV_3D", [one, two, zero], spec.dtype, (*out[:4], outputs), **options)
        for one, two in zip(xs, ws, strict=True)
    ]
    joined = low.emit("CONCATENATION", made, spec.dtype, out, axis=4)
    return low.emit("ADD", [joined, bias], spec.dtype, out)


OPERATORS = {
    "Conv": conv,
}
