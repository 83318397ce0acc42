"""Models that move data: an operator behind a convolution, whose value is held channel-last, or at the border."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, model_of

Array = NDArray[Any]
BATCHES = (1, 2, 7)
_RNG = np.random.default_rng(7)
_WEIGHT = _RNG.normal(size=(4, 3, 1, 1)).astype(np.float32)


def behind_convolution(
    nodes: Sequence[onnx.NodeProto],
    outputs: Sequence[str] = ("y",),
    constants: Mapping[str, Array] | None = None,
    opset: int = 21,
    batch: int | str = "batch",
) -> onnx.ModelProto:
    """`nodes` on `c`, `[batch, 4, 6, 5]`, which a convolution makes of `x`, `[batch, 3, 6, 5]`."""  # fmt: skip
    first = helper.make_node("Conv", ["x", "w"], ["c"])
    given = {"x": ("float32", [batch, 3, 6, 5])}
    return model_of([first, *nodes], given, outputs, {"w": _WEIGHT, **(constants or {})}, opset)


def images(*batches: int) -> list[dict[str, Array]]:
    return [{"x": _RNG.normal(size=(n, 3, 6, 5)).astype(np.float32)} for n in batches or BATCHES]


def filled(dtype: str, shape: Sequence[int], low: int = -100, high: int = 100) -> Array:
    """Random content of any element type."""
    if dtype == "bool":
        return _RNG.integers(0, 2, shape).astype(bool)
    if dtype.startswith("float"):
        return _RNG.normal(size=shape).astype(dtype)
    return _RNG.integers(max(low, np.iinfo(dtype).min), min(high, np.iinfo(dtype).max), shape).astype(dtype)


def assert_moved(
    node: onnx.NodeProto,
    dtype: str,
    shape: Sequence[int | str],
    constants: Mapping[str, Array] | None = None,
    outputs: Sequence[str] = ("y",),
    opset: int = 21,
) -> list[str]:
    """One node on `x`, its named sizes run at 1, 2 and 7; the kinds of operators it becomes."""  # fmt: skip
    model = model_of([node], {"x": (dtype, shape)}, outputs, constants, opset)
    open_sizes = any(isinstance(size, str) for size in shape)
    feeds = [
        {"x": filled(dtype, [n if isinstance(size, str) else size for size in shape])}
        for n in (BATCHES if open_sizes else (1,))
    ]
    return kinds(assert_lowered(model, *feeds).data)
