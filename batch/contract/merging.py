"""What `ContractStatistics` gathers, as JSON, and how two of it become one. Plain Python: the coordinating process does it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Any

Json = dict[str, Any]

#: How many values are still shown where there are too many to keep.
SHOWN = 5
#: Distinct values that are kept though no rule asks for as many.
KEPT = 100
_LONGEST_TEXT = 80
#: Of a longer text these first letters are kept, and its digest.
PREFIX = 60


def merge_statistics(a: Json, b: Json) -> Json:
    """Of two pieces of a table that of both; exact, associative, and `{}` is the state of no piece at all.

    `{"rows", "newest": nanoseconds or None, "columns": {name: state}, "scores": {name: state}}`; a state has counts
    (`rows`, `numbers`, `nans`, `nulls`, `zeros`, `unseen`), extremes (`low`, `high`; lists for vectors), and distinct values
    (`values`, `strange`, `labels`; see `counted`), whichever the rules ask for.
    """
    if not a or not b:
        return a or b
    return {
        "rows": a["rows"] + b["rows"],
        "newest": _extreme(max)(a["newest"], b["newest"]),
        "columns": {name: _merge_state(state, b["columns"][name]) for name, state in a["columns"].items()},
        "scores": {name: _merge_state(state, b["scores"][name]) for name, state in a["scores"].items()},
    }


def counted(counts: Mapping[str, int], limit: int, many: bool = False) -> Json:
    """Distinct values with how often they came; of more than `limit` only the SHOWN first in their order, and `many`.

    The counts of these few are exact also after merging: what is among the first of all was among the first of each piece.
    """
    many = many or len(counts) > limit
    names = sorted(counts)
    return {"limit": limit, "many": many, "of": {name: counts[name] for name in (names[:SHOWN] if many else names)}}


def text_of(value: Any) -> str:
    """A value of a column as a key; a long text by its beginning and its digest, so that no two become one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if len(text) <= _LONGEST_TEXT:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:PREFIX]}...{digest[:16]}"


def plain_number(number: float | None) -> float | str | None:
    """A number as JSON has it: infinities as text, and no negative zero."""
    if isinstance(number, float):
        return number + 0.0 if math.isfinite(number) else "Infinity" if number > 0 else "-Infinity"
    return number


def number_of(plain: Any) -> Any:
    """What `plain_number` was given."""
    return float(plain) if isinstance(plain, str) else plain


def _extreme(pick: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def merge(a: Any, b: Any) -> Any:
        if a is None or b is None:
            return a if b is None else b
        if isinstance(a, list):
            return [merge(one, other) for one, other in zip(a, b, strict=True)]
        return plain_number(pick(number_of(a), number_of(b)))

    return merge


def _merge_counted(a: Json, b: Json) -> Json:
    counts = dict(a["of"])
    for name, count in b["of"].items():
        counts[name] = counts.get(name, 0) + count
    return counted(counts, a["limit"], a["many"] or b["many"])


def _sum(a: int, b: int) -> int:
    return a + b


_MERGES: dict[str, Callable[[Any, Any], Any]] = {
    "rows": _sum, "numbers": _sum, "nans": _sum, "nulls": _sum, "zeros": _sum, "unseen": _sum,
    "low": _extreme(min), "high": _extreme(max),
    "values": _merge_counted, "strange": _merge_counted, "labels": _merge_counted,
}  # fmt: skip


def _merge_state(a: Json, b: Json) -> Json:
    return {key: _MERGES[key](value, b[key]) for key, value in a.items()}
