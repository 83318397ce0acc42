"""The resampling behind intervals, against its definition and against what an interval promises."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.runtimes.measuring import bootstrap
from mlpack_edge.runtimes.measuring.comparison import compare
from tests.runtimes.measuring.simulated import BUSY, side_by_side

BLOCKS = st.lists(st.lists(st.integers(1, 60), max_size=9), min_size=1, max_size=5).filter(any)


@given(BLOCKS, st.data())
def test_the_median_of_a_mixture_is_that_of_its_samples(blocks: list[list[int]], data: st.DataObject) -> None:
    """Counts on a grid give what numpy gives of the samples themselves, each block as often as it was drawn."""
    times = data.draw(st.lists(st.integers(0, 3), min_size=len(blocks), max_size=len(blocks)))
    of = bootstrap.distribution([np.array(block, np.uint64) for block in blocks])
    found = bootstrap.medians(of, np.array([times], np.float64) @ of.below)[0]
    mixed = [value for block, often in zip(blocks, times, strict=True) for value in block * often]
    assert found == pytest.approx(np.median(mixed)) if mixed else math.isnan(found)


def test_a_grid_of_quantiles_loses_a_hundredth_of_the_spread() -> None:
    draw = np.random.default_rng(1)
    blocks = [(2.4e6 + draw.normal(draw.normal(0, 1e4), 3e4, 100)).astype(np.uint64) for _ in range(50)]
    of = bootstrap.distribution(blocks)
    assert not of.exact
    times = bootstrap.picks(draw, 50)[:200]
    repeated = [np.repeat(np.stack(blocks), row.astype(int), axis=0) for row in times]
    truth = np.array([np.median(one) for one in repeated])
    assert np.abs(bootstrap.medians(of, times @ of.below) - truth).max() < 3e4 / 100


def test_means_draw_processes_and_resamples_of_each() -> None:
    """Of two processes whose resamples are uniform around 0 and 10: means around 0, 5 and 10, at 1 : 2 : 1."""
    draw = bootstrap.generator()
    resampled = draw.uniform(-1, 1, (2, 1000)) + np.array([[0], [10]])
    found = bootstrap.means(draw, resampled)
    assert np.mean(found < 2) == pytest.approx(0.25, abs=0.02)
    assert np.mean(found > 8) == pytest.approx(0.25, abs=0.02)
    assert found[found < 2].std() == pytest.approx(np.sqrt(1 / 3 / 2), rel=0.1)


def test_picks_draw_as_many_blocks_as_there_are() -> None:
    times = bootstrap.picks(bootstrap.generator(), 7)
    assert (times.sum(axis=1) == 7).all()
    assert times.mean(axis=0) == pytest.approx(np.ones(7), abs=0.1)


@pytest.mark.parametrize(
    ("freedom", "tabled"), [(1, 12.706), (4, 2.776), (7, 2.365), (8, 2.306), (12, 2.179), (30, 2.042)]
)
def test_student_as_tabled(freedom: int, tabled: float) -> None:
    assert bootstrap.t_quantile(freedom) == pytest.approx(tabled, abs=0.002)


@pytest.mark.parametrize("processes", [2, 3, 5, 8])
def test_the_interval_holds_the_truth_in_about_95_of_100_trials(processes: int) -> None:
    """Processes differ by 1 %, and blocks within them; the middle of all processes is 1 ms."""
    held = 0
    trials = 120
    for seed in range(trials):
        draw = np.random.default_rng([seed, processes])
        middles = 1000 * np.exp(draw.normal(0, 0.01, (processes, 1, 1)) + draw.normal(0, 0.005, (processes, 20, 1)))
        samples = (middles + draw.normal(0, 2, (processes, 20, 10))).round().astype(np.uint64)
        low, high = bootstrap.interval_of_median([list(process) for process in samples])
        held += low <= 1000 <= high
    assert held >= 0.91 * trials


def test_the_interval_is_not_needlessly_wide() -> None:
    draw = np.random.default_rng(3)
    middles = 1e6 * np.exp(draw.normal(0, 0.01, (8, 1, 1)))
    samples = np.broadcast_to(middles, (8, 20, 10)).astype(np.uint64)
    low, high = bootstrap.interval_of_median([list(process) for process in samples])
    assert 0.005 < high / low - 1 < 0.05


@pytest.mark.parametrize("processes", [[], [[]], [[np.array([5], np.uint64)]], [[np.array([5], np.uint64)], []]])
def test_of_fewer_than_two_processes_there_is_no_interval(processes: list[list[bootstrap.Block]]) -> None:
    assert np.isnan(bootstrap.interval_of_median(processes)).all()


def test_two_processes_of_one_sample_have_an_interval() -> None:
    low, high = bootstrap.interval_of_median([[np.array([1000], np.uint64)], [np.array([1010], np.uint64)]])
    assert low < 1000
    assert high > 1010


def test_calls_that_took_no_time_have_no_interval() -> None:
    assert np.isnan(bootstrap.interval_of_median([[np.array([0, 0], np.uint64)]] * 3)).all()


def test_a_comparison_takes_less_than_a_third_of_a_second() -> None:
    """10,000 resamples of 5 rounds of 50 blocks of 100 calls."""
    a, b = side_by_side(np.random.default_rng(0), (2e6, 2e6), BUSY, rounds=5, turns=50, calls=100)
    start = time.process_time()
    compare(a, b, paired=True)
    compare(a, b, paired=False)
    assert (time.process_time() - start) / 2 < 0.3
