"""Clipping by relative entropy, after S. Migacz, "8-bit inference with TensorRT" (GPU Technology Conference 2017).

What is clipped counts in the reference and not in the candidate, as there. Mended against that text:
- Exact zeros are left out, since every grid holds them: the many zeros behind a Relu would else ask for ever finer steps.
- Levels are those of the grid itself, the nearest step to each bin, not runs of a whole number of bins with a rest at the
  end; so thresholds that are no multiple of the levels are no worse for it.
- Both signs: the threshold bounds the magnitude, and the range ends where the numbers end.
- A bin that only clipped numbers fall into costs much instead of infinitely much, so that one far outlier cannot forbid
  every threshold but its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpack_edge.converters.quantization.calibration.histogram import Bins

LEVELS = 256
#: The share of the candidate that is spread evenly over all bins in use.
SMOOTHING = 1e-4
#: Thresholds tried for each doubling of the range.
_PER_DOUBLING = 16


def entropy(bins: Bins, levels: int = LEVELS) -> tuple[float, float]:
    """The range of `levels` steps whose rounding loses the least information; among equals the widest."""
    if not bins.counts.sum():
        return bins.low, bins.high
    best, found = np.inf, (bins.low, bins.high)
    for bound in thresholds(bins, levels):
        divergence = divergence_at(bins, bound, levels)
        if divergence < best:
            best, width = divergence, _width(bins)
            found = max(bins.low, -bound * width), min(bins.high, bound * width)
    return found


def thresholds(bins: Bins, levels: int) -> Sequence[int]:
    """The bounds that are tried, in bins from zero, the widest first; none leaves fewer bins than levels."""
    zero = int(np.searchsorted(bins.edges, 0.0))
    widest = max(zero, len(bins.counts) - zero)
    sides = 2 if min(zero, len(bins.counts) - zero) > 1 else 1
    least = max(levels // sides, 1)
    if widest <= least:
        return [widest]
    count = int(np.ceil(np.log2(widest / least) * _PER_DOUBLING)) + 1
    return [int(bound) for bound in np.unique(np.geomspace(least, widest, count).round())[::-1]]


def divergence_at(bins: Bins, bound: int, levels: int) -> float:
    """Relative entropy, in nats, of the clipped numbers against what the grid makes of them."""
    zero = int(np.searchsorted(bins.edges, 0.0))
    first, last = max(zero - bound, 0), min(zero + bound, len(bins.counts))
    kept = bins.counts[first:last]
    reference = kept.copy()
    reference[0] += bins.counts[:first].sum()
    reference[-1] += bins.counts[last:].sum()
    used = reference > 0
    if not kept.sum():
        return float("inf")
    # The steps of the grid, whole numbers from zero, that the centres of the bins are nearest to.
    step = (last - first) / (levels - 1)
    centres = np.arange(first - zero, last - zero) + 0.5
    places = np.rint(centres / step).astype(np.int64)
    places -= places[0]
    mass = np.bincount(places, weights=kept)
    sharing = np.bincount(places, weights=used)
    candidate = np.where(used, mass[places] / np.maximum(sharing[places], 1), 0.0)
    p = (reference / reference.sum())[used]
    q = (1 - SMOOTHING) * (candidate / candidate.sum())[used] + SMOOTHING / used.sum()
    return float((p * np.log(p / q)).sum())


def _width(bins: Bins) -> float:
    return float(bins.edges[1] - bins.edges[0])
