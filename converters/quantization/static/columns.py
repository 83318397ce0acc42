"""Tables whose columns are of unlike size: each is brought to -1 to 1 in float before one grid is laid over all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlpack_edge.converters.quantization.static.units import Weights
from mlpack_edge.converters.quantization.static.view import Array
from mlpack_edge.converters.quantization.values import Range

#: How many times narrower than the whole a column may be before it loses too many codes.
_UNLIKE = 4.0


@dataclass(frozen=True, slots=True)
class Columns:
    """normal = (real - middle) * factor, float32 `[columns]`."""

    middle: Array
    factor: Array


def unlike_columns(found: Range, weights: Weights) -> Columns | None:
    """The columns of the input of a matrix product that has `weights`; None where one grid does for all of them."""
    low, high = np.asarray(found.low, np.float64), np.asarray(found.high, np.float64)
    inner = weights.content.shape[1 - weights.axis]
    if low.ndim != 1 or low.size != inner or not np.isfinite([low, high]).all():
        return None
    half, middle = (high - low) / 2, (high + low) / 2
    varying = half > np.abs(middle) * 2.0**-20
    if not varying.any():
        return None
    whole = max(float(high.max()), 0.0) - min(float(low.min()), 0.0)
    if float(half[varying].min()) * 2 * _UNLIKE >= whole:
        return None
    sizes = np.abs(np.moveaxis(weights.content, weights.axis, 1)).max(axis=1).astype(np.float64)
    # A constant column may vary as much as it takes to matter like the others: more is not known of it.
    usual = float(np.mean((sizes * half)[varying]))
    half = np.where(varying, half, usual / np.where(sizes > 0, sizes, np.inf))
    factor = 1 / np.where(half > 0, half, 1.0)
    return Columns(middle.astype(np.float32), factor.astype(np.float32))


def normalized(weights: Weights, columns: Columns) -> Weights:
    """The weights and bias that give the same for normal columns."""
    inner = 1 - weights.axis
    along = [-1 if axis == inner else 1 for axis in range(2)]
    real = weights.content.astype(np.float64)
    content = (real / columns.factor.astype(np.float64).reshape(along)).astype(np.float32)
    added = np.tensordot(columns.middle.astype(np.float64), real, (0, inner))
    bias = added if weights.bias is None else added + weights.bias
    return Weights(content, weights.axis, 1, bias.astype(np.float32))
