"""Which cell a value belongs to: the rules that every implementation (Python, numpy, C) follows to the bit."""

from __future__ import annotations

import math

from mlpack_edge.profiles.spec import CONFIDENCE_CELLS

#: Latency cells: two an octave from 2**10 ns (1 us) to 2**37 ns (137 s), one under, one over.
LATENCY_FIRST, LATENCY_LAST = 10, 37
LATENCY_CELLS = 2 * (LATENCY_LAST - LATENCY_FIRST) + 2


def latency_cell(nanoseconds: int) -> int:
    """The cell of a duration: its number of bits and the bit after the first, so that no arithmetic rounds."""
    octave = nanoseconds.bit_length() - 1
    if octave < LATENCY_FIRST:
        return 0
    if octave >= LATENCY_LAST:
        return LATENCY_CELLS - 1
    return 1 + 2 * (octave - LATENCY_FIRST) + (nanoseconds >> (octave - 1) & 1)


def latency_edges() -> tuple[int, ...]:
    """The lower edges of the cells 1 to the last, in ns."""
    halves = [(2 + half) << (octave - 1) for octave in range(LATENCY_FIRST, LATENCY_LAST) for half in (0, 1)]
    return (*halves, 1 << LATENCY_LAST)


def confidence_cell(probability: float) -> int:
    """The cell of a classifier's largest probability; below 0 counts as 0, 1 and above as the last cell."""
    return min(max(int(probability * CONFIDENCE_CELLS), 0), CONFIDENCE_CELLS - 1)


def category_text(value: object) -> str | None:
    """The text under which a value is looked up, None where it is missing.

    "true" and "false"; integers in decimal, and so numbers that are integral (1.0 is "1": a column of integers with missing
    values arrives as floats); other floats as Python's shortest repr; texts as they are.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)
