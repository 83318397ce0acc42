"""Codes of weights: int8 around 0, a scale an output channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlpack_edge.converters.quantization.static.sums import fitted, orders
from mlpack_edge.converters.quantization.static.units import Weights
from mlpack_edge.converters.quantization.static.view import Array

_MOST = 127
#: Codes of a bias stay below this, which leaves the products as much room in int32.
_MOST_BIAS = 1 << 30


@dataclass(frozen=True, slots=True)
class Coded:
    """codes: int8 of the shape of the weights. scale: float32 `[outputs]`."""

    codes: Array
    scale: Array


def coded(weights: Weights, kind: str, source_scale: float, exact: bool) -> Coded:
    """The weights of an operator `kind` that reads activations in steps of `source_scale`.

    The scale of a channel is that of its largest weight, larger where its bias would not fit 30 bits in steps of
    `source_scale * scale` (what is lost is nothing beside that bias), or, with `exact`, where sums of two products would
    not fit 16 (see `sums`). Channels without any weight take the smallest scale of the others, so that their bias keeps its
    precision.
    """
    matrix = _by_channel(weights.content, weights.axis)
    largest = np.abs(matrix).max(axis=1, initial=0.0).astype(np.float64)
    alive = largest > 0
    least = largest[alive].min() if alive.any() else 1.0
    scale = np.maximum(np.where(alive, largest, least) / _MOST, (largest.max(initial=0.0) or 1.0) * 2.0**-31)
    if weights.bias is not None:
        scale = np.maximum(scale, _per_axis(np.abs(weights.bias), weights) / (source_scale * _MOST_BIAS))
    rows = scale.astype(np.float32)
    rows = np.where(rows.astype(np.float64) * (_MOST + 0.5) < largest, np.nextafter(rows, np.float32(np.inf)), rows)
    if exact:
        for order in orders(weights, kind):
            rows = fitted(order, rows)
    along = [-1 if axis == weights.axis else 1 for axis in range(weights.content.ndim)]
    codes = np.rint(weights.content.astype(np.float64) / rows.astype(np.float64).reshape(along))
    return Coded(np.clip(codes, -_MOST, _MOST).astype(np.int8), rows)


def _by_channel(content: Array, axis: int) -> Array:
    matrix: Array = np.moveaxis(content, axis, 0).reshape(content.shape[axis], -1)
    return matrix


def _per_axis(bias: Array, weights: Weights) -> Array:
    """The largest of a bias a scale: a transposed convolution in groups has a scale for the same place of all groups."""
    largest: Array = np.asarray(bias, np.float64).reshape(-1, weights.outputs).max(axis=0)
    return largest
