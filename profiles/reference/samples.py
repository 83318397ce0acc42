"""What a first pass over the reference keeps of each column, in bounded memory: a sample of numbers, counts of texts. numpy.

The sample of a column is its values whose row has one of the smallest hashes (bottom-k sampling; Cohen and Kaplan 2007): the
same rows whatever the batches, all of them up to SAMPLED values, a uniform sample beyond. A column takes 2 MB at most.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.arrays.counting import Coded
from mlpack_edge.profiles.cells import category_text
from mlpack_edge.profiles.reference.edges import FEW

Floats = NDArray[np.float64]
Hashes = NDArray[np.uint64]

#: Values of a column that are kept. A quantile from so many is off by less than .15 % of the rows (one standard deviation).
SAMPLED = 1 << 17
#: Distinct texts beyond which a column is an identifier or free text, whatever else.
TEXTS = 20_000


def row_hashes(first: int, rows: int) -> Hashes:
    """uint64 `[rows]` of the row numbers from `first` on (splitmix64, Steele, Lea and Flood 2014)."""
    number = np.arange(first, first + rows, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


class NumberSample:
    """Of one column of numbers. `values` are those that are there and finite; all of them where `whole`."""

    def __init__(self) -> None:
        self._values: list[Floats] = []
        self._hashes: list[Hashes] = []
        self._held = 0
        self._limit = np.uint64(2**64 - 1)
        self._few: set[float] | None = set()

    def update(self, values: Floats, hashes: Hashes) -> None:
        """values: float64 `[rows]`, NaN where missing; hashes: `row_hashes` of the rows."""
        wanted = np.isfinite(values)
        if self._few is not None:
            self._look(values[wanted])
        wanted &= hashes <= self._limit
        self._values.append(values[wanted])
        self._hashes.append(hashes[wanted])
        self._held += len(self._values[-1])
        if self._held > 2 * SAMPLED:
            self._shrink()

    @property
    def values(self) -> Floats:
        """float64 `[n]`, n at most SAMPLED, in the order of the rows. Of few distinct values each is there at least once."""
        if self._held > SAMPLED:
            self._shrink()
        kept = np.concatenate([*self._values, np.zeros(0)])
        if self._few is not None:
            kept = np.concatenate([kept, np.array(sorted(self._few - set(np.unique(kept).tolist())))])
        return kept

    def _look(self, values: Floats) -> None:
        assert self._few is not None
        if len(values) and not np.isin(values, list(self._few)).all():
            self._few.update(np.unique(values).tolist())
            if len(self._few) > FEW:
                self._few = None

    def _shrink(self) -> None:
        values, hashes = np.concatenate(self._values), np.concatenate(self._hashes)
        self._limit = np.partition(hashes, SAMPLED - 1)[SAMPLED - 1]
        kept = hashes <= self._limit
        self._values, self._hashes, self._held = [values[kept]], [hashes[kept]], int(kept.sum())


class TextCounts:
    """Of one column of texts: how often each comes; None in `counts` where more than TEXTS differ."""

    def __init__(self) -> None:
        self.counts: dict[str, int] | None = {}
        self.present = self.missing = 0

    def update(self, column: Coded) -> None:
        """Values that `category_text` gives no text for are missing, as codes below 0 are."""
        times = np.bincount(column.places() + 1, minlength=len(column.values) + 1)
        self.missing += int(times[0])
        for place in np.flatnonzero(times[1:]).tolist():
            text, count = category_text(column.values[place]), int(times[place + 1])
            if text is None:
                self.missing += count
                continue
            self.present += count
            if self.counts is not None:
                self.counts[text] = self.counts.get(text, 0) + count
        if self.counts is not None and len(self.counts) > TEXTS:
            self.counts = None
