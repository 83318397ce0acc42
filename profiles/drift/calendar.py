"""Numbers that are the time itself (a month, a day of the year, seconds since 1970), known by how the reference's blocks went. numpy.

Such a number leaves its reference by construction: no two windows agree, the reference's own least of all, and what it does now
says that time went on. Its distribution is not judged, nor its slow shift. What time does not explain is: missing values,
values that are no numbers, and values where the reference has none (`beyond`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.drift.effects import Floats, chance, parts
from mlpack_edge.profiles.layout import Group
from mlpack_edge.profiles.spec import Blocks, Numeric, Spec

Bools = NDArray[np.bool_]

#: How far the blocks' effects may lie from those of a number that is the time, on average.
_NEAR = 0.05
#: Values of the reference from which on a number can be told to go with the time: one that changed once may be a switch; and blocks.
_FEWEST, _FEWEST_BLOCKS = 3, 14
#: Days of a reference that has seen every date: what it has not seen, no date explains.
_YEAR = 360
#: The largest number that a calendar begins anew after.
_CYCLE = 366


@dataclass(frozen=True, slots=True)
class Clock:
    """A number that is the time."""

    feature: Numeric
    blocks: Blocks

    def unexplained(self, last: int | None, never: Bools) -> Bools:
        """Of `never` (bool `[size]`, cells beyond the reference's range in which it has no row) those that a window whose last day is
        `last` (since 1970, None for no date) has no business in.

        The number may go on above its range at its own pace, give or take its widest cell. One within 0 to 366 may be of a calendar: of
        that a reference of a year has seen all, and after one of less the values below its range come with the turn of the year.
        """
        edges, span = np.array(self.feature.edges), self.feature.high - self.feature.low
        known = span_of(self.blocks)
        comes_back = self.feature.low >= 0 and self.feature.high <= _CYCLE
        if last is None or known is None or (comes_back and known[1] - known[0] + 1 >= _YEAR):
            return never
        inner = edges[(edges >= self.feature.low) & (edges <= self.feature.high)]
        gone = max(last - known[1], 0) / (known[1] - known[0] + 1)
        reach = self.feature.high + span * gone + float(np.diff(inner).max())
        start = np.concatenate([[-np.inf], edges, [np.inf, np.inf]])  # of missing and invalid, which are not in `never`
        explained = (start >= self.feature.high) & (start < reach) if gone else np.zeros(len(start), bool)
        if comes_back and gone and _year(last) > _year(known[1]):
            stop = np.concatenate([edges, [np.inf], [-np.inf, -np.inf]])
            explained |= (stop > 1) & (stop <= self.feature.low)
        return never & ~explained


def clock(spec: Spec, group: Group) -> Clock | None:
    """None where the feature is not the time.

    It is where each block's effect (`Learned.effects`) is what it would be if the first block had the smallest values, the next the next,
    and so on: a block then lies whole in one cell, and its distance from all others follows from the counts of the reference.
    Blocks that overlap lie nearer, and those whose values come back (weekdays, days of a month) have the same distances in another order.
    """
    feature, blocks = group.feature, spec.reference.blocks
    taught = spec.reference.learned.get(group.name)
    sizes = np.array(blocks.rows, np.float64)
    if not isinstance(feature, Numeric) or taught is None or len(sizes) < _FEWEST_BLOCKS:
        return None
    cells = parts(feature, np.array(spec.reference.counts[group.start : group.stop], np.int64)).cells
    if len(taught.effects) != len(sizes) or (cells > 0).sum() < _FEWEST:
        return None
    share = cells / cells.sum()
    below = np.cumsum(share) - share
    # The distance of one cell's rows from all rows, and what `ks_effect` takes off for a block of so many.
    alone = np.maximum(below, 1 - below - share)
    middle = (np.cumsum(sizes) - sizes / 2) / sizes.sum()
    rest = np.maximum(sizes.sum() - sizes, 1)
    far = alone[np.minimum(np.searchsorted(np.cumsum(share), middle), len(share) - 1)] * sizes.sum() / rest
    by_chance = float(chance(feature, cells)) * (1 / np.maximum(sizes, 1) + 1 / rest)
    wanted: Floats = np.sqrt(np.clip(far, 0.0, 1.0) ** 2 - np.minimum(by_chance, far**2))
    found = (np.frombuffer(taught.effects, np.uint8) / 255.0) ** 2
    if np.abs(wanted - found).mean() > _NEAR:
        return None
    return Clock(feature, blocks)


def _year(day: int) -> int:
    """day: since 1970."""
    return date.fromordinal(date(1970, 1, 1).toordinal() + day).year


def span_of(blocks: Blocks) -> tuple[int, int] | None:
    """The first and last day of a reference that was cut by days or hours, since 1970; None for others."""
    if blocks.unit not in ("day", "hour"):
        return None
    try:
        first, last = (date.fromisoformat(label[:10]).toordinal() for label in (blocks.first, blocks.last))
    except ValueError:
        return None
    epoch = date(1970, 1, 1).toordinal()
    return first - epoch, last - epoch
