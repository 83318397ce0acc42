"""Shares, durations and lists as the reasons of a contract say them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def percent(share: float) -> str:
    """`0.001` as `0.1%`."""
    return f"{share * 100:.4g}%" if share < 100 else f"{share * 100:,.0f}%"


def share_words(count: int, rows: int, what: str) -> str:
    """`31 of 1,000 values (3.1%)`; the whole as `all 1,000 values`."""
    if count == rows:
        return f"all {rows:,} {what}"
    return f"{count:,} of {rows:,} {what} ({percent(count / rows)})"


def duration(seconds: float) -> str:
    """In the unit in which it is a number to be read: `36 h`, `12 days`."""
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.4g} {unit}"
    return f"{seconds:.3g} s"


def listed(items: Iterable[Any], most: int = 8) -> str:
    """The first few, separated by commas."""
    texts = [str(item) for item in items]
    return ", ".join(texts[:most]) + (", ..." if len(texts) > most else "")
