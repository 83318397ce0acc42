"""What is known of an ONNX value while it is lowered, and the TFLite tensors that hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_graph.model import Tensor

Array = NDArray[Any]
#: A layout: physical axis i of the tensor holds axis perm[i] of the ONNX value, as numpy.transpose takes it.
Perm = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Spec:
    """What ONNX's own inference says of an output. dtype: numpy name or "string"."""

    dtype: str
    shape: tuple[Size, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Codes:
    """What an integer value stands for: real = scale * (code - zero_point), one scale for all.

    real: the real numbers themselves, each of them on that grid.
    """

    real: Value
    scale: float
    zero_point: int


@dataclass(eq=False, slots=True)
class Value:
    """One ONNX value, in ONNX's own layout and element type.

    array: its content where that is constant. elements: the elements of an integer value of rank 0 or 1 as far as they
    are known (sizes of other values). forms: the TFLite tensors that hold it, by layout; a float64 or float16 value is
    held as float32. codes: of an integer value that was quantized, its real numbers.
    """

    name: str
    dtype: str
    shape: tuple[Size, ...]
    array: Array | None = None
    elements: tuple[Size, ...] | None = None
    forms: dict[Perm, Tensor] = field(default_factory=dict)
    codes: Codes | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def plain(self) -> Perm:
        """ONNX's own order of axes."""
        return tuple(range(self.rank))

    @property
    def layout(self) -> Perm:
        """A layout in which the value is there already; ONNX's own for a constant."""
        if self.array is not None or not self.forms or self.plain in self.forms:
            return self.plain
        return next(iter(self.forms))


def constant(name: str, array: Array) -> Value:
    """A value whose content is known. Strings are object arrays, their dtype "string"."""
    array = np.asarray(array)  # what numpy computes of rank 0 is a scalar, which ONNX Runtime does not take
    dtype = "string" if array.dtype.kind in "OUS" else array.dtype.name
    elements = None
    if array.dtype.kind in "iu" and array.ndim <= 1:
        elements = tuple(int(item) for item in array.reshape(-1)) if array.size <= 64 else None
    return Value(name, dtype, tuple(array.shape), array, elements)


def channels_last(rank: int) -> Perm:
    """[N, C, ...] -> [N, ..., C]."""
    return (0, *range(2, rank), 1)


def inverse(perm: Perm) -> Perm:
    return tuple(int(axis) for axis in np.argsort(perm))


def permuted(shape: Sequence[Size], perm: Perm) -> tuple[Size, ...]:
    """The physical shape of a value of `shape` held in `perm`."""
    return tuple(shape[axis] for axis in perm)


def physical(axis: int, perm: Perm) -> int:
    """Where the axis of the ONNX value lies in a tensor of layout `perm`; a negative axis counts from the end."""
    return perm.index(axis % len(perm))


def without(perm: Perm, removed: Sequence[int]) -> Perm:
    """The layout left when the axes `removed` (of the ONNX value) are gone."""
    kept = [axis for axis in range(len(perm)) if axis not in removed]
    return tuple(kept.index(axis) for axis in perm if axis in kept)
