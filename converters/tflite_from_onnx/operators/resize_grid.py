"""Where a resized axis is sampled, and with which weights, for sizes that are known.

Coordinates are computed in float32 and by the formulas of ONNX Runtime (`upsamplebase.h`), which resolves what the
standard leaves open: `align_corners` goes by the whole size of the output, `pytorch_half_pixel` gives 0 for one element.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.values import Array

_F = np.float32


@dataclass(frozen=True, slots=True)
class Grid:
    """One axis to be resized. scale: output size by input size, as given or as it follows from sizes."""

    size: int
    out: int
    scale: float
    coordinates: str
    roi: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Filter:
    """How elements are weighed. mode: "linear" or "cubic"; a: the coefficient of the cubic."""

    mode: str
    a: float = -0.75
    antialias: bool = False
    exclude_outside: bool = False


def coordinates(grid: Grid) -> Array:
    """`[out]` float32: the place in the input of each element of the output."""
    at = np.arange(grid.out, dtype=_F)
    scale, size, last = _F(grid.scale), _F(grid.size), _F(grid.size - 1)
    start, end = (_F(number) for number in grid.roi)
    if grid.coordinates == "asymmetric":
        return at / scale
    if grid.coordinates == "align_corners":
        return at * last / _F(grid.out - 1) if grid.out > 1 else np.zeros_like(at)
    if grid.coordinates == "tf_crop_and_resize":
        if grid.out > 1:
            return start * last + at * (end - start) * last / _F(grid.out - 1)
        return np.full_like(at, _F(0.5) * (start + end) * last)
    if grid.coordinates == "half_pixel_symmetric":
        adjustment = _F(grid.out) / (scale * size)
        offset = size / _F(2) * (_F(1) - adjustment)
        wide = np.float64(offset) + (at.astype(np.float64) + 0.5) / np.float64(scale) - 0.5  # ONNX Runtime does so too
        return wide.astype(_F)
    if grid.coordinates == "pytorch_half_pixel" and grid.out == 1:
        return np.zeros_like(at)
    return (at + _F(0.5)) / scale - _F(0.5)


def outside(grid: Grid) -> Array:
    """`[out]` bool: what tf_crop_and_resize extrapolates."""
    at = coordinates(grid)
    return (at < 0) | (at > grid.size - 1) if grid.coordinates == "tf_crop_and_resize" else np.zeros(grid.out, bool)


def nearest(grid: Grid, rounding: str) -> Array:
    """`[out]` int64: the element that is nearest by `rounding`; "simple" is that of opsets 7 to 10."""
    at = coordinates(grid)
    if rounding == "simple":
        rounding = "ceil" if grid.scale < 1 else "floor"
    if rounding == "floor":
        place = np.floor(at)
    elif rounding == "ceil":
        place = np.ceil(at)
    elif rounding == "round_prefer_ceil":
        place = np.floor(at + _F(0.5))
    else:
        place = np.ceil(at - _F(0.5))
    found: Array = np.clip(place.astype(np.int64), 0, grid.size - 1)
    return found


def kernel(distance: Array, by: Filter) -> Array:
    """The weight of an element at `distance` from where is sampled."""
    x = np.abs(distance)
    if by.mode == "linear":
        linear: Array = np.maximum(1 - x, 0)
        return linear
    a = by.a
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def matrix(grid: Grid, by: Filter) -> Array:
    """`[out, size]` float64: the weights of the elements of the input; elements outside are those at the border."""
    at = coordinates(grid).astype(np.float64)[:, None]
    shrink = min(grid.scale, 1.0) if by.antialias else 1.0
    reach = int(np.ceil(2 / shrink)) + 1
    low, high = int(np.floor(at.min())) - reach, int(np.ceil(at.max())) + reach
    places = np.arange(min(low, 0), max(high, grid.size - 1) + 1)
    weights = kernel((places[None] - at) * shrink, by)
    inside = (places >= 0) & (places < grid.size)
    if by.exclude_outside:
        weights = weights * inside
    weights = weights / weights.sum(axis=1, keepdims=True)
    border = np.clip(places, 0, grid.size - 1)
    made = np.zeros((grid.out, grid.size))
    np.add.at(made.T, border, weights.T)
    made[outside(grid)] = 0
    return made


def tflite_bilinear(size: int, out: int, *, align_corners: bool, half_pixel: bool) -> Array:
    """`[out, size]`: the weights of TFLite's RESIZE_BILINEAR (`kernels/internal/reference/resize_bilinear.h`)."""
    at = np.arange(out, dtype=_F)
    scale = _F(size - 1) / _F(out - 1) if align_corners and out > 1 else _F(size) / _F(out)
    x = ((at + _F(0.5)) * scale - _F(0.5) if half_pixel else at * scale).astype(np.float64)
    low = np.maximum(np.floor(x), 0).astype(np.int64)
    high = np.minimum(np.ceil(x), size - 1).astype(np.int64)
    made = np.zeros((out, size))
    rows = np.arange(out)
    low = np.minimum(low, size - 1)
    np.add.at(made, (rows, low), 1 - (x - low))
    np.add.at(made, (rows, np.maximum(high, 0)), x - low)
    return made


def tflite_nearest(size: int, out: int, *, align_corners: bool, half_pixel: bool) -> Array:
    """`[out]`: what TFLite's RESIZE_NEAREST_NEIGHBOR takes (`GetNearestNeighbor` in `reference/reference_ops.h`)."""
    at = np.arange(out, dtype=_F) + (_F(0.5) if half_pixel else _F(0))
    scale = _F(size - 1) / _F(out - 1) if align_corners and out > 1 else _F(size) / _F(out)
    place = at * scale
    whole = np.floor(place + _F(0.5)) if align_corners else np.floor(place)
    found: Array = np.clip(whole.astype(np.int64), 0, size - 1)
    return found
