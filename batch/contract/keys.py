"""How each value of a contract is written: tables of keys, and a small reader for each kind of value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mlpack_edge.core.quantities import seconds_from_text, share_from_text

Reader = Callable[[Any], Any]
#: More distinct values than this are no categories, and are not counted.
MOST_CATEGORIES = 10_000
_LONG = {"d": 86400.0, "w": 7 * 86400.0}
_LONGEST = 100 * 366 * 86400.0


class Wrong(Exception):
    """A value that is not what its key asks for: what it should be."""


def _share(value: Any) -> float:
    if type(value) is str:
        return share_from_text(value)
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise Wrong('a percentage as "0.1%", or a share from 0 to 1')
    return float(value)


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise Wrong("a whole number from 0 up")
    return value


def _categories_count(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MOST_CATEGORIES:
        raise Wrong(f"a whole number from 1 to {MOST_CATEGORIES:,}")
    return value


def _age(value: Any) -> float:
    """Seconds of `36h`, `2d`, `1w`."""
    if type(value) is not str:
        raise Wrong('a duration as "36h" or "2d"')
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([dw])\s*", value, flags=re.ASCII)
    seconds = float(found[1]) * _LONG[found[2]] if found else seconds_from_text(value)
    if not 0 < seconds <= _LONGEST:
        raise Wrong('a duration as "36h" or "2d", above nothing and below a century')
    return seconds


def _text(value: Any) -> str:
    if type(value) is not str or not value:
        raise Wrong("a text that is not empty")
    return value


def _yes_or_no(value: Any) -> bool:
    if type(value) is not bool:
        raise Wrong("true or false")
    return value


def _one_of(*words: str) -> Reader:
    def read(value: Any) -> str:
        if value not in words or type(value) is not str:
            raise Wrong(" or ".join(f'"{word}"' for word in words))
        return value

    return read


def _word_or_share(value: Any) -> str | float:
    if value in ("reject", "allow"):
        return str(value)
    if type(value) is str and "%" not in value and value.strip() != "0":
        raise Wrong('"reject", "allow", or a percentage as "5%"')
    return _share(value)


def _finite(value: Any) -> bool:
    """Whole numbers of Python have no end, those of columns have 64 bits."""
    return math.isfinite(value) if type(value) is float else type(value) is int and abs(value) < 2**64


def _number(value: Any) -> int | float:
    if not _finite(value):
        raise Wrong("a finite number")
    return value  # type: ignore[no-any-return]  # int or float, as the line above says


def _limit(value: Any) -> int | float | date | datetime:
    if isinstance(value, date):
        return value
    if not _finite(value):
        raise Wrong("a finite number, or a date")
    return value  # type: ignore[no-any-return]


def _categories(value: Any) -> tuple[Any, ...]:
    if type(value) is not list or not value or not all(type(item) in (str, int, float, bool) for item in value):
        raise Wrong("a list of texts or numbers, with one in it at least")
    if any(type(item) in (int, float) and not _finite(item) for item in value):
        raise Wrong("a list of texts or finite numbers")
    seen: set[Any] = set()
    for item in value:
        if item in seen:
            raise Wrong(f"a list that has {item!r} once")
        seen.add(item)
    return tuple(value)


def _timezone(value: Any) -> str:
    try:
        ZoneInfo(_text(value))
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        raise Wrong('the name of a time zone that this machine knows, as "Europe/Berlin"') from fault
    return str(value)


def _shares(value: Any) -> dict[str, tuple[float, float]]:
    if type(value) is not dict or not value:
        raise Wrong('a table of labels, each as "label" = ["5%", "40%"]')
    made = {}
    for label, bounds in value.items():
        if type(bounds) is not list or len(bounds) != 2:
            raise Wrong(f'a table of labels, each with the least and the largest share: "{label}" = ["5%", "40%"]')
        low, high = _share(bounds[0]), _share(bounds[1])
        if low > high:
            raise Wrong(f"a table in which the least share of {label!r} is not above the largest")
        made[label] = (low, high)
    return made


TOP: dict[str, Reader] = {"max_rejected": _share}
ROWS: dict[str, Reader] = {"min": _count, "max": _count, "within": _share}
FRESHNESS: dict[str, Reader] = {
    "column": _text, "file": _yes_or_no, "max_age": _age, "max_ahead": _age, "timezone": _timezone,
}  # fmt: skip
COLUMN: dict[str, Reader] = {
    "type": _one_of("text", "number", "whole", "bool", "date"),
    "nulls": _word_or_share,
    "categories": _categories,
    "categories_from": _one_of("model"),
    "unseen": _word_or_share,
    "max_categories": _categories_count,
    "min": _limit,
    "max": _limit,
    "finite": _yes_or_no,
    "max_zero_share": _share,
    "constant": _yes_or_no,
    "unique": _yes_or_no,
    "pattern": _text,
}
SCORE: dict[str, Reader] = {
    "min": _number, "max": _number, "max_zero_share": _share, "constant": _yes_or_no, "shares": _shares,
}  # fmt: skip
