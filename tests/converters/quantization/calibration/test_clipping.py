"""Ranges hold zero and what a rule says they hold; each rule against a slow form of its definition."""

from __future__ import annotations

import itertools
import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlpack_edge.converters.quantization.calibration.clipping import CLIPPINGS, percentile
from mlpack_edge.converters.quantization.calibration.entropy import SMOOTHING, divergence_at, entropy, thresholds
from mlpack_edge.converters.quantization.calibration.histogram import Array, Bins, Histogram, extremes
from mlpack_edge.converters.quantization.calibration.squared_error import expected_error, squared_error
from mlpack_edge.converters.quantization.values import Method

METHODS: tuple[Method, ...] = get_args(Method)


def bins_of(numbers: Array) -> Bins:
    made = Histogram()
    made.add(numbers, *extremes(numbers, None))
    return made.bins_of()


def normal(count: int = 200_000) -> Array:
    return np.random.default_rng(0).standard_normal(count).astype(np.float32)


def test_the_methods_are_those_that_the_command_names() -> None:
    """ONNX Runtime's fifth, "distribution", silently left 10 % accuracy: it is not offered."""
    assert set(CLIPPINGS) == set(METHODS) == {"minmax", "percentile", "entropy", "mse"}


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, max_examples=60)
@given(numbers=hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_every_range_holds_zero_and_no_more_than_was_seen(method: Method, numbers: Array) -> None:
    low, high = CLIPPINGS[method](bins_of(numbers))
    assert min(float(numbers.min()), 0) <= low <= 0 <= high <= max(float(numbers.max()), 0)
    assert (low, high) != (0, 0) or not numbers.any()


@pytest.mark.parametrize("method", METHODS)
def test_one_outlier_is_clipped_and_a_uniform_tensor_is_not(method: Method) -> None:
    uniform = np.linspace(-1, 3, 100_001, dtype=np.float32)
    low, high = CLIPPINGS[method](bins_of(uniform))
    assert low == pytest.approx(-1, abs=0.01) and high == pytest.approx(3, abs=0.01)
    numbers = np.append(normal(), np.float32(40))
    low, high = CLIPPINGS[method](bins_of(numbers))
    # The squared error of one number at 40 outweighs finer steps for 200,000 others down to some 31 (35 where half of them are zeros).
    least, most = {"minmax": (40, 40), "mse": (4, 36)}.get(method, (2.5, 8))
    assert least <= high <= most and -6 < low < -2.5
    low, high = CLIPPINGS[method](bins_of(np.maximum(numbers, 0)))
    assert low == 0 and least <= high <= most


def test_percentile_is_the_quantile_of_both_ends() -> None:
    numbers = normal(1_000_000)
    low, high = percentile(bins_of(numbers))
    expected = np.quantile(numbers, [0.00005, 0.99995])
    np.testing.assert_allclose([low, high], expected, atol=0.003)  # a bin is 8 / 4096 wide
    assert percentile(bins_of(numbers[:19_999])) == (numbers[:19_999].min(), numbers[:19_999].max())


def test_percentile_counts_zeros() -> None:
    numbers = np.concatenate([np.zeros(990_000), np.linspace(0.1, 1, 10_000)]).astype(np.float32)
    low, high = percentile(bins_of(numbers))
    assert low == 0 and high == pytest.approx(np.quantile(numbers, 0.99995), abs=0.001)


def slow_divergence(bins: Bins, bound: int, levels: int) -> float:
    """The definition of `divergence_at`, bin by bin."""
    zero = bins.edges.tolist().index(0.0)
    places = [place for place in range(len(bins.counts)) if zero - bound <= place < zero + bound]
    kept = {place: float(bins.counts[place]) for place in places}
    reference = dict(kept)
    for place, count in enumerate(bins.counts.tolist()):
        if place < places[0]:
            reference[places[0]] += count
        elif place > places[-1]:
            reference[places[-1]] += count
    step = len(places) / (levels - 1)
    level = {place: round((place - zero + 0.5) / step) for place in places}
    candidate = {}
    for place in places:
        fellows = [other for other in places if level[other] == level[place] and reference[other]]
        total = sum(kept[other] for other in places if level[other] == level[place])
        candidate[place] = total / len(fellows) if reference[place] else 0.0
    used = [place for place in places if reference[place]]
    whole, given_ = sum(reference.values()), sum(candidate.values())
    if not given_:
        return math.inf
    mixed = {place: (1 - SMOOTHING) * candidate[place] / given_ + SMOOTHING / len(used) for place in used}
    return sum(reference[place] / whole * math.log(reference[place] / whole / mixed[place]) for place in used)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([4, 7, 16]), st.booleans())
def test_entropy_is_the_least_of_its_definition(seed: int, levels: int, one_sided: bool) -> None:
    random = np.random.default_rng(seed)
    zero = 1 if one_sided else int(random.integers(2, 40))
    counts = random.integers(0, 50, zero + int(random.integers(levels, 60))).astype(float)
    counts[: zero if one_sided else 0] = 0
    counts[-1] += 1
    edges = (np.arange(len(counts) + 1) - zero) * 0.25
    bins = Bins(edges, counts, 3, 0.0 if one_sided else float(edges[0]), float(edges[-1]))
    bounds = thresholds(bins, levels)
    slow = {bound: slow_divergence(bins, bound, levels) for bound in bounds}
    for bound in bounds:
        assert divergence_at(bins, bound, levels) == pytest.approx(slow[bound], abs=1e-9)
    low, high = entropy(bins, levels)
    chosen = [bound for bound in bounds if (max(bins.low, -bound * 0.25), min(bins.high, bound * 0.25)) == (low, high)]
    assert min(slow[bound] for bound in chosen) <= min(slow.values()) + 1e-9


def test_many_zeros_do_not_narrow_the_range_of_entropy() -> None:
    numbers = np.abs(normal())
    alone = entropy(bins_of(numbers))
    assert entropy(bins_of(np.append(numbers, np.zeros(5_000_000, np.float32)))) == alone


def rounded(numbers: Array, low: float, high: float, levels: int) -> Array:
    step = (high - low) / (levels - 1)
    zero = np.rint(-low / step)
    return (np.clip(np.rint(numbers / step) + zero, 0, levels - 1) - zero) * step


@pytest.mark.parametrize(("low", "high"), [(-1.3, 2.1), (-4.0, 4.0), (0.0, 3.3), (-0.05, 5.0), (-2.0, 0.0)])
@pytest.mark.parametrize("levels", [4, 256])
def test_the_expected_error_is_that_of_numbers_spread_over_their_bins(low: float, high: float, levels: int) -> None:
    numbers = np.append(normal(5000), np.zeros(700, np.float32))
    bins = bins_of(numbers)
    shares = (np.arange(200) + 0.5) / 200
    spread = bins.edges[:-1, None] + shares * np.diff(bins.edges)[:, None]
    errors = ((rounded(spread, low, high, levels) - spread) ** 2).mean(axis=1)
    expected = (errors * bins.counts).sum() / len(numbers)
    assert expected_error(bins, low, high, levels) == pytest.approx(expected, rel=1e-3)
    own = ((rounded(numbers.astype(float), low, high, levels) - numbers) ** 2).mean()
    assert expected_error(bins, low, high, levels) == pytest.approx(own, rel=0.01)


@pytest.mark.parametrize("levels", [16, 256])
@pytest.mark.parametrize("kind", ["normal", "relu", "lopsided", "laplace", "outliers"])
def test_no_range_of_a_grid_search_has_a_smaller_squared_error(kind: str, levels: int) -> None:
    random = np.random.default_rng(1)
    numbers = {
        "normal": normal(50_000),
        "relu": np.maximum(normal(50_000), 0),
        "lopsided": np.exp(normal(50_000)) - 1,
        "laplace": random.laplace(size=50_000),
        "outliers": np.concatenate([normal(50_000), [300, -80]]),
    }[kind].astype(np.float32)
    bins = bins_of(numbers)
    low, high = squared_error(bins, levels)
    shares = np.geomspace(1 / 128, 1, 40)
    least = min(
        expected_error(bins, bins.low * below, bins.high * above, levels)
        for below, above in itertools.product(shares, shares)
    )
    assert expected_error(bins, low, high, levels) <= least * 1.01
