"""Weights whose sums of two products fit 16 bits, so that x86 processors without VNNI add what all others do.

ONNX Runtime's kernels for SSE4.1, AVX2 and AVX-512BW (MLAS: QgemmU8S8KernelAvx2, QgemvU8S8KernelAvx2, ConvSymKernelAvx2)
multiply unsigned activations with signed weights by `vpmaddubsw`: the products of neighbours along the inner dimension,
0 with 1, 2 with 3, are added in int16 and saturate. With activations up to 255, weights of one sign whose codes add up
to at most 128 never do: 255 * 128 = 32640 <= 32767. Other processors (VNNI, ARM) add in int32.
"""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.quantization.static.rounding import MOST, balanced, nearest
from mlpack_edge.converters.quantization.static.units import Weights
from mlpack_edge.converters.quantization.static.view import Array

#: The largest sum of two neighbours of one sign.
MOST_OF_PAIR = 128
#: Scales that are tried for a row between the one that its largest weight and the one that its largest pair asks for.
_TRIED = 5


def in_kernel_order(content: Array, weights: Weights) -> Array:
    """`[outputs, inner]`, the inner dimension as kernels add along it: of convolutions by place of the window, then by
    channel (QLinearConv brings all data to channels last)."""
    outputs_first = np.moveaxis(content, weights.axis, 0)
    ordered = np.moveaxis(outputs_first, 1, -1)
    matrix: Array = ordered.reshape(ordered.shape[0], -1)
    return matrix


def from_kernel_order(matrix: Array, weights: Weights) -> Array:
    outputs_first = np.moveaxis(np.empty(weights.content.shape, np.bool_), weights.axis, 0)
    ordered = matrix.reshape(np.moveaxis(outputs_first, 1, -1).shape)
    return np.ascontiguousarray(np.moveaxis(np.moveaxis(ordered, -1, 1), 0, weights.axis))


def fitted(real: Array, scale: Array, lean: float, power: Array | None = None) -> tuple[Array, Array]:
    """Codes without pairs above `MOST_OF_PAIR`, and their scales, at least `scale`.

    A row that has such a pair takes the scale, of some up to the smallest at which it has none, at which the squares of
    its errors are least, its pairs brought to the nearest that fit. real: float64 `[rows, inner]`. scale: float32 `[rows]`.
    lean: see `rounding.loss`. power: of what each weight multiplies, `[1, inner]`: by it errors count, alike where it is not given.
    """
    codes, raised = nearest(real, scale), scale.copy()
    largest = np.abs(_pairs(real)).max(axis=1, initial=0.0)
    tight = np.flatnonzero(largest / scale > MOST_OF_PAIR - 1)
    if tight.size:
        codes[tight], raised[tight] = _best(
            real[tight], scale[tight], largest[tight], np.ones((1, real.shape[1])) if power is None else power
        )
    return balanced(codes, real, raised, lean, MOST_OF_PAIR), raised


def _best(real: Array, scale: Array, largest: Array, power: Array) -> tuple[Array, Array]:
    best_codes, best_scale = np.zeros(real.shape), scale.copy()
    least = np.full(scale.shape, np.inf)
    for share in np.linspace(0.0, 1.0, _TRIED):
        tried = np.maximum(scale, scale + (largest / MOST_OF_PAIR - scale) * share).astype(np.float32)
        codes = _within_pairs(real, tried, power)
        lost = (power * np.square(codes * tried.astype(np.float64)[:, None] - real)).sum(axis=1)
        better = lost < least
        best_codes[better], best_scale[better], least[better] = codes[better], tried[better], lost[better]
    return best_codes, best_scale


def _within_pairs(real: Array, scale: Array, power: Array) -> Array:
    """The nearest codes of which no neighbours of one sign add up to more than `MOST_OF_PAIR`."""
    codes = nearest(real, scale)
    width = codes.shape[1] // 2 * 2
    left, right = codes[:, 0:width:2], codes[:, 1:width:2]
    above = (np.sign(left) == np.sign(right)) & (np.abs(left) + np.abs(right) > MOST_OF_PAIR)
    a, b = (np.abs(real[:, start:width:2] / scale.astype(np.float64)[:, None]) for start in (0, 1))
    p, q = power[:, 0:width:2], power[:, 1:width:2]
    taken = np.clip(np.rint(a - (a + b - MOST_OF_PAIR) * (q / (p + q))), 1, MOST)
    codes[:, 0:width:2] = np.where(above, np.sign(left) * taken, left)
    codes[:, 1:width:2] = np.where(above, np.sign(right) * (MOST_OF_PAIR - taken), right)
    return codes


def _pairs(matrix: Array) -> Array:
    """Sums of neighbours of one sign, 0 where the signs differ and beside a last one: `[rows, pairs]`."""
    width = matrix.shape[1] // 2 * 2
    left, right = matrix[:, 0:width:2], matrix[:, 1:width:2]
    sums: Array = np.where(np.sign(left) == np.sign(right), left + right, 0.0)
    return sums
