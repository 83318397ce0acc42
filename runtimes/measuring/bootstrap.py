"""Intervals for medians of call times, by a bootstrap of two levels: processes, and blocks within a process.

A process has a bias of its own (where its memory lies, which core it met), and the samples of one block were taken in
the same milliseconds and resemble each other. So neither samples nor blocks alone may be resampled as if they were
independent: processes are drawn first, then blocks within each (Kalibera & Jones, "Rigorous benchmarking in reasonable
time", ISMM 2013: repeat at every level that varies; Georges, Buytaert & Eeckhout, "Statistically rigorous Java
performance evaluation", OOPSLA 2007: several invocations, and Student's quantiles for few of them).

Bootstrap percentiles of few values are too narrow; the interval is expanded as Hesterberg proposes ("What teachers
should know about the bootstrap", The American Statistician 69:4, 2015, arXiv:1411.5279): the tail
Phi(-sqrt(n / (n - 1)) t) in place of 2.5 %, t being Student's 97.5 % quantile for n - 1 degrees of freedom, n the
processes (of two groups, of the smaller). The mean of resamples never lies outside of the n values, whose range holds
the middle of their distribution with a probability of 1 - 2^(1 - n): 93.75 % for five, so that below six no expansion is
enough. There Student's interval of the values is joined to it.

Everything is drawn from one seed: the same facts give the same interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Block = NDArray[np.uint64]
Interval = tuple[float, float]

NOTHING: Interval = (math.nan, math.nan)
RESAMPLES = 10_000
_WITHIN = 1_000  # resamples of the blocks of one process, from which those of processes draw
_GRID = 256  # points at which a process's distribution is kept while its blocks are resampled
_SEED = 20_130_620
_ENOUGH = 6  # values whose range holds their middle in 95 % of cases


@dataclass(frozen=True, slots=True)
class Distribution:
    """Counts of one process's samples, a block a row: `below[i, k]` samples of block i are <= `grid[k]`.

    `exact`: the grid holds every value; else 256 quantiles of them, between which samples are taken as spread evenly.
    """

    grid: Floats
    below: Floats
    exact: bool


def distribution(blocks: Sequence[Block]) -> Distribution:
    """Of at least one sample; blocks without any keep their row, of zeros."""
    samples = np.concatenate(blocks).astype(np.float64)
    grid = np.unique(samples)
    exact = grid.size <= _GRID
    if not exact:
        grid = np.unique(np.quantile(samples, np.linspace(0.0, 1.0, _GRID), method="inverted_cdf"))
    row = np.repeat(np.arange(len(blocks)), [block.size for block in blocks])
    places = row * grid.size + np.searchsorted(grid, samples)
    counts = np.bincount(places, minlength=len(blocks) * grid.size).reshape(len(blocks), grid.size)
    return Distribution(grid, counts.cumsum(axis=1).astype(np.float64), exact)


def medians(of: Distribution, below: Floats) -> Floats:
    """The median [m] of each mixture of blocks, its cumulated counts in `below` [m, grid]; NaN of no samples.

    With an exact grid the same as numpy's linear median of the samples themselves.
    """
    total = below[:, -1]
    place = (total + 1) / 2
    above = np.minimum((below < place[:, None]).sum(axis=1), of.grid.size - 1)
    rows = np.arange(len(below))
    before = np.where(above > 0, below[rows, np.maximum(above - 1, 0)], 0.0)
    within = np.maximum(below[rows, above] - before, 1.0) if not of.exact else 1.0
    step = np.clip((place - before) / within, 0.0, 1.0)
    left = of.grid[_left_of(below, above)]
    return np.where(total > 0, left + (of.grid[above] - left) * step, np.nan)


def _left_of(below: Floats, above: NDArray[np.intp]) -> NDArray[np.intp]:
    """The nearest grid point before `above` that a sample of the mixture lies on; `above` itself where none does."""
    before = np.where(above > 0, below[np.arange(len(below)), np.maximum(above - 1, 0)], 0.0)
    first = (below >= np.maximum(before, 1.0)[:, None]).argmax(axis=1)
    return np.where(before > 0, first, above)


def picks(draw: np.random.Generator, blocks: int) -> Floats:
    """How often each block is in each of 1,000 resamples of `blocks` blocks: [1000, blocks]."""
    drawn = draw.integers(0, blocks, (_WITHIN, blocks)) + np.arange(_WITHIN)[:, None] * blocks
    return np.bincount(drawn.ravel(), minlength=_WITHIN * blocks).reshape(_WITHIN, blocks).astype(np.float64)


def log_medians(blocks: Sequence[Block], times: Floats) -> Floats:
    """The logarithm of the median of each resample of `blocks`, in `times` [m, blocks]: [m]; NaN where it is 0."""
    of = distribution(blocks)
    return log_each(medians(of, times @ of.below))


def generator() -> np.random.Generator:
    return np.random.default_rng(_SEED)


def means(draw: np.random.Generator, resampled: Floats) -> Floats:
    """Means [10000] over n processes drawn with replacement, each with one of its own resamples [n, 1000]."""
    rounds = len(resampled)
    process = draw.integers(0, rounds, (RESAMPLES, rounds))
    which = draw.integers(0, resampled.shape[1], (RESAMPLES, rounds))
    found: Floats = resampled[process, which].mean(axis=1)
    return found


def interval_of_median(processes: Sequence[Sequence[Block]]) -> Interval:
    """The 95 % interval of the median of all samples of all processes, in their unit; NaN for fewer than two with samples."""
    filled = [[block for block in blocks if block.size] for blocks in processes if any(block.size for block in blocks)]
    if len(filled) < 2:
        return NOTHING
    draw = generator()
    of = distribution([block for blocks in filled for block in blocks])
    ends = np.cumsum([len(blocks) for blocks in filled])
    mixtures = np.stack(
        [picks(draw, len(blocks)) @ of.below[end - len(blocks) : end] for blocks, end in zip(filled, ends, strict=True)]
    )
    process = draw.integers(0, len(filled), (len(filled), RESAMPLES))
    which = draw.integers(0, _WITHIN, (len(filled), RESAMPLES))
    mixed = np.zeros((RESAMPLES, of.grid.size))
    for each, one in zip(process, which, strict=True):
        mixed += mixtures[each, one]
    found = medians(of, mixed)
    by_process = log_each(np.array([np.median(np.concatenate(blocks)) for blocks in filled]))
    middle = log_each(np.array([np.median(np.concatenate([block for blocks in filled for block in blocks]))]))
    low, high = expanded(log_each(found), float(middle[0]), standard_error(by_process), len(filled))
    return math.exp(low), math.exp(high)


def log_each(values: Floats) -> Floats:
    """Logarithms; NaN of 0, since a call that took no time was not measured and has no ratio to another."""
    return np.log(np.where(values > 0, values, np.nan))


def standard_error(values: Floats) -> float:
    """Of the mean of values [n]; NaN of one."""
    return float(values.std(ddof=1)) / math.sqrt(values.size) if values.size > 1 else math.nan


def expanded(resamples: Floats, estimate: float, error: float, values: int) -> Interval:
    """The 95 % interval around `estimate` from its resamples [10000].

    error: the standard error of the estimate by Student, from the `values` that it is the mean of (the fewer, of two
    groups). NaN for fewer than two values: nothing is known of how they vary.
    """
    if values < 2 or not (math.isfinite(estimate) and math.isfinite(error)):
        return NOTHING
    student = t_quantile(values - 1)
    tail = NormalDist().cdf(-math.sqrt(values / (values - 1)) * student)
    low, high = np.quantile(resamples, [tail, 1 - tail])
    half = student * error if values < _ENOUGH else 0.0
    return min(float(low), estimate - half), max(float(high), estimate + half)


def t_quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's distribution, to 0.002.

    Up to 7 degrees of freedom from tables; beyond by the expansion of Cornish and Fisher (Abramowitz & Stegun 26.7.5).
    """
    tabled = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646)
    if freedom <= len(tabled):
        return tabled[freedom - 1]
    z = NormalDist().inv_cdf(0.975)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))
