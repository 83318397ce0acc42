"""Order statistics of call times, without a process and without a clock.

Medians and quantiles, never means: on a shared machine a sample is the model's time plus whatever preempted it, and
that tail has no useful mean (Georges, Buytaert & Eeckhout, "Statistically rigorous Java performance evaluation",
OOPSLA 2007, on what a single figure hides).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.uint64] | NDArray[np.float64]

ENOUGH_FOR_P99 = 1000  # ten samples beyond it
STABLE_SHARE = 0.2  # of samples with no context switch; below it the clean ones are too special to speak for the model
STABLE_LAUNCHES = 2


def pooled(blocks: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """All samples in one float64 array [n], in ns; n may be 0. Exact below 2**53 ns (104 days)."""
    return np.concatenate([np.asarray(block, np.float64) for block in blocks]) if blocks else np.empty(0)


def quantile(samples: NDArray[np.float64], share: float) -> float | None:
    """The `share` quantile of samples [n], interpolated linearly between order statistics; None of no samples."""
    return float(np.quantile(samples, share, method="linear")) if samples.size else None


def p99(samples: NDArray[np.float64]) -> float | None:
    """None below 1,000 samples: it would be one of the ten slowest calls, which says more about the day."""
    return quantile(samples, 0.99) if samples.size >= ENOUGH_FOR_P99 else None


def clean_share(clean: Sequence[NDArray[np.bool_]]) -> float | None:
    """Share in [0, 1] of samples during which the thread was never switched; None of no samples."""
    total = sum(block.size for block in clean)
    return sum(int(np.count_nonzero(block)) for block in clean) / total if total else None
