"""Figures as people read them. A no-break space stands before every unit; what is not known is a dash."""

from __future__ import annotations

import math

from mlpack_edge.cli.outcome import size_text

GAP = "\N{NO-BREAK SPACE}"
NONE = "\N{EN DASH}"
TIMES = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
COUNTS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def known(value: object) -> float | None:
    """A finite number, or None: for null, NaN and what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def time_text(nanoseconds: float | None, digits: int = 3) -> str:
    """2.41 ms, from nanoseconds."""
    return _scaled(nanoseconds, TIMES, digits)


def count_text(count: float | None, digits: int = 3) -> str:
    """12.4 M, from a count."""
    if count is not None and 0 <= count < 1000:
        return f"{count:.0f}" if count == round(count) else f"{count:.{digits}g}"
    return _scaled(count, COUNTS, digits)


def span_text(low: float | None, high: float | None) -> str:
    """2.391 to 2.437 ms, from nanoseconds: one unit, and as many digits as tell the ends apart."""
    if low is None or high is None or low > high:
        return NONE
    size, unit = next(((size, unit) for size, unit in TIMES if high >= size), TIMES[-1])
    low, high = low / size, high / size
    decimals = _decimals(high - low, high)
    return f"{low:,.{decimals}f} to {high:,.{decimals}f}{GAP}{unit}"


def ratio_text(ratio: float | None, spread: float | None = None) -> str:
    """0.617, or 12.4; with `spread`, as many digits as a difference of that size needs."""
    if ratio is None:
        return NONE
    if spread is None:
        return _significant(ratio, 3 if ratio < 0.9 or ratio >= 10 else 4)
    return f"{ratio:,.{_decimals(spread, ratio)}f}"


def ratio_span_text(low: float | None, high: float | None) -> str:
    """0.602 to 0.631."""
    if low is None or high is None or low > high:
        return NONE
    return f"{ratio_text(low, high - low)} to {ratio_text(high, high - low)}"


def share_text(share: float | None, decimals: int = 0) -> str:
    """43 %, from 0.43; never "0 %" of what is there, nor "100 %" where something is missing."""
    if share is None:
        return NONE
    least = 10.0**-decimals
    percent = share * 100
    if 0 < percent < least / 2:
        return f"<{GAP}{least:.{decimals}f}{GAP}%"
    if 100 - least / 2 <= percent < 100:
        return f">{GAP}{100 - least:.{decimals}f}{GAP}%"
    return f"{percent:.{decimals}f}{GAP}%"


def bytes_text(count: float | None) -> str:
    """1.2 MB, powers of 1,000, as everywhere in mlpack."""
    return NONE if count is None else size_text(int(count)).replace(" ", GAP)


def bytes_tick(count: float, digits: int) -> str:
    """5 MB, for an axis."""
    return _scaled(count, BYTES, digits)


def whole_text(count: float | None) -> str:
    """25,000."""
    return NONE if count is None else f"{count:,.0f}"


def number_text(value: float | None) -> str:
    """A number of no known unit: whole, or to four significant digits."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if value == round(value) else _significant(value, 4)


def _scaled(value: float | None, units: tuple[tuple[float, str], ...], digits: int) -> str:
    if value is None:
        return NONE
    if value == 0:
        return f"0{GAP}{units[-1][1]}".rstrip()
    # 999.6 us is 1.00 ms: what is shown is rounded first.
    rounded = float(f"{value:.{digits - 1}e}")
    size, unit = next(((size, unit) for size, unit in units if abs(rounded) >= size), units[-1])
    return f"{_significant(rounded / size, digits)}{GAP}{unit}".rstrip()


def _significant(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 9)}f}"


def _decimals(difference: float, value: float) -> int:
    """Enough to tell the difference: two digits of it up to .35, else one (the rule of the Particle Data Group's Review of Particle
    Physics for errors); at most six significant digits of the value."""
    power = math.floor(math.log10(difference)) if difference > 0 else -1
    wanted = -power + (1 if difference < 3.5 * 10.0**power else 0)
    most = 5 - math.floor(math.log10(abs(value))) if value else 2
    return max(0, min(wanted, most, 9))
