"""Distances in units in the last place, and counts of values that are not the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mlpack_edge.runtimes.bits import UNORDERED, BitFacts, compare_bits, step_distance, ulp_distance

Array = NDArray[Any]
FLOATS = [np.float16, np.float32, np.float64]


def _floats(dtype: type) -> st.SearchStrategy[Any]:
    """Every bit pattern of a dtype but NaN's: zeros of both signs, subnormal numbers, infinities."""
    bits = np.dtype(dtype).itemsize * 8
    words = st.integers(0, 2**bits - 1).map(lambda word: np.array([word], f"u{bits // 8}").view(dtype)[0])
    return words.filter(lambda number: not np.isnan(number))


def _apart(a: Any, b: Any) -> int:
    return int(ulp_distance(np.array([a]), np.array([b]))[0])


def _chain(number: Any, steps: int, toward: float) -> Any:
    for _ in range(steps):
        number = np.nextafter(number, type(number)(toward))
    return number


@pytest.mark.parametrize("dtype", FLOATS)
class TestEveryWidth:
    @given(data=st.data())
    def test_it_counts_the_steps_of_nextafter_across_zero_and_up_to_infinity(self, dtype: type, data: Any) -> None:
        number, steps = data.draw(_floats(dtype)), data.draw(st.integers(0, 40))
        up = _chain(number, steps, np.inf)
        assert _apart(number, up) == steps or np.isinf(up)

    @given(data=st.data())
    def test_it_is_symmetric_and_zero_for_equal_numbers_alone(self, dtype: type, data: Any) -> None:
        a, b = data.draw(_floats(dtype)), data.draw(_floats(dtype))
        assert _apart(a, b) == _apart(b, a)
        assert (_apart(a, b) == 0) == bool(a == b)

    @given(data=st.data())
    def test_distances_along_the_line_add_up(self, dtype: type, data: Any) -> None:
        a, b, c = sorted(data.draw(_floats(dtype)) for _ in range(3))
        assert _apart(a, c) == _apart(a, b) + _apart(b, c)

    def test_the_whole_line_fits(self, dtype: type) -> None:
        """Between the infinities lie all finite numbers: twice those above zero, and zero."""
        lowest, highest = dtype(-np.inf), dtype(np.inf)
        info = np.finfo(dtype)
        assert _apart(lowest, highest) == 2 * ((2**info.nexp - 1) << info.nmant) < UNORDERED
        assert _apart(info.max, highest) == 1

    def test_zeros_are_one_point_and_two_bit_patterns(self, dtype: type) -> None:
        zero, minus = np.zeros(1, dtype), -np.zeros(1, dtype)
        assert int(ulp_distance(zero, minus)[0]) == 0
        assert compare_bits(zero, minus) == BitFacts(1, 1, max_ulp=0)

    def test_every_nan_is_the_same_and_far_from_any_number(self, dtype: type) -> None:
        word = f"u{np.dtype(dtype).itemsize}"
        quiet = np.full(3, np.nan, dtype)
        other = (quiet.view(word) ^ np.array([1, 2, 1 << (np.dtype(dtype).itemsize * 8 - 1)], word)).view(dtype)
        assert np.isnan(other).all()
        assert compare_bits(quiet, other) == BitFacts(3, 0, max_ulp=0)
        assert _apart(dtype(np.nan), dtype(np.inf)) == UNORDERED
        number = np.array([np.nan, 1, 1], dtype)
        assert compare_bits(quiet, number) == BitFacts(3, 2, one_sided_nan=2, max_ulp=0)


def test_the_sign_of_a_tiny_number_is_two_steps() -> None:
    tiny = np.float32(2.0**-149)
    assert _apart(tiny, -tiny) == 2


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("int8", -128, 127), ("int64", -(2**63), 2**63 - 1), ("uint64", 0, 2**64 - 1)]
)
def test_whole_numbers_do_not_overflow(dtype: str, low: int, high: int) -> None:
    ends = np.array([low, high], dtype), np.array([high, low], dtype)
    assert step_distance(*ends).tolist() == [high - low, high - low]


def test_codes_have_steps_and_labels_and_texts_have_none() -> None:
    a, b = np.array([1, 5], np.int8), np.array([1, -2], np.int8)
    assert compare_bits(a, b) == BitFacts(2, 1, max_steps=7)
    assert compare_bits(a, b, is_label=True) == BitFacts(2, 1)
    assert compare_bits(np.array(["ja", "nein"], object), np.array(["ja", "ja"], object)) == BitFacts(2, 1)
    assert compare_bits(np.array([True, False]), np.array([True, True])) == BitFacts(2, 1)


def test_facts_of_two_groups_add_up() -> None:
    total = BitFacts(10, 2, 1, max_ulp=4) + BitFacts(5, 1, 0, max_ulp=9)
    assert total == BitFacts(15, 3, 1, max_ulp=9)
    assert BitFacts(1, 0, max_ulp=0) + BitFacts(1, 1, max_steps=3) == BitFacts(2, 1, 0, 0, 3)


def test_arrays_that_are_no_whole_blocks_of_memory_are_compared_too() -> None:
    table = np.arange(12, dtype=np.float32).reshape(3, 4)
    moved = table.copy()
    moved[1, 2] = np.nextafter(moved[1, 2], np.float32(0))
    assert compare_bits(table[:, ::2], moved[:, ::2]) == BitFacts(6, 1, max_ulp=1)
    assert compare_bits(table.T[2], moved.T[2]) == BitFacts(3, 1, max_ulp=1)
