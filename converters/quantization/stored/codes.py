"""Numbers as codes: int8 with a scale a channel, int4 with a scale a block, float16 behind a power of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.quantization.static.rounding import balanced, nearest

Array = NDArray[Any]

#: Candidates for the step of an int4 block, of the one at which its largest number is 8 steps; 8 / 7 has it at 7.
_CLIPS = (8 / 7, 1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
#: float16 holds numbers above this with 11 bits.
_LEAST_HALF, _MOST_HALF = 2.0**-14, 65504.0
_HALF_ERROR = 2.0**-10


@dataclass(frozen=True, slots=True)
class Codes:
    """real = codes * scale, where scale (float32) broadcasts to the codes."""

    codes: Array
    scale: Array


def half_held(scale: Array) -> Array:
    """The scales as float16 holds them, where all are in its normal range; else as they are (float32)."""
    wide = np.asarray(scale, np.float32)
    if wide.size and float(wide.min()) >= _LEAST_HALF and float(wide.max()) <= _MOST_HALF / 2:
        return wide.astype(np.float16).astype(np.float32)
    return wide


def eight_bits(array: Array, over: tuple[int, ...], lean: float = 0.0) -> Codes:
    """int8 codes -127 .. 127 of `array` with one scale for each place on the axes `over` (none: one for all).

    lean: with an axis, codes are rounded so that the errors of each place add up to little: see `static.rounding`.
    """
    along = tuple(axis for axis in range(array.ndim) if axis not in over)
    largest = np.abs(array).max(axis=along, keepdims=True, initial=0.0).astype(np.float64)
    scale = half_held(_filled(largest / 127))
    if len(over) == 1 and lean > 0:
        first = np.moveaxis(array, over[0], 0)
        rows, steps = first.reshape(len(first), -1).astype(np.float64), scale.reshape(-1)
        leaning = balanced(nearest(rows, steps), rows, steps, lean)
        codes = np.moveaxis(leaning.reshape(first.shape), 0, over[0])
    else:
        codes = np.clip(np.rint(array.astype(np.float64) / scale), -127, 127)
    return Codes(np.ascontiguousarray(codes.astype(np.int8)), scale)


def four_bits(array: Array, axis: int, positive: bool = False) -> Codes:
    """int4 codes -8 .. 7 with one scale for all numbers along `axis`.

    The largest number by magnitude gets the code -8 (the scale may be negative), or is clipped by the candidate of least
    squared error: what few large numbers lose, the many others gain. positive: scales above 0 alone, as LiteRT wants them;
    the largest number gets 7 where it is above 0.
    """
    wide = array.astype(np.float32)
    place = np.abs(wide).argmax(axis=axis, keepdims=True)
    largest = np.take_along_axis(wide, place, axis=axis)
    if positive:
        largest = -np.where(largest > 0, largest * np.float32(8 / 7), -largest)
    best = np.ones_like(largest)
    least = np.full(largest.shape, np.inf, np.float32)
    for clip in _CLIPS:
        scale = _filled(largest * np.float32(-clip / 8)).astype(np.float32)
        error = np.square(wide - np.clip(np.rint(wide / scale), -8, 7) * scale).sum(axis=axis, keepdims=True)
        better = error < least
        least, best = np.where(better, error, least), np.where(better, scale, best)
    best = _half_signed(best)
    return Codes(np.clip(np.rint(wide / best), -8, 7).astype(ml_dtypes.int4), best)


def _half_signed(scale: Array) -> Array:
    size = np.abs(scale)
    return np.asarray(np.copysign(half_held(size), scale))


def _filled(scale: Array) -> Array:
    """1 where a scale would be 0, or too small for float32: all its codes are 0 then."""
    return np.where(np.abs(scale) < np.finfo(np.float32).tiny, 1.0, scale)


def half(array: Array) -> tuple[Array, float] | None:
    """(float16 numbers, the power of two to multiply them by), None where float16 does not hold `array` well.

    Well: each number within 2^-10 of itself, or within 2^-20 of the largest one, as it is beside that one in a sum.
    """
    largest = float(np.abs(array).max(initial=0.0))
    if not np.isfinite(largest) or not np.isfinite(array).all():
        return None
    factor = 1.0
    if largest and not 2.0**-4 <= largest <= 2.0**15:
        factor = 2.0 ** np.floor(np.log2(largest))
    made = (array.astype(np.float64) / factor).astype(np.float16)
    error = np.abs(made.astype(np.float64) * factor - array)
    allowed = _HALF_ERROR * np.maximum(np.abs(array), _HALF_ERROR * largest)
    return (made, factor) if bool((error <= allowed).all()) else None
