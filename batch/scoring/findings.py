"""Which rows of a batch are rejected, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Rules of rows that were put to a model and have no score: it stops on them, or what it gives is no number.
CRASH, NOT_FINITE = "crash", "not finite"
_FAILED = (CRASH, NOT_FINITE)


@dataclass(frozen=True, slots=True)
class Finding:
    """rule: a short name ("missing", "infinity", ...). column: of the input, or the name of an output. reason: in words."""

    rule: str
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Findings:
    """codes: int32 `[rows]`; 0 is a row without fault, k > 0 one of kind `kinds[k - 1]`. Each kind is there once."""

    codes: NDArray[np.int32]
    kinds: tuple[Finding, ...]

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """bool `[rows]`."""
        return np.asarray(self.codes == 0)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """bool `[rows]`: a model failed on it; other rows that are not accepted were refused."""
        kinds = [place for place, kind in enumerate(self.kinds, 1) if kind.rule in _FAILED]
        return np.asarray(np.isin(self.codes, kinds))

    def counts(self) -> dict[Finding, int]:
        """Rows by kind, kinds without any left out."""
        if not self.kinds:
            return {}
        rows = np.bincount(self.codes, minlength=len(self.kinds) + 1)[1:]
        return {kind: int(count) for kind, count in zip(self.kinds, rows, strict=True) if count}


def no_findings(rows: int) -> Findings:
    return Findings(np.zeros(rows, np.int32), ())


def found(rows: int, faults: Iterable[tuple[Finding, NDArray[Any]]]) -> Findings:
    """Of masks (bool `[rows]`) by kind; a row with several faults is of the kind that comes first."""
    codes = np.zeros(rows, np.int32)
    places: dict[Finding, int] = {}
    for kind, mask in faults:
        hit = mask & (codes == 0)
        if hit.any():
            codes[hit] = places.setdefault(kind, len(places) + 1)
    return Findings(codes, tuple(places))


def merge(a: Findings, b: Findings) -> Findings:
    """Both, of the same rows; where a row is in both, a's kind stays. Raises ValueError where the rows are not as many."""
    if len(a.codes) != len(b.codes):
        raise ValueError(f"findings of {len(a.codes)} and of {len(b.codes)} rows")
    if not b.kinds:
        return a
    if not a.kinds:
        return b
    places = {kind: place for place, kind in enumerate(a.kinds, 1)}
    for kind in b.kinds:
        places.setdefault(kind, len(places) + 1)
    moved = np.array([0, *(places[kind] for kind in b.kinds)], np.int32)[b.codes]
    return Findings(np.where(a.codes != 0, a.codes, moved), tuple(places))
