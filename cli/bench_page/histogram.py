"""Samples into bins and bins into an outline. Pure numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def log_edges(low: float, high: float, bins: int) -> Floats:
    """`bins` + 1 edges at equal ratios from `low` to `high`, 0 < low < high."""
    return np.geomspace(low, high, bins + 1)


def log_counts(samples: Floats, edges: Floats) -> Counts:
    """How many samples fall in each bin, shape (bins,), over edges [a, b) at equal ratios, the last one closed.

    Samples outside the edges are not counted: who draws says how many they are.
    """
    inside = samples[(samples >= edges[0]) & (samples <= edges[-1])]
    return np.histogram(inside, bins=edges)[0].astype(np.int64)


def outline(heights: Floats, start: float, end: float, base: float) -> str:
    """An SVG path, closed at `base`, that steps over `heights` (pixels upward) between `start` and `end` (pixels).

    Relative whole-tenth coordinates, and neighbours of one height share a step: a page holds twenty of these. Every coordinate is
    rounded from where the pen is, so that the errors do not add up. What is above nothing is drawn half a pixel high at least: a
    single call among thousands would not be seen. Empty where nothing rises.
    """
    if not np.any(heights > 0):
        return ""
    xs = np.round(np.linspace(start, end, len(heights) + 1) * 10).astype(int)
    bottom = round(base * 10)
    ys = np.where(heights > 0, np.round((base - np.maximum(heights, 0.5)) * 10), bottom).astype(int)
    rising = np.flatnonzero(ys < bottom)
    first, last = int(rising[0]), int(rising[-1])
    x, y = int(xs[first]), bottom
    steps = [f"M{_tenth(x)} {_tenth(y)}"]
    for index in range(first, last + 1):
        if int(ys[index]) != y:
            steps.append(f"h{_tenth(int(xs[index]) - x)}" if int(xs[index]) != x else "")
            steps.append(f"v{_tenth(int(ys[index]) - y)}")
            x, y = int(xs[index]), int(ys[index])
    steps.append(f"h{_tenth(int(xs[last + 1]) - x)}V{_tenth(bottom)}z")
    return "".join(steps)


def _tenth(value: int) -> str:
    return f"{value / 10:g}"
