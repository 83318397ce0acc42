"""Which cell a value belongs to: the rules that every implementation (Python, numpy, C) follows to the bit."""

from __future__ import annotations

import math
from collections.abc import Iterable

from mlpack_edge.core.errors import BadInput
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


def confidence(probabilities: Iterable[object]) -> float:
    """The largest of the probabilities that are there (NaN is not), at least 0.0. One alone is that of the second of two
    classes. Raises BadInput for what is neither a number nor missing."""
    largest, value, size = 0.0, 0.0, 0
    for given in probabilities:
        size += 1
        number = given if given.__class__ is float else nearest_double(given)
        if number is None:
            raise BadInput(f"a class probability of {given!r} is no number", "one number for each class of the row")
        value = number
        if value > largest:  # noqa: PLR1730  # a call costs a device more
            largest = value
    return max(largest, 1.0 - value) if size == 1 else largest


def confidence_cell(probability: float) -> int:
    """The cell of a classifier's largest probability; what is not above 0 (NaN too) counts as 0, 1 and above as the last
    cell. The product is of doubles."""
    if not probability > 0:
        return 0
    return CONFIDENCE_CELLS - 1 if probability >= 1 else int(probability * CONFIDENCE_CELLS)


def is_missing(value: object) -> bool:
    """None, any NaN, numpy's NaT, pandas' NA and NaT."""
    if value is None:
        return True
    if isinstance(value, (str, int, bytes)):
        return False
    if isinstance(value, float):
        return math.isnan(value)
    kind = type(value)
    if kind.__module__.startswith("pandas."):
        return kind.__name__ in ("NAType", "NaTType")
    if kind.__module__ in ("decimal", "_decimal"):
        return bool(value.is_nan())  # type: ignore[attr-defined]  # its signalling NaN may not be compared
    return _numpy_scalar(value) in ("f", "c", "m", "M") and bool(value != value)  # noqa: PLR0124  # NaT too


def nearest_double(value: object) -> float | None:
    """The double nearest to a number (infinite beyond the largest), NaN where the value is missing, None for what is not a
    number. Truth values are 0 and 1; texts, dates and complex numbers are no numbers."""
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        return None
    if is_missing(value):
        return math.nan
    if _numpy_scalar(value) not in ("", "b", "i", "u", "f") or not hasattr(type(value), "__float__"):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:  # integers and fractions
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]
    except (TypeError, ValueError):
        return None


def category_text(value: object) -> str | None:
    """The text under which a value is looked up, None where it is missing.

    "true" and "false"; integers in decimal, and so numbers that are integral (1.0 is "1": a column of integers with missing
    values arrives as floats); other numbers, decimals too, as the shortest digits of the nearest double, as Python's repr writes
    them; texts as they are, bytes as UTF-8 with U+FFFD for what is none; dates and anything else as Python's str writes them.
    """
    if isinstance(value, str):
        return str.__str__(value)  # of an enumeration's member str itself gives the name
    if is_missing(value):
        return None
    kind = _numpy_scalar(value)
    if isinstance(value, bool) or kind == "b":
        return "true" if value else "false"
    if isinstance(value, float) or kind == "f":
        number = float(value)  # type: ignore[arg-type]
        return str(int(number)) if number.is_integer() else repr(number)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, int):
        try:
            return int.__repr__(value)
        except ValueError:  # more digits than Python writes: in no vocabulary, so any text of its own will do
            return f"{value:#x}"
    nearest = nearest_double(value)  # of decimals and fractions, that devices without them count alike
    if nearest is None or kind:
        return str(value)
    if math.isfinite(nearest) and hasattr(type(value), "__int__") and value == (whole := int(value)):  # type: ignore[call-overload]
        return str(whole)
    return category_text(nearest)


def _numpy_scalar(value: object) -> str:
    """The kind letter of a numpy scalar (or array of no dimensions), "" for what is none, "O" for arrays."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return str(kind) if getattr(value, "shape", None) == () or not kind else "O"
