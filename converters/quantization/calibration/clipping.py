"""How a histogram becomes a range: exact extremes, percentiles, entropy, least squared error."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mlpack_edge.converters.quantization.calibration.entropy import entropy
from mlpack_edge.converters.quantization.calibration.histogram import Bins
from mlpack_edge.converters.quantization.calibration.squared_error import squared_error
from mlpack_edge.converters.quantization.values import Method

#: The share of numbers that a percentile keeps; half of the others may lie beyond each end.
KEPT = 0.9999


def minmax(bins: Bins) -> tuple[float, float]:
    """Everything that was seen."""
    return bins.low, bins.high


def percentile(bins: Bins, kept: float = KEPT) -> tuple[float, float]:
    """The ends between which a share `kept` of the numbers lies, as many beyond the one as beyond the other.

    Numbers are thought to lie evenly within their bin. Of few numbers (under 2 / (1 - kept)) nothing is cut off.
    """
    counts = bins.counts.copy()
    counts[np.searchsorted(bins.edges, 0.0)] += bins.zeros  # they are numbers like others here, beside the edge 0
    total, beyond = counts.sum(), (1 - kept) / 2 * counts.sum()
    if beyond < 1:
        return bins.low, bins.high
    below = np.concatenate([[0.0], np.cumsum(counts)])
    low = float(np.interp(beyond, below, bins.edges))
    high = float(np.interp(total - beyond, below, bins.edges))
    return min(max(low, bins.low), 0.0), max(min(high, bins.high), 0.0)


#: Histogram -> (low, high) with low <= 0 <= high, both within what was seen.
CLIPPINGS: Mapping[Method, Callable[[Bins], tuple[float, float]]] = {
    "minmax": minmax,
    "percentile": percentile,
    "entropy": entropy,
    "mse": squared_error,
}
