"""What the leaves say, added up: exactly where the source adds in float64, tree after tree where it adds in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.forests.forest import MAX, MIN
from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_graph.model import Tensor

Array = NDArray[Any]

#: Whole numbers up to this are exact in float32, their sums too.
_EXACT = 2.0**24
#: A base of more multiples of the scale than this is added in float32.
_EXACT_WIDE = 2.0**52


@dataclass(frozen=True, slots=True)
class Numbers:
    """How numbers stand in 32 bits. exact: they are float32, and their sums are too. scale: of int32, None for float32."""

    bits: NDArray[np.int32]
    exact: bool
    scale: float | None


def numbers_of(values: Array, count: int, dtype: str) -> Numbers:
    """Float64 `values` in 32 bits each, for sums of up to `count` of them that the source adds in `dtype`.

    int32 multiples of a power of two where the source adds in float64: 31 bits instead of 24, and sums in int64 are
    exact in any order.
    """
    narrow = values.astype(np.float32)
    largest = float(np.abs(values).max(initial=0.0))
    step = _step(values)
    if (narrow == values).all() and largest * count <= _EXACT * step:
        return Numbers(narrow.view(np.int32), True, None)
    if dtype == "float32" or not np.isfinite(values).all():
        return Numbers(narrow.view(np.int32), False, None)
    scale = 2.0 ** (int(np.frexp(largest)[1]) - 31)
    if not 2.0**-100 < scale < 2.0**90:
        return Numbers(narrow.view(np.int32), False, None)
    whole = np.clip(np.rint(values / scale), -(2.0**31) + 1, 2.0**31 - 1)
    return Numbers(whole.astype(np.int32), False, scale)


def _step(values: Array) -> float:
    """A power of two of which all values are multiples."""
    parts = np.abs(values[(values != 0) & np.isfinite(values)])
    if not parts.size:
        return 1.0
    step: float = float(np.ldexp(1.0, int(np.frexp(parts.min())[1]) - 25))
    for _ in range(25):
        if (np.remainder(parts, 2 * step) != 0).any():
            break
        step *= 2
    return step


def added(
    low: Lowering, aggregate: int, numbers: Numbers, said: Tensor, shape: tuple[Size, ...], axis: int, base: Array
) -> Tensor:
    """`said` (float32, or int32 multiples of the scale, of `shape`) aggregated along `axis`: float32, that axis gone.

    base: float64, broadcast to the result; where the source adds in float32 it comes first.
    """
    rest = (*shape[:axis], *shape[axis + 1 :])
    along = np.array([axis], np.int32)
    alone = shape[axis] == 1
    if aggregate in (MIN, MAX) and not alone:
        kind = "REDUCE_MIN" if aggregate == MIN else "REDUCE_MAX"
        said, alone = low.emit(kind, [said, along], said.dtype, rest, keep_dims=False), True
    elif alone:
        said = low.reshape(said, rest)
    if numbers.scale is not None:
        total = low.emit("CAST", [said], "int64", rest if alone else shape, in_data_type="int32", out_data_type="int64")
        if not alone:
            total = low.emit("SUM", [total, along], "int64", rest, keep_dims=False)
        start = np.rint(base / numbers.scale)
        whole = bool((np.abs(start) < _EXACT_WIDE).all())
        if base.any() and whole:
            total = low.emit("ADD", [total, start.astype(np.int64)], "int64", rest)
        real = low.emit("CAST", [total], "float32", rest, in_data_type="int64", out_data_type="float32")
        made = low.emit("MUL", [real, np.array(numbers.scale, np.float32)], "float32", rest)
        return made if whole else _plus(low, made, base, rest)
    if alone:
        return _plus(low, said, base, rest)
    if numbers.exact:
        return _plus(low, low.emit("SUM", [said, along], "float32", rest, keep_dims=False), base, rest)
    count = int(shape[axis])
    if base.any():
        first = np.zeros((*base.shape[:axis], count, *base.shape[axis:]), np.float32)
        first[(slice(None),) * axis + (0,)] = base
        said = low.emit("ADD", [said, first], "float32", shape)
    running = low.emit("CUMSUM", [said, np.array(axis, np.int32)], "float32", shape, exclusive=False, reverse=False)
    last = np.array([count - 1 if place == axis else 0 for place in range(len(shape))], np.int32)
    sizes = np.array([1 if place == axis else -1 for place in range(len(shape))], np.int32)
    cut = tuple(1 if place == axis else size for place, size in enumerate(shape))
    return low.reshape(low.emit("SLICE", [running, last, sizes], "float32", cut), rest)


def _plus(low: Lowering, tensor: Tensor, base: Array, shape: tuple[Size, ...]) -> Tensor:
    return low.emit("ADD", [tensor, base.astype(np.float32)], "float32", shape) if base.any() else tensor
