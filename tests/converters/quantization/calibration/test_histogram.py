"""The same numbers give the same histogram, however they come; nothing is lost, nothing is moved."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlpack_edge.converters.quantization.calibration.histogram import BINS, FINEST, Array, Histogram, extremes

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
NUMBERS = hnp.arrays(np.float32, st.integers(1, 60), elements=FLOATS)


def histogram_of(*batches: Array, columns: int | None = None) -> Histogram:
    made = Histogram(columns)
    for batch in batches:
        if batch.size:
            made.add(batch, *extremes(batch, columns))
    return made


def assert_same(one: Histogram, other: Histogram) -> None:
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_array_equal(one.exponent, other.exponent)
    np.testing.assert_array_equal(one.zeros, other.zeros)
    np.testing.assert_array_equal(one.low, other.low)
    np.testing.assert_array_equal(one.high, other.high)


@settings(deadline=None, max_examples=300)
@given(NUMBERS, st.lists(st.integers(0, 60), max_size=5))
def test_the_same_histogram_whatever_the_batches(numbers: Array, cuts: list[int]) -> None:
    assert_same(histogram_of(numbers), histogram_of(*np.split(numbers, sorted(cuts))))
    assert_same(histogram_of(numbers), histogram_of(numbers[::-1]))


@settings(deadline=None, max_examples=200)
@given(NUMBERS, NUMBERS, NUMBERS)
def test_merging_is_associative_and_equals_counting_all(a: Array, b: Array, c: Array) -> None:
    left, right = histogram_of(a), histogram_of(b)
    left.merge(histogram_of(b))
    left.merge(histogram_of(c))
    right.merge(histogram_of(c))
    other = histogram_of(a)
    other.merge(right)
    assert_same(left, other)
    assert_same(left, histogram_of(a, b, c))


@settings(deadline=None, max_examples=200)
@given(NUMBERS)
def test_each_number_is_between_the_edges_of_its_bin(numbers: Array) -> None:
    made = histogram_of(numbers)
    bins = made.bins_of()
    assert bins.low == min(numbers.min(), 0) and bins.high == max(numbers.max(), 0)
    assert bins.counts.sum() + bins.zeros == len(numbers)
    assert bins.edges[0] <= bins.low <= bins.high <= bins.edges[-1]
    width = 2.0 ** int(made.exponent[0])
    naive = np.zeros(2 * BINS, np.int64)
    for number in numbers.tolist():
        naive[int(number / width) + BINS] += 1
    np.testing.assert_array_equal(made.counts[0], naive)
    largest = float(np.abs(numbers).max())
    assert largest < BINS * width and (largest >= BINS * width / 2 or made.exponent[0] == FINEST)


@settings(deadline=None, max_examples=100)
@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 20), st.just(3)), elements=st.floats(-1e300, 1e300)))
def test_columns_apart_are_histograms_of_their_own(numbers: Array) -> None:
    together = histogram_of(numbers[:5], numbers[5:], columns=3)
    for column in range(3):
        alone = histogram_of(np.ascontiguousarray(numbers[:, column]))
        np.testing.assert_array_equal(together.counts[column], alone.counts[0])
        assert together.exponent[column] == alone.exponent[0]
        assert (together.low[column], together.high[column]) == (alone.low[0], alone.high[0])


def test_many_columns_have_fewer_bins_and_still_their_exact_ends() -> None:
    numbers = np.random.default_rng(0).standard_normal((50, 3000)).astype(np.float32) * np.arange(1, 3001, dtype="f4")
    made = histogram_of(numbers[:20], numbers[20:], columns=3000)
    assert made.counts.nbytes < 10_000_000
    np.testing.assert_array_equal(made.high, numbers.max(axis=0))
    np.testing.assert_array_equal(made.counts.sum(axis=1), np.full(3000, 50))


def test_half_floats_and_no_floats() -> None:
    half = np.array([0.5, -2, 65504], np.float16)
    assert_same(histogram_of(half), histogram_of(half.astype(np.float32)))
    empty = histogram_of()
    assert empty.counts.sum() == 0


@pytest.mark.parametrize("zeros", [0.0, 0.5])
def test_counting_takes_nanoseconds_a_number(zeros: float) -> None:
    """Below 5 ns on a quiet machine; the bound here is for a busy one."""
    random = np.random.default_rng(0)
    numbers = random.standard_normal(1 << 21).astype(np.float32)
    numbers[random.random(len(numbers)) < zeros] = 0
    made, least = Histogram(), np.inf
    for _ in range(5):
        start = time.process_time()
        made.add(numbers, *extremes(numbers, None))
        least = min(least, (time.process_time() - start) / len(numbers))
    assert least < 15e-9
