"""Channel-last tensors under convolutions and pools: padding, and one spatial axis as an image of height 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.emitter import Emitter
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.windows import Window
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Value, channels_last, permuted
from mlpack_edge.converters.tflite_graph.model import Tensor

FLOATS = ("float32", "float64", "float16", "bfloat16")
#: The axis that does not exist.
SINGLE = Window(1, 1)


def spatial_axes(node: Node, most: int = 3) -> int:
    """How many spatial axes `[N, C, ...]` has; refused where there are none or more than TFLite has kernels for."""
    rank = node.input(0).rank - 2
    if not 1 <= rank <= most:
        raise node.refuse(f"it has {rank} spatial axes, and TFLite's kernels have 1 to {most}")
    return rank


def as_image(low: Emitter, x: Value) -> tuple[Tensor, tuple[Size, ...]]:
    """`x` channel-last and its physical shape; one spatial axis becomes an image `[N, 1, L, C]` of height 1."""
    perm = channels_last(x.rank)
    tensor, shape = low.tensor(x, perm), permuted(x.shape, perm)
    if len(shape) == 3:
        shape = (shape[0], 1, *shape[1:])
        tensor = expand(low, tensor, 1, shape)
    return tensor, shape


def expand(low: Emitter, tensor: Tensor, axis: int, shape: Sequence[Size]) -> Tensor:
    """An axis of size 1 put in at `axis`; shape: with it. Needs no shape that is known only when it runs."""
    if sum(isinstance(size, str) for size in shape) > 1:
        return low.emit("EXPAND_DIMS", [tensor, np.array(axis, np.int32)], tensor.dtype, shape)
    return low.reshape(tensor, shape)


def squeeze(low: Emitter, tensor: Tensor, axis: int, shape: Sequence[Size]) -> Tensor:
    """The axis of size 1 at `axis` dropped; shape: without it."""
    if sum(isinstance(size, str) for size in shape) > 1:
        return low.emit("SQUEEZE", [tensor], tensor.dtype, shape, squeeze_dims=np.array([axis], np.int32))
    return low.reshape(tensor, shape)


def pad(
    low: Emitter,
    tensor: Tensor,
    shape: Sequence[Size],
    pads: Sequence[tuple[int, int]],
    value: NDArray[np.generic] | None = None,
) -> tuple[Tensor, tuple[Size, ...]]:
    """`tensor` of physical `shape` padded by (before, after) on each axis, with 0 or the scalar `value`; and its shape."""
    if not any(before or after for before, after in pads):
        return tensor, tuple(shape)
    made = tuple(
        size + before + after if isinstance(size, int) else size if not before and not after else f"({size}+padding)"
        for size, (before, after) in zip(shape, pads, strict=True)
    )
    table = np.array(pads, np.int32)
    if value is None:
        return low.emit("PAD", [tensor, table], tensor.dtype, made), made
    return low.emit("PADV2", [tensor, table, value], tensor.dtype, made), made


def pad_windows(
    node: Node,
    tensor: Tensor,
    shape: Sequence[Size],
    windows: Sequence[Window],
    value: NDArray[np.generic] | None = None,
) -> tuple[Tensor, tuple[Size, ...], str]:
    """`tensor` as TFLite's padding needs it: the tensor, its shape and "SAME" or "VALID"."""
    if all(window.is_valid() for window in windows):
        return tensor, tuple(shape), "VALID"
    if all(window.is_same() for window in windows):
        return tensor, tuple(shape), "SAME"
    padded = [window.padded() for window in windows]
    pads = [(window.begin or 0, window.end or 0) for window in padded if window is not None]
    if len(pads) < len(windows):
        raise node.refuse(
            "how much it pads depends on a size that is open, and not as TFLite's SAME does",
            "fix the sizes of its image with --shape",
        )
    made, shape = pad(node.low, tensor, shape, [(0, 0), *pads, (0, 0)], value)
    return made, shape, "VALID"


def weights(low: Emitter, w: Value, perm: tuple[int, ...], shape: Sequence[Size]) -> Tensor:
    """Weights transposed and brought into `shape`; as a constant where they are one."""
    if w.array is not None:
        return low.tensor_of(np.transpose(w.array, perm).reshape([int(size) for size in shape]), w.name)
    tensor = low.tensor(w, perm)
    return tensor if len(shape) == w.rank else low.reshape(tensor, shape)
