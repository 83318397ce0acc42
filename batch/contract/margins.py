"""How far from what a reference shows the bounds of a draft are set. Exact decimals: a bound never cuts into the reference."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from fractions import Fraction

#: Doubles reach from 5e-324 to 1.8e308: differences of any two are exact with as many digits.
_DIGITS = 1200


def share_above(count: int, rows: int) -> float | None:
    """A share of rows that the next nights should not exceed, where `count` of `rows` did it in the reference.

    Half as much again as the upper end of an interval of three standard errors (Wilson 1927 for small counts: nine
    more rows), in two digits, at least 0.1 %. None where that is all of them.
    """
    share = count / rows
    upper = 1.5 * (share + 3 * math.sqrt(share * (1 - share) / rows) + 9 / rows)
    if upper >= 1:
        return None
    percent = max(Decimal(upper) * 100, Decimal("0.1"))
    step = Decimal(1).scaleb(percent.adjusted() - 1)
    bound = float((percent / step).to_integral_value(ROUND_CEILING) * step / 100)
    return bound if bound < 1 else None


def zero_share_above(zeros: int, values: int) -> float | None:
    """Half way from the share of zeros in the reference to all, in whole per cent; None where only all is left."""
    percent = math.ceil(Fraction(50 * (zeros + values), values))
    return percent / 100 if percent < 100 else None


def percent_text(share: float | None) -> str:
    """A share as a contract writes it; None is all."""
    if share is None:
        return "100%"
    percent = (Decimal(repr(share)) * 100).normalize()
    return f"{percent:f}%"


def widened(low: float, high: float, whole: bool) -> tuple[str | None, str | None]:
    """Limits a quarter of the range beyond what was seen, in round figures, as TOML; they do not cross zero.

    whole: of a column of whole numbers. Where a column has one value only, half of it is the range. None where no limit
    fits a double, or 64 bits.
    """
    with localcontext(prec=_DIGITS):
        least, most = Decimal(low), Decimal(high)
        span = most - least or abs(least) / 2 or Decimal(1)
        step = Decimal(1).scaleb(span.adjusted() - 1)
        if whole:
            step = max(step, Decimal(1))
        below = ((least - span / 4) / step).to_integral_value(ROUND_FLOOR) * step
        above = ((most + span / 4) / step).to_integral_value(ROUND_CEILING) * step
        below = max(below, Decimal(0)) if least >= 0 else below
        above = min(above, Decimal(0)) if most <= 0 else above
        return _text(below, whole), _text(above, whole)


def _text(limit: Decimal, whole: bool) -> str | None:
    if limit == limit.to_integral_value() and abs(limit) < (2**63 if whole else 2**53):
        return str(int(limit))
    number = float(limit)
    return None if whole or not math.isfinite(number) else repr(number)
