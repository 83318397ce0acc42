"""Tables whose columns are of unlike size: each is brought to -1 to 1 in float before one grid is laid over all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlpack_edge.converters.quantization.static.units import Unit, Weights
from mlpack_edge.converters.quantization.static.view import Array, View
from mlpack_edge.converters.quantization.values import Range

#: How many times the noise of columns kept apart the noise of one grid may be: 6 dB, one bit.
_TOLERABLE = 4.0


@dataclass(frozen=True, slots=True)
class Columns:
    """normal = (real - middle) * factor, float32 `[columns]`."""

    middle: Array
    factor: Array


def is_table(view: View, unit: Unit) -> bool:
    """Whether a matrix product reads features: `[rows, columns]` that come from the inputs without another layer between.

    Columns of what layers made are no such: there are many, and none ranges further than the rows of calibration let it.
    """
    if unit.node.op_type not in ("Gemm", "MatMul") or view.rank(unit.reads[0]) != 2:
        return False
    seen, waiting = set(), [unit.reads[0]]
    while waiting:
        maker = view.makers.get(waiting.pop())
        if maker is None or maker.name in seen:
            continue
        if maker.op_type in _LAYERS:
            return False
        seen.add(maker.name)
        waiting.extend(name for name in maker.input if name)
    return True


_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN", "Einsum"})


def unlike_columns(found: Range, weights: Weights) -> Columns | None:
    """The columns of the input of a matrix product that has `weights`; None where one grid does for all of them.

    Noise of a grid with steps d is `d ** 2 / 12` in each column, and counts by the squares of the weights that read it:
    what one grid adds is held against what a grid a column would add.
    """
    low, high = np.asarray(found.low, np.float64), np.asarray(found.high, np.float64)
    inner = weights.content.shape[1 - weights.axis]
    if low.ndim != 1 or low.size != inner or not np.isfinite([low, high]).all():
        return None
    half, middle = (high - low) / 2, (high + low) / 2
    varying = half > np.abs(middle) * 2.0**-20
    matrix = np.moveaxis(weights.content, weights.axis, 1).astype(np.float64)
    power = np.square(matrix).sum(axis=1)
    whole = (max(float(high.max()), 0.0) - min(float(low.min()), 0.0)) / 2
    apart = float((np.square(half) * power)[varying].sum())
    if apart == 0 or float(np.square(whole) * power[varying].sum()) <= _TOLERABLE * apart:
        return None
    # A constant column may vary as much as it takes to matter like the others: more is not known of it.
    usual = float(np.sqrt(np.mean((np.square(half) * power)[varying])))
    half = np.where(varying, half, usual / np.sqrt(np.where(power > 0, power, np.inf)))
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
