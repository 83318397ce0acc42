"""Quantiles and shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.runtimes.measuring import statistics
from tests.runtimes.measuring.simulated import launch, result

CALLS = st.lists(st.tuples(st.integers(1, 2**40), st.booleans()), min_size=1, max_size=60)


@given(st.lists(CALLS, min_size=1, max_size=4))
def test_what_always_holds(launches: list[list[tuple[int, bool]]]) -> None:
    """min <= p50 <= p90, the clean share lies in [0, 1], and isolated figures exist where a clean call does."""
    one = result([launch([[ns for ns, _ in calls]], [[clean for _, clean in calls]]) for calls in launches])
    figures = one.to_json()
    latency = figures["latency_ns"]
    assert latency["min"] <= latency["p50"] <= latency["p90"]
    assert 0 <= figures["clean_share"] <= 1
    assert (figures["isolated_ns"]["p50"] is None) == (figures["clean_share"] == 0)
    assert figures["samples"] == sum(map(len, launches))


@given(st.integers(1000, 1500), st.integers(0, 2**32), st.floats(0.1, 5))
def test_the_order_of_samples_does_not_matter(count: int, seed: int, spread: float) -> None:
    draw = np.random.default_rng(seed)
    samples = draw.lognormal(15, spread, count).astype(np.uint64)
    one, other = (result([launch([order])]).to_json()["latency_ns"] for order in (samples, draw.permutation(samples)))
    assert one == other
    assert one["min"] <= one["p50"] <= one["p90"] <= one["p99"] <= samples.max()


def test_quantiles_are_linear_between_order_statistics() -> None:
    assert statistics.quantile(np.array([4.0, 1.0, 3.0, 2.0]), 0.5) == 2.5
    assert statistics.quantile(np.arange(11.0), 0.9) == 9.0


@pytest.mark.parametrize(("count", "known"), [(999, False), (1000, True)])
def test_p99_needs_a_thousand_samples(count: int, known: bool) -> None:
    assert (statistics.p99(np.ones(count)) is not None) == known


def test_p99_of_a_view_counts_the_samples_of_that_view() -> None:
    figures = result([launch([np.full(1500, 7)], [np.arange(1500) % 2 == 0])]).to_json()
    assert figures["latency_ns"]["p99"] == 7.0
    assert figures["isolated_ns"] == {"p50": 7.0, "p99": None}


def test_nothing_measured_is_null_not_zero() -> None:
    assert statistics.quantile(np.empty(0), 0.5) is None
    assert statistics.clean_share([]) is None
    assert statistics.pooled([]).size == 0
