"""Codes of weights: int8 around 0, a scale an output channel."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlpack_edge.converters.quantization.static.grids import Grid
from mlpack_edge.converters.quantization.static.moments import Moments
from mlpack_edge.converters.quantization.static.rounding import MOST, balanced, nearest
from mlpack_edge.converters.quantization.static.sums import fitted, from_kernel_order, in_kernel_order
from mlpack_edge.converters.quantization.static.units import Weights
from mlpack_edge.converters.quantization.static.view import Array

#: Codes of a bias stay below this, which leaves the products as much room in int32.
_MOST_BIAS = 1 << 30
#: The narrowest channel beside the widest one: what is far below adds nothing, and kernels want factors in a span.
_NARROWEST = 2.0**-24
#: The smallest normal number of float32: scales below it, and products of scales, lose digits or become 0.
_LEAST = 2.0**-126
#: mean(x) ** 2 / var(x) of activations of one sign, neighbours counted as alike: above 1 any does (measured on seven nets).
_LEAN = 8.0
#: What was made is kept up to this many bytes: a search makes a model many times with few changes.
_MOST_KEPT = 1 << 28
_MEMO: dict[bytes, Coded] = {}
#: Weights that are rounded at a time.
_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Coded:
    """codes: int8 of the shape of the weights. scale: float32 `[outputs]`. offset: `[outputs]`, see `Moments.offset`; None where
    those were not given."""

    codes: Array
    scale: Array
    offset: Array | None = None


def coded(
    weights: Weights, kind: str, sources: Sequence[Grid], biases: Sequence[Array | None], exact: bool,
    moments: Moments | None = None,
) -> Coded:  # fmt: skip
    """The weights of an operator `kind` (see `Unit.kind`), or of several that share them.

    sources, biases: the grids of the activations that each of them reads, and the bias it adds. The scale of a channel is
    that of its largest weight, larger where a bias would not fit 30 bits in steps of the product of both scales (what the
    weights lose is nothing beside that bias), or, with `exact`, where sums of two products would not fit 16 (see `sums`;
    kernels of depthwise convolutions add in 32, transposed ones compute in float). Channels without any weight take the
    smallest scale of the others, so that their bias keeps its precision. moments: of what they read, in place of what the
    grids tell; then the bias is expected to take the offset off, and no codes are moved for it.
    """
    key = _digest(weights, kind, sources, biases, exact, moments)
    if key not in _MEMO:
        _MEMO[key] = _coded(weights, kind, sources, biases, exact, moments)
        while len(_MEMO) > 1 and sum(made.codes.nbytes for made in _MEMO.values()) > _MOST_KEPT:
            del _MEMO[next(iter(_MEMO))]
    return _MEMO[key]


def _digest(
    weights: Weights, kind: str, sources: Sequence[Grid], biases: Sequence[Array | None], exact: bool,
    moments: Moments | None,
) -> bytes:  # fmt: skip
    digest = hashlib.blake2b(np.ascontiguousarray(weights.content).data)
    for bias in biases:
        digest.update(b"none" if bias is None else np.ascontiguousarray(bias).tobytes())
    for array in () if moments is None else (moments.mean, moments.coded, moments.variance):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr((weights.content.shape, weights.axis, weights.groups, kind, tuple(sources), exact)).encode())
    return digest.digest()


def _coded(
    weights: Weights, kind: str, sources: Sequence[Grid], biases: Sequence[Array | None], exact: bool,
    moments: Moments | None,
) -> Coded:  # fmt: skip
    matrix = in_kernel_order(weights.content, weights)
    scale = _own_scale(_largest(matrix))
    for source, bias in zip(sources, biases, strict=True):
        if bias is not None:
            scale = np.maximum(scale, _bias_scale(weights, source, bias))
    scale = np.maximum(scale, _LEAST / min(1.0, *(source.scale for source in sources)))
    lean = 0.0 if moments is not None else _LEAN * min(_one_sidedness(source) ** 2 for source in sources)
    power = None if moments is None else moments.variance
    offset = None if moments is None else np.empty(len(matrix))
    pairs = exact and kind in ("Conv", "Gemm", "MatMul")
    codes, rows = np.empty(matrix.shape, np.int8), scale.astype(np.float32)
    step = max(_AT_ONCE // max(matrix.shape[1], 1), 1)
    for start in range(0, rows.size, step):
        part = slice(start, start + step)
        real = matrix[part].astype(np.float64)
        if pairs:
            codes[part], rows[part] = fitted(real, rows[part], lean, power)
        else:
            codes[part] = balanced(nearest(real, rows[part]), real, rows[part], lean)
        if moments is not None and offset is not None:
            made = codes[part] * rows[part].astype(np.float64)[:, None]
            offset[part] = moments.of(part).offset(real, made)
    return Coded(from_kernel_order(codes, weights), rows, offset)


def is_widened(weights: Weights, source: Grid, bias: Array | None) -> bool:
    """Whether a bias takes a larger scale than the weights of its channel need, see `coded`."""
    if bias is None:
        return False
    largest = _largest(in_kernel_order(weights.content, weights))
    return bool(((_bias_scale(weights, source, bias) > _own_scale(largest)) & (largest > 0)).any())


def _largest(matrix: Array) -> Array:
    """The largest magnitude of each channel, float64 `[outputs]`."""
    return np.asarray(np.abs(matrix).max(axis=1, initial=0.0), np.float64)


def _own_scale(largest: Array) -> Array:
    """That of the weights, whatever they are added to."""
    alive = largest > 0
    least = largest[alive].min() if alive.any() else 1.0
    scale: Array = np.maximum(np.where(alive, largest, least), largest.max(initial=0.0) * _NARROWEST) / MOST
    return scale


def _bias_scale(weights: Weights, source: Grid, bias: Array) -> Array:
    """The smallest with which a bias fits 30 bits in steps of both scales."""
    return _per_scale(np.abs(bias), weights) / (source.scale * _MOST_BIAS)


def _per_scale(bias: Array, weights: Weights) -> Array:
    """The largest of a bias a scale: a transposed convolution in groups has one for the same place of all groups."""
    largest: Array = np.asarray(bias, np.float64).reshape(-1, weights.outputs).max(axis=0)
    return largest


def _one_sidedness(grid: Grid) -> float:
    """1 where activations have one sign, 0 where a grid reaches as far to both sides."""
    low, high = -(grid.zero - grid.lowest), 255 - (grid.zero - grid.lowest)
    return (high + low) / (high - low)
