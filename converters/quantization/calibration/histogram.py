"""Histograms that widen by doubling: the same numbers give the same histogram however they are cut into batches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
#: Bins on each side of zero: 2,048 to 4,096 of them lie between zero and the number of the largest magnitude.
BINS = 4096
#: Where the bins of many columns together would be more than this, each column has fewer, though never under LEAST_BINS.
MOST_BINS, LEAST_BINS = 1 << 19, 64
#: log2 of the finest width; what is smaller falls into the bin of zero. Its inverse must be a float32.
FINEST = -100
_BLOCK = 1 << 17


@dataclass(frozen=True, slots=True)
class Bins:
    """One column's histogram, as the rules of clipping read it.

    edges: `[n + 1]`, ascending, with 0 among them. counts: `[n]`, of the numbers between them but for exact zeros, which
    `zeros` counts: every grid holds zero, so they cost nothing. low, high: the exact extremes, 0 included.
    """

    edges: Floats
    counts: Floats
    zeros: int
    low: float
    high: float


class Histogram:
    """Counts of numbers in bins of width `2 ** exponent`: number x falls into bin `trunc(x / width)`.

    Bin edges are multiples of a power of two, so doubling the width merges whole bins: `trunc(trunc(x / w) / 2)` equals
    `trunc(x / 2w)`. The width is the least that holds all numbers seen, whence the result depends on the numbers alone and
    `merge` is associative and commutative. `columns`: None for one histogram of whole tensors; else numbers come as
    `[..., columns]` and each column has its own. binned: False keeps the extremes alone.
    """

    def __init__(self, columns: int | None = None, binned: bool = True) -> None:
        self.columns, self.binned = columns, binned
        each = columns or 1
        self.bins = BINS
        while self.bins > LEAST_BINS and 2 * self.bins * each > max(MOST_BINS, 2 * BINS):
            self.bins //= 2
        self.low: Floats = np.full(each, np.inf)
        self.high: Floats = np.full(each, -np.inf)
        self.exponent: NDArray[np.int64] = np.full(each, FINEST, np.int64)
        self.counts: Counts = np.zeros((each, 2 * self.bins) if binned else (each, 0), np.int64)
        self.zeros: Counts = np.zeros(each, np.int64)

    def add(self, values: Array, low: Floats, high: Floats) -> None:
        """Count finite floats. low, high: their extremes, as `extremes` gives them."""
        if not values.size:
            return
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        if not self.binned:
            return
        self._widen(self._needed(np.maximum(np.abs(low), np.abs(high))))
        rows = values.reshape(-1, len(self.zeros))
        if rows.dtype not in (np.float32, np.float64):
            rows = rows.astype(np.float32)
        zero = rows == 0
        self.zeros += np.count_nonzero(zero) if rows.shape[1] == 1 else np.count_nonzero(zero, axis=0)
        flat = self.counts.reshape(-1)
        for bins in _places(rows, self.exponent, self.bins):
            flat += np.bincount(bins, minlength=len(flat))

    def merge(self, other: Histogram) -> None:
        """Count what `other` counted. Of the same columns and kind."""
        self.low, self.high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        self.zeros += other.zeros
        if self.binned:
            self._widen(other.exponent)
            for column, exponent in enumerate(other.exponent):
                self.counts[column] += _coarser(other.counts[column], int(self.exponent[column] - exponent))

    def bins_of(self, column: int = 0) -> Bins:
        """The histogram of a column. Numbers that fall into the bin of zero, of double width, are spread over both halves
        where there are numbers on both sides. Without any number all is 0."""
        low, high = min(float(self.low[column]), 0.0), max(float(self.high[column]), 0.0)
        width = math.ldexp(1.0, int(self.exponent[column]))
        first, last = int(low / width), int(high / width)  # towards zero, as numbers are binned
        row = self.counts[column]
        negative = row[self.bins + first : self.bins].astype(np.float64)
        positive = row[self.bins + 1 : self.bins + last + 1].astype(np.float64)
        inner = float(row[self.bins] - self.zeros[column])
        below = inner * (low < 0) / max((low < 0) + (high > 0), 1)
        counts = np.concatenate([negative, [below, inner - below], positive])
        edges = np.arange(first - 1, last + 2, dtype=np.float64) * width
        return Bins(edges, counts, int(self.zeros[column]), low, high)

    def _needed(self, magnitude: Floats) -> NDArray[np.int64]:
        """The exponent at which numbers up to `magnitude` have a bin: magnitude < bins * 2 ** exponent."""
        _, exponents = np.frexp(magnitude)
        least = np.maximum(exponents.astype(np.int64) - int(math.log2(self.bins)), FINEST)
        return np.where(magnitude > 0, least, FINEST)

    def _widen(self, exponents: NDArray[np.int64]) -> None:
        wider = np.maximum(self.exponent, exponents)
        for column in np.flatnonzero(wider > self.exponent):
            self.counts[column] = _coarser(self.counts[column], int(wider[column] - self.exponent[column]))
        self.exponent = wider


def extremes(values: Array, columns: int | None) -> tuple[Floats, Floats]:
    """The least and the greatest number, `[1]` or `[columns]`, exactly; NaN where a NaN is among them. Not of no number."""
    rows = values.reshape(-1, columns or 1)
    if columns is None:
        return np.array([values.min()], np.float64), np.array([values.max()], np.float64)
    return rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)


def _places(rows: Array, exponents: NDArray[np.int64], bins: int) -> Any:
    """The bins of all numbers, block by block, as flat places in counts of `[columns, 2 * bins]`."""
    columns = rows.shape[1]
    step = max(1, _BLOCK // columns)
    scale = np.ldexp(np.ones(columns, rows.dtype), -exponents)  # exact, and so are its products
    shift = (np.arange(columns) * 2 * bins + bins).astype(np.int32)
    scaled = np.empty((min(step, len(rows)), columns), rows.dtype)
    narrow, wide = np.empty(scaled.shape, np.int32), np.empty(scaled.shape, np.int64)
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        size = len(block)
        np.multiply(block, scale, out=scaled[:size])
        np.copyto(narrow[:size], scaled[:size], casting="unsafe")  # towards zero
        np.add(narrow[:size], shift, out=wide[:size])
        yield wide[:size].reshape(-1)


def _coarser(row: Counts, doublings: int) -> Counts:
    """Counts `[2 * bins]` (bin k at place k + bins) as they are in bins of `2 ** doublings` times the width."""
    if doublings == 0:
        return row
    bins = len(row) // 2
    made = np.zeros_like(row)
    places = np.arange(-bins + 1, bins)
    if doublings >= int(math.log2(bins)):
        made[bins] = row.sum()
        return made
    merged = np.sign(places) * (np.abs(places) >> doublings) + bins
    made[:] = np.bincount(merged, weights=row[1:], minlength=2 * bins).astype(np.int64)
    return made
