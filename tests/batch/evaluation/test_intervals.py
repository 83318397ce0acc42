"""Intervals against scipy where it has them, and how often they hold the truth where it has not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlpack_edge.batch.evaluation.classification import classification_metrics
from mlpack_edge.batch.evaluation.intervals import (
    difference_interval,
    f1_interval,
    mcnemar,
    mean_interval,
    paired_shares_interval,
    root_mean_square_interval,
    t_quantile,
    wilson,
)  # fmt: skip

TRIALS = 2000
#: Three standard deviations of the share of 2,000 trials at 95 %.
SLACK = 0.015


@given(st.integers(1, 10**6), st.data())
def test_wilson_is_scipys(rows: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, rows))
    found = stats.binomtest(hits, rows).proportion_ci(method="wilson")
    assert wilson(hits, rows) == pytest.approx((found.low, found.high), abs=1e-12)


@given(st.integers(8, 10**9))
def test_the_t_quantile_is_scipys(freedom: int) -> None:
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=3e-5)


@pytest.mark.parametrize(("freedom", "slack"), [(1, 1e-12), (2, 1e-12), (3, 4e-3), (5, 3e-4)])
def test_the_t_quantile_of_few_degrees_is_near(freedom: int, slack: float) -> None:
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=slack)


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    total = first + second
    expected = stats.binomtest(min(first, second), total).pvalue if total else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, abs=1e-9)


def test_mcnemar_of_many_rows_is_near_the_exact_test() -> None:
    assert mcnemar(1500, 1400) == pytest.approx(stats.binomtest(1400, 2900).pvalue, rel=0.01)


def _coverage(truth: float, interval: Callable[[], tuple[float, float]]) -> float:
    return sum(low <= truth <= high for low, high in (interval() for _ in range(TRIALS))) / TRIALS


@pytest.mark.parametrize(("rows", "right"), [(30, 0.95), (200, 0.8), (1000, 0.99)])
def test_wilson_holds_the_truth_as_often_as_it_says(rows: int, right: float) -> None:
    generator = np.random.default_rng(1)
    held = _coverage(right, lambda: wilson(int(generator.binomial(rows, right)), rows))
    assert 0.93 - SLACK <= held <= 0.99


@pytest.mark.parametrize("rows", [60, 1000])
def test_the_f1_interval_holds_the_truth(rows: int) -> None:
    generator = np.random.default_rng(2)
    shares = np.array([0.25, 0.06, 0.09, 0.6])  # true positives, false positives, false negatives, true negatives
    truth = 0.5 / (0.5 + 0.06 + 0.09)

    def interval() -> tuple[float, float]:
        hits, false, missed, _ = generator.multinomial(rows, shares)
        return f1_interval(int(hits), int(false + missed))

    assert 0.935 <= _coverage(truth, interval) <= 0.985


def test_the_macro_f1_interval_holds_the_truth() -> None:
    generator = np.random.default_rng(3)
    shares = np.array([[0.3, 0.04, 0.02], [0.05, 0.25, 0.04], [0.02, 0.03, 0.25]])
    truth = np.mean(2 * np.diag(shares) / (shares.sum(0) + shares.sum(1)))
    held = 0
    for _ in range(300):
        counts = generator.multinomial(300, shares.ravel())
        cells = {(i // 3, i % 3): int(count) for i, count in enumerate(counts) if count}
        interval = classification_metrics(cells, None)[1].interval
        assert interval is not None
        held += interval[0] <= truth <= interval[1]
    assert 0.91 <= held / 300 <= 0.985


def test_intervals_of_errors_hold_the_truth() -> None:
    generator = np.random.default_rng(4)
    held = np.zeros(2)
    for _ in range(TRIALS):
        error = generator.normal(0.3, 1.0, 100)
        low, high = mean_interval(np.abs(error).mean(), np.abs(error).var(ddof=1), 100)
        expected = stats.foldnorm(0.3).mean()
        held[0] += low <= expected <= high
        square = error**2
        low, high = root_mean_square_interval(square.mean(), square.var(ddof=1), 100)
        held[1] += low <= math.sqrt(1.09) <= high
    assert np.all(held / TRIALS >= 0.92) and np.all(held / TRIALS <= 0.97)


def test_the_interval_of_a_paired_difference_holds_the_truth() -> None:
    generator = np.random.default_rng(5)

    def interval() -> tuple[float, float]:
        only_first, only_second, _ = generator.multinomial(150, [0.05, 0.12, 0.83])
        return paired_shares_interval(int(only_first), int(only_second), 150)

    assert 0.94 - SLACK <= _coverage(0.07, interval) <= 0.98


def test_a_difference_is_normal() -> None:
    assert difference_interval(1.0, 4.0) == pytest.approx(stats.norm(1.0, 2.0).interval(0.95))
