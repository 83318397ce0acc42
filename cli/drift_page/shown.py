"""Which cells may be shown: at 10 or more rows, and 10 or more devices where rows come from devices.

What is too small joins its neighbour (numbers) or the other small ones (categories); an empty cell says nothing of anybody
and is shown. All parts together are all rows, so nothing that was joined can be had by subtraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Rows and devices from which on a cell is shown.
ROWS = DEVICES = 10


@dataclass(frozen=True, slots=True)
class Part:
    """Neighbouring cells drawn as one: cells first to last (inclusive), rows in the reference and now, and whether the rows now are
    surely of enough devices."""

    first: int
    last: int
    reference: int
    current: int
    wide: bool = True

    @property
    def open(self) -> bool:
        return _enough(self.reference) and _enough(self.current) and (not self.current or self.wide)

    def with_next(self, other: Part) -> Part:
        # Devices of several cells are at least as many as of the fullest of them.
        wide = (self.wide and self.current > 0) or (other.wide and other.current > 0)
        return Part(self.first, other.last, self.reference + other.reference, self.current + other.current, wide)


@dataclass(frozen=True, slots=True)
class Bar:
    """A category, or several; rows in the reference and now, and whether the rows now are surely of enough devices."""

    name: str
    reference: int
    current: int
    wide: bool = True

    @property
    def open(self) -> bool:
        return _enough(self.reference) and _enough(self.current) and (not self.current or self.wide)


def neighbours(
    reference: Sequence[int], current: Sequence[int], devices: Sequence[int] | None, least: int = DEVICES
) -> list[Part]:
    """Cells in order, joined until each part may be shown; [] where all together may not. devices: in each cell, or at least so many;
    least: that are enough."""
    parts: list[Part] = []
    waiting: Part | None = None
    for cell, (before, now) in enumerate(zip(reference, current, strict=True)):
        part = Part(cell, cell, before, now, devices is None or devices[cell] >= least)
        waiting = part if waiting is None else waiting.with_next(part)
        if waiting.open:
            parts.append(waiting)
            waiting = None
    while waiting is not None and not waiting.open and parts:
        waiting = parts.pop().with_next(waiting)
    if waiting is not None:
        parts = [*parts, waiting] if waiting.open else []
    return parts


def bars(
    names: Sequence[str],
    reference: Sequence[int],
    current: Sequence[int],
    devices: Sequence[int] | None,
    most: int,
    least: int = DEVICES,
) -> list[Bar]:
    """Of categories: up to `most`, those whose share changed or is most; all others in one more. [] where nothing may be shown.
    devices, least: as of `neighbours`."""
    rows, known = max(sum(current), 1), max(sum(reference), 1)
    there = [devices is None or devices[cell] >= least for cell in range(len(names))]
    every = [Bar(*each) for each in zip(names, reference, current, there, strict=True) if each[1] or each[2]]

    def weight(bar: Bar) -> float:
        now, before = bar.current / rows, bar.reference / known
        return abs(now - before) + 0.25 * max(now, before)

    shown = sorted((bar for bar in every if bar.open), key=weight)[-most:]
    rest = [bar for bar in every if bar not in shown]
    # One small category alone would be known from the total: a shown one joins it.
    while rest and shown and not _together(rest).open:
        rest.append(shown.pop(0))
    if rest and not _together(rest).open:
        return []
    return [*sorted(shown, key=every.index), *([_together(rest)] if rest else [])]


def _together(bars: Sequence[Bar]) -> Bar:
    name = bars[0].name if len(bars) == 1 else f"{len(bars)} others"
    wide = any(bar.wide for bar in bars if bar.current)
    return Bar(name, sum(bar.reference for bar in bars), sum(bar.current for bar in bars), wide)


def enough(rows: int, devices: int | None, least: int = DEVICES) -> bool:
    """Whether a cell may be shown; devices is None where rows do not come from devices."""
    return rows == 0 or (rows >= ROWS and (devices is None or devices >= least))


def _enough(rows: int) -> bool:
    return rows == 0 or rows >= ROWS
