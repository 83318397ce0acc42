"""The cells of a number from values of the reference: quantiles, equal widths, tails. numpy.

An edge is the shortest decimal number that does its work: it splits the reference at the wanted quantile to within .2 % of
the rows, and lies between the values it tells apart, never on one. So the document is short, no row's own value is in it, and a
value counts the same as float32 and as float64.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

QUANTILES, WIDTHS = 20, 32
#: Up to so many distinct values, each has a cell of its own.
FEW = 24
#: The reference's range: all but this share at each end.
OUTSIDE = 0.001
#: Beyond the range there are cells that end at these multiples of its span.
TAILS = (0.25, 1.0, 4.0, 16.0)
#: How far from its quantile an edge may split the rows, and the share from which a value is seen as one that repeats.
SLACK, REPEATS = 0.002, 1 / QUANTILES
#: Values beyond count as infinite when edges are made: spans and tails stay finite.
FARTHEST = 1e300
_DIGITS = 17
#: No span is reckoned smaller, so that its thousandth is no zero.
_LEAST = 1e-290
#: A constant's cell reaches so far to both sides, as a share of it.
_CONSTANT = 1 / 64


@dataclass(frozen=True, slots=True)
class Cut:
    """The numbers of a `Numeric` feature; see there."""

    edges: tuple[float, ...]
    low: float
    high: float
    centre: float
    step: float


def cut(values: Floats) -> Cut | None:
    """Edges from a sample of the values that are there, float64 `[n]` in any order; None where no value is finite."""
    ordered = np.sort(values[np.abs(values) <= FARTHEST])
    if not len(ordered):
        return None
    distinct, counts = np.unique(ordered, return_counts=True)
    if len(distinct) <= FEW:
        inner = _between(distinct)
        low, high = _ends(distinct, inner)
    else:
        low, high = _range(ordered, distinct)
        steps = _quantile_edges(ordered, distinct, counts)
        inner = sorted({edge for edge in steps if low < edge < high} | set(_equal_widths(steps, low, high, distinct)))
    span = high - low
    tails = [low - span * share for share in TAILS] + [high + span * share for share in TAILS]
    rounded = [_shortest(tail, span / 64) for tail in tails]
    edges = tuple(sorted({low, high, *inner, *rounded}))
    step = 2.0 ** math.floor(math.log2(max(span, _LEAST) / 1024))
    # Half a step below a short number: floor then rounds to the nearest step, and the mean is off to no side.
    return Cut(edges, low, high, _shortest((low + high) / 2, span / 64) - step / 2, step)


def _between(distinct: Floats) -> list[float]:
    """An edge within the middle half of each gap."""
    return [_gap_edge(below, above) for below, above in itertools.pairwise(distinct.tolist())]


def _gap_edge(below: float, above: float) -> float:
    gap = above - below
    middle = below + gap / 2
    found = _shortest(middle, gap / 4)
    return found if below < found < above else float(above)  # neighbours among the doubles: none lies between


def _ends(distinct: Floats, inner: list[float]) -> tuple[float, float]:
    """The range of few values: as far outside the first and the last as the next edge is inside."""
    first, last = float(distinct[0]), float(distinct[-1])
    if not inner:
        reach = max(abs(first) * _CONSTANT, _CONSTANT if first == 0 else _LEAST)
        return _shortest(first - reach, reach / 4), _shortest(last + reach, reach / 4)
    below, above = max(inner[0] - first, _LEAST), max(last - inner[-1], _LEAST)
    return _shortest(first - below, below / 4), _shortest(last + above, above / 4)


def _range(ordered: Floats, distinct: Floats) -> tuple[float, float]:
    """The .1 and 99.9 % quantiles; where they are one value, the values beside it."""
    low, high = _quantile(ordered, OUTSIDE), _quantile(ordered, 1 - OUTSIDE)
    if not low < high:
        low, high = float(distinct[0]), float(distinct[-1])
    slack = (high - low) / 256
    return _shortest(low - slack, slack / 2), _shortest(high + slack, slack / 2)


def _quantile(ordered: Floats, share: float) -> float:
    return float(ordered[min(int(share * len(ordered)), len(ordered) - 1)])


def _quantile_edges(ordered: Floats, distinct: Floats, counts: NDArray[np.int64]) -> list[float]:
    found: set[float] = set()
    for number in range(1, QUANTILES):
        value = _quantile(ordered, number / QUANTILES)
        place = int(np.searchsorted(distinct, value))
        if counts[place] >= REPEATS * len(ordered):  # a value that repeats has a cell of its own
            found.update(_gap_edge(*distinct[at - 1 : at + 1]) for at in (place, place + 1) if 0 < at < len(distinct))
            continue
        found.add(_split(ordered, distinct, number / QUANTILES))
    return sorted(found)


def _split(ordered: Floats, distinct: Floats, share: float) -> float:
    """The shortest number that splits the rows near `share` and is none of the values."""
    low, high = _quantile(ordered, max(share - SLACK, 0.0)), _quantile(ordered, share + SLACK)
    middle = low + (high - low) / 2
    if low < high:
        for digits in range(1, _DIGITS + 1):
            edge = _rounded(middle, digits)
            if low < edge < high and not _is_value(edge, distinct):
                return edge
    place = int(np.searchsorted(distinct, middle, side="right"))
    place = min(max(place, 1), len(distinct) - 1)
    return _gap_edge(float(distinct[place - 1]), float(distinct[place]))


def _is_value(edge: float, distinct: Floats) -> bool:
    """Whether a value lies so near that float32 would not tell it from the edge."""
    near = abs(edge) * 2.0**-23
    return bool(
        np.searchsorted(distinct, edge - near, side="left") < np.searchsorted(distinct, edge + near, side="right")
    )


def _equal_widths(steps: list[float], low: float, high: float, distinct: Floats) -> list[float]:
    """The inner edges of 32 equal widths that are not nearer than half a width to a quantile."""
    width = (high - low) / WIDTHS
    found = []
    known = np.array([low, *steps, high])
    for number in range(1, WIDTHS):
        at = low + number * width
        if np.abs(known - at).min() < width / 2:
            continue
        edge = _shortest(at, width / 8)
        if _is_value(edge, distinct):
            place = int(np.searchsorted(distinct, edge, side="right"))
            if place < len(distinct):
                edge = _gap_edge(float(distinct[place - 1]), float(distinct[place]))
        if low < edge < high:
            found.append(edge)
    return found


def _shortest(number: float, slack: float) -> float:
    """The decimal number of the fewest digits within `slack` of `number`."""
    for digits in range(1, _DIGITS):
        edge = _rounded(number, digits)
        if abs(edge - number) <= slack:
            return edge
    return number


def _rounded(number: float, digits: int) -> float:
    return float(f"{number:.{digits - 1}e}")
