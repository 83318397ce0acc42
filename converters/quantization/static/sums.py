"""Weights whose sums of two products fit 16 bits, so that x86 processors without VNNI add what all others do.

ONNX Runtime's kernels for AVX2 (MLAS: QgemmU8S8KernelAvx2, ConvSymKernelAvx2) multiply unsigned activations with signed
weights by `vpmaddubsw`: the products of neighbours along the inner dimension are added in int16 and saturate. With
activations up to 255, weights of one sign whose codes add up to at most 128 never do: 255 * 128 = 32640 <= 32767. Other
processors (VNNI, ARM) add in int32.
"""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.quantization.static.units import Weights
from mlpack_edge.converters.quantization.static.view import Array

#: The largest sum of two codes of one sign.
MOST_OF_PAIR = 128


def orders(weights: Weights, kind: str) -> list[Array]:
    """The weights as `[outputs, inner]` in every order in which kernels add products.

    Convolutions: by place of the window, then channel (channels last), and by channel, then place. A depthwise one has no
    pairs: its kernel adds in int32. A transposed one is computed in float.
    """
    content = weights.content
    if kind in ("Gemm", "MatMul"):
        return [np.moveaxis(content, weights.axis, 0)]
    if kind != "Conv" or (content.shape[1] == 1 and content.shape[0] == weights.groups):
        return []
    outputs = content.shape[0]
    places_first = np.moveaxis(content, 1, -1).reshape(outputs, -1)
    channels_first = content.reshape(outputs, -1)
    same = content.shape[1] == 1 or channels_first.shape[1] == content.shape[1]
    return [places_first] if same else [places_first, channels_first]


def fitted(matrix: Array, scale: Array) -> Array:
    """The scales, raised for the rows whose codes would have pairs above `MOST_OF_PAIR`, to the smallest that has none."""
    raised = scale.copy()
    pairs = np.abs(_pairs(matrix)).max(axis=1, initial=0.0)
    tight = np.flatnonzero(pairs / raised > MOST_OF_PAIR - 1)
    for row in tight:
        raised[row] = _smallest(matrix[row : row + 1], float(scale[row]), float(pairs[row]))
    return raised


def _smallest(row: Array, scale: float, pair: float) -> np.float32:
    """Scales at which some code changes are too many to try all: steps of 1/2048, from where rounding alone could help."""
    tried = np.float32(max(scale, pair / (MOST_OF_PAIR + 1)))
    while _largest_pair(row, tried) > MOST_OF_PAIR:
        tried = np.float32(tried * np.float32(1 + 2**-11))
    return tried


def _largest_pair(row: Array, scale: np.float32) -> float:
    return float(np.abs(_pairs(np.rint(row.astype(np.float64) / float(scale)))).max(initial=0.0))


def _pairs(matrix: Array) -> Array:
    """Sums of neighbours of one sign (of the larger one where the signs differ): `[rows, pairs * 2]`."""
    if matrix.shape[1] % 2:
        matrix = np.pad(matrix, ((0, 0), (0, 1)))
    left, right = matrix[:, 0::2], matrix[:, 1::2]
    above = np.maximum(left, 0) + np.maximum(right, 0)
    below = np.minimum(left, 0) + np.minimum(right, 0)
    return np.concatenate([above, below], axis=1)
