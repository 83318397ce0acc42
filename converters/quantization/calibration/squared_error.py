"""Clipping by the least squared error of an 8-bit grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.quantization.calibration.histogram import Bins

Floats = NDArray[np.float64]
LEVELS = 256
#: The narrowest range that is tried, as a share of the widest, and how many lie in a doubling.
_NARROWEST, _PER_DOUBLING = 2.0**-10, 8
#: How far an end is moved, in turn, when the best common threshold is known.
_MOVES = (1 / 8, 1 / 16, 1 / 32, 1 / 64)
_MOST_ROUNDS = 32


def squared_error(bins: Bins, levels: int = LEVELS) -> tuple[float, float]:
    """The range whose grid of `levels` steps has the least expected squared error.

    First one bound on the magnitude for both ends, in steps of 2 ** (1/8); then each end is moved for itself.
    """
    if not bins.counts.sum():
        return bins.low, bins.high
    widest = max(-bins.low, bins.high)
    bounds: list[float] = (
        widest * np.exp2(-np.arange(0, -np.log2(_NARROWEST) * _PER_DOUBLING) / _PER_DOUBLING)
    ).tolist()
    best = (expected_error(bins, bins.low, bins.high, levels), bins.low, bins.high)
    for bound in bounds[1:]:
        low, high = max(bins.low, -bound), min(bins.high, bound)
        best = min(best, (expected_error(bins, low, high, levels), low, high))
    for move in _MOVES:
        for _ in range(_MOST_ROUNDS):
            error, low, high = best
            for factor in (1 - move, 1 + move):
                lower, higher = max(bins.low, low * factor), min(bins.high, high * factor)
                best = min(best, (expected_error(bins, lower, high, levels), lower, high))
                best = min(best, (expected_error(bins, low, higher, levels), low, higher))
            if best[0] >= error:
                break
    return best[1], best[2]


def expected_error(bins: Bins, low: float, high: float, levels: int = LEVELS) -> float:
    """Mean of `(x - rounded(x)) ** 2` over the numbers, exact where they lie evenly within their bins.

    rounded: to the nearest of `levels` numbers a step apart, zero among them, that cover `[low, high]`; beyond the ends to
    the end. Zeros, which cost nothing, count in the mean.
    """
    step = (high - low) / (levels - 1)
    if not step:
        at = bins.edges * bins.edges * bins.edges / 3
    else:
        zero = np.rint(-low / step)
        places = bins.edges / step
        nearest = np.clip(np.rint(places), -zero, levels - 1 - zero)
        # The integral of the squared error from 0 on: each whole step has step ** 3 / 12, and the rest is a cubic.
        rest = places - nearest
        at = step**3 * (nearest / 12 + rest * rest * rest / 3)  # `** 3` takes five times as long
    width = bins.edges[1] - bins.edges[0]
    return float(np.dot(bins.counts, np.diff(at)) / width / (bins.counts.sum() + bins.zeros))
