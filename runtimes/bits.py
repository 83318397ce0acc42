"""Two runs bit by bit: how many values are not the same, and how far apart floating-point numbers are in units of their
last place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Json = dict[str, Any]

#: The distance between NaN and a number, which have none. The largest real one, between the infinities, is below it.
UNORDERED = np.iinfo(np.uint64).max
_WORDS = {2: np.uint16, 4: np.uint32, 8: np.uint64}


def ulp_distance(a: Array, b: Array) -> NDArray[np.uint64]:
    """How many steps of `nextafter` lead from each number to the other; uint64, shaped as the two.

    a, b: equally shaped, both float16, float32 or float64. Numbers of both signs and the infinities are one line of
    integers on which -0.0 and 0.0 are one point (Dawson, Comparing Floating Point Numbers, 2012 edition). NaN is nothing
    away from any NaN, and UNORDERED from a number.
    """
    place_a, place_b = _place(a), _place(b)
    apart = np.maximum(place_a, place_b) - np.minimum(place_a, place_b)
    nan_a, nan_b = np.isnan(a), np.isnan(b)
    return np.where(nan_a & nan_b, np.uint64(0), np.where(nan_a | nan_b, np.uint64(UNORDERED), apart))


def _place(array: Array) -> NDArray[np.uint64]:
    """Where on the line a number is, the zeros at 2**63."""
    word = array.view(_WORDS[array.dtype.itemsize]).astype(np.uint64)
    sign = np.uint64(1 << (array.dtype.itemsize * 8 - 1))
    magnitude, zero = word & (sign - np.uint64(1)), np.uint64(1 << 63)
    return np.asarray(np.where(word & sign, zero - magnitude, zero + magnitude))


def step_distance(a: Array, b: Array) -> NDArray[np.uint64]:
    """|a - b| of equally shaped whole numbers of one dtype, exactly: uint64 does not overflow where the dtype would."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    return high.astype(np.uint64) - low.astype(np.uint64)


@dataclass(frozen=True, slots=True)
class BitFacts:
    """values: compared. different: those that are not the same bits; all NaNs count as one, -0.0 and 0.0 as two.
    one_sided_nan: NaN in one run and a number in the other. max_ulp: of floating-point numbers, NaN left out; None for
    others. max_steps: of whole numbers; None for others, and for labels, between which there is no distance.
    """

    values: int
    different: int
    one_sided_nan: int = 0
    max_ulp: int | None = None
    max_steps: int | None = None

    def __add__(self, other: BitFacts) -> BitFacts:
        return BitFacts(
            self.values + other.values,
            self.different + other.different,
            self.one_sided_nan + other.one_sided_nan,
            _larger(self.max_ulp, other.max_ulp),
            _larger(self.max_steps, other.max_steps),
        )

    def to_json(self) -> Json:
        return {
            "values": self.values,
            "different": self.different,
            "one_sided_nan": self.one_sided_nan,
            "max_ulp": self.max_ulp,
            "max_steps": self.max_steps,
        }


def _larger(a: int | None, b: int | None) -> int | None:
    return a if b is None else b if a is None else max(a, b)


def compare_bits(a: Array, b: Array, is_label: bool = False) -> BitFacts:
    """The facts of two equally shaped arrays of one kind: numbers of one dtype, or texts."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    if a.dtype.kind == "f":
        apart = ulp_distance(a, b)
        words = _WORDS[a.dtype.itemsize]
        different = (a.view(words) != b.view(words)) & ~(np.isnan(a) & np.isnan(b))
        unordered = apart == UNORDERED
        farthest = int(apart[~unordered].max(initial=0))
        return BitFacts(a.size, int(different.sum()), int(unordered.sum()), max_ulp=farthest)
    count = int(np.count_nonzero(a != b))
    if a.dtype.kind not in "iu" or is_label:
        return BitFacts(a.size, count)
    return BitFacts(a.size, count, max_steps=int(step_distance(a, b).max(initial=0)))
