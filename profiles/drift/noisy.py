"""Drift of reports that carry the noise of differential privacy (`profiles.noise`): each tells one feature, with known noise. numpy.

Noise has no mean, so that sums over reports are those of the rows, and shares are ratios of sums. They are taken as they are: what is
cut at 0 first is no longer right on average. Devices are what is independent, as in `clusters`; how much they differ holds the noise
already, and is never taken to be less than rows and noise must differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.drift.checks import STATISTIC
from mlpack_edge.profiles.drift.clusters import (
    FEWEST,
    SHARDS,
    Growth,
    devices_of,
    equal_units,
    growth_of,
    shard_of,
    tenths,
)
from mlpack_edge.profiles.drift.effects import Floats, Parts, chance, effective_rows, shares, split, variation_effect
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, MISSING, UNSEEN, Check, FeatureDrift
from mlpack_edge.profiles.drift.significance import student
from mlpack_edge.profiles.layout import Group
from mlpack_edge.profiles.noise import variance
from mlpack_edge.profiles.profile import Profile
from mlpack_edge.profiles.spec import INPUT, Feature, Learned, Numeric, Reference, Spec

Bools = NDArray[np.bool_]

#: A sum of noisy counters says how many rows there were only where it is so many standard deviations of its noise.
_CLEAR = 5.0
#: No unit is taken to have a larger share of all rows: what the others have is known to the noise only.
_MOST = 0.98
#: Draws of noise by which its largest distance is known to 5 %.
_DRAWS = 400


@dataclass(frozen=True, slots=True)
class Told:
    """What reports tell of one feature, a row for each unit (a device, or a shard of devices): counts float64 `[units, size]`,
    reports `[units]`. variance: of the noise of one counter of one report. each: devices of each unit, None for one."""

    counts: Floats
    reports: Floats
    variance: float
    each: Floats | None = None

    @property
    def total(self) -> Floats:
        """Of all units, `[size]`: right on average, and maybe negative."""
        return np.asarray(self.counts.sum(axis=0))

    def noise(self, counters: int) -> float:
        """Variance of a sum over so many counters of all reports."""
        return float(self.reports.sum()) * counters * self.variance

    @property
    def clear(self) -> bool:
        """Whether there are units enough, and rows enough beside the noise, to judge the feature."""
        rows = float(self.counts.sum())
        return len(self.reports) >= FEWEST and rows > _CLEAR * math.sqrt(self.noise(self.counts.shape[1]))


def told(group: Group, place: int, profiles: Sequence[Profile]) -> Told:
    """Of the group at `place` of the vector, from reports of one epsilon that name their device. Up to SHARDS devices that tell it are
    a unit each."""
    mine = [part for part in profiles if part.carried[place]]
    names = {part.device for part in mine}
    units: dict[bytes, tuple[NDArray[np.int64], int]] = {}
    for part in mine:
        unit = part.device if len(names) <= SHARDS else bytes([shard_of(part.device)])
        counts, reports = units.get(unit, (np.zeros(group.size, np.int64), 0))
        units[unit] = (
            counts + np.array(part.counts[group.start : group.stop], np.int64),
            reports + part.carried[place],
        )
    ordered = [units[unit] for unit in sorted(units)]
    return Told(
        np.array([counts for counts, _ in ordered], np.float64).reshape(len(ordered), group.size),
        np.array([reports for _, reports in ordered], np.float64),
        variance(profiles[0].epsilon),
        devices_of((unit[0] for unit in sorted(units)), names) if len(names) > SHARDS else None,
    )


def rows_of(spec: Spec, found: Sequence[Told], reports: int) -> tuple[int, int]:
    """An estimate of the rows and predictions of `reports` reports, from the features that they tell; found: by feature."""
    made = []
    for inputs in (True, False):
        side = [
            one for feature, one in zip(spec.features, found, strict=True) if (feature.source.role == INPUT) is inputs
        ]
        carried = sum(float(one.reports.sum()) for one in side)
        counted = sum(float(one.counts.sum()) for one in side)
        made.append(max(round(counted / carried * reports), 0) if carried else 0)
    return made[0], made[1]


def feature_of(
    group: Group,
    one: Told,
    reference: Reference,
    taught: Learned | None,
    learned: Mapping[str, float],
    far: tuple[Bools, Bools | None] | None = None,
) -> FeatureDrift:
    """All checks of a feature, p not yet adjusted; none where what was told is not `clear`. Indices, the means and what the values
    look like are not given: noise makes them wrong. far: of a number, bool `[group.size]`, cells beyond all of the reference (`beyond`): those whose
    rows are unseen, and, where it is the time, those that the days since explain."""
    feature = group.feature
    assert feature is not None
    before = split(feature, np.array(reference.counts[group.start : group.stop], np.float64))
    units, now = split(feature, one.counts), split(feature, one.total)
    unseen = 1
    explained = None
    if far is not None:
        units, explained = replace(units, unseen=units.unseen + one.counts[:, far[0]].sum(axis=1)), far[1]
        unseen += int(far[0].sum())
    growth = growth_of(reference, taught, len(one.reports), float(one.reports.sum()))
    checks, rates = [], {MISSING: (0.0, 0.0), UNSEEN: (0.0, 0.0)}
    for kind, old, new in ((MISSING, before.missing, units.missing), (UNSEEN, before.unseen, units.unseen)):
        if not one.clear or not before.rows or (kind == UNSEEN and not before.cells.shape[-1]):
            continue
        rate = _Ratio(one, new, units.rows, unseen if kind == UNSEEN else 1, group.size)
        was = float(old / before.rows)
        is_now = min(max(rate.value, 0.0), 1.0)
        rates[kind] = (was, is_now)
        p = rate.p(was, float(before.rows), growth)
        gap = rate.value - was
        if kind == UNSEEN:  # only a rise counts
            size, p = max(gap, 0.0), p / 2 if gap > 0 else 1.0
        else:
            size = math.sqrt(max(gap**2 - rate.spread(was, float(before.rows)), 0.0))
        checks.append(Check(kind, "rate", is_now, is_now - was, size, learned.get(kind), p))
    cells = before.cells.shape[-1]
    if cells and before.cells.sum() and one.clear and float(now.cells.sum()) > _CLEAR * math.sqrt(one.noise(cells)):
        found = _distribution(feature, one, before, units, now, growth, learned.get(DISTRIBUTION))
        checks.append(replace(found, judged=explained is None))
    ahead = None if explained is None else float(one.total[explained].sum() / max(now.rows, 1.0))
    return FeatureDrift(
        name=group.name,
        role=feature.source.role,
        kind=type(feature).__name__.lower(),
        rows=max(round(float(now.rows)), 0),
        checks=tuple(checks),
        missing=rates[MISSING],
        unseen=rates[UNSEEN],
        ahead=None if ahead is None else min(max(ahead, 0.0), 1.0),
    )


@dataclass(frozen=True, slots=True)
class _Ratio:
    """The share of rows that `part` counters of `whole` hold; now, rows: float64 `[units]`."""

    told: Told
    now: Floats
    rows: Floats
    part: int
    whole: int

    @property
    def value(self) -> float:
        return float(self.now.sum() / self.rows.sum())

    @property
    def noise(self) -> float:
        """Variance of the share that is of the noise: (1 - r) of each counter in it, -r of each other."""
        r = min(max(self.value, 0.0), 1.0)
        counters = self.part * (1 - r) ** 2 + (self.whole - self.part) * r**2
        return float(self.told.reports.sum()) * counters * self.told.variance / float(self.rows.sum()) ** 2

    def single(self, before: float, before_rows: float) -> float:
        """Variance of one row."""
        rows = float(self.rows.sum())
        pooled = min(max((before * before_rows + self.value * rows) / (before_rows + rows), 0.0), 1.0)
        return pooled * (1 - pooled)

    def spread(self, before: float, before_rows: float) -> float:
        """What rows and noise alone make of the variance of the difference."""
        return self.single(before, before_rows) * (1 / before_rows + 1 / float(self.rows.sum())) + self.noise

    def p(self, before: float, before_rows: float, growth: Growth | float) -> float:
        """Student's t for a ratio of sums over units against `before`, the reference's of `before_rows` rows, as in `clusters`: the
        jackknife's variance, and as many degrees of freedom as equal units would have. The noise is in the differences between units; they
        are taken to differ at least by rows and noise."""
        units, total = len(self.now), float(self.rows.sum())
        single = self.single(before, before_rows)
        residual = self.now - self.value * self.rows
        share = np.clip(self.rows / total, 0.0, _MOST)
        jackknife = (units - 1) / units * float(((residual / (1 - share)) ** 2).sum()) / total**2
        degrees = equal_units(share**2 / (1.0 if self.told.each is None else self.told.each)) * (units - 1) / units
        least = single / total
        if isinstance(growth, Growth):
            between = max(jackknife, least * growth.least(np.maximum(self.rows, 0.0)) + self.noise)
            known = growth.times * single / before_rows
            whole = between + known
            if whole:
                degrees = whole**2 / (between**2 / degrees + known**2 / growth.degrees)
        else:
            between = max(jackknife, least + self.noise)
            whole = between + growth * max(between - self.noise, least)
        return student((self.value - before) / math.sqrt(whole), degrees) if whole else 1.0


def _distribution(
    feature: Feature, one: Told, before: Parts, units: Parts, now: Parts, growth: Growth | float, learned: float | None
) -> Check:
    """The smallest p over the contrasts, times their number: of numbers the shares below the reference's tenths, of categories all."""
    size, rows, known = before.cells.shape[-1], units.cells.sum(axis=-1), float(before.cells.sum())
    expected, found = shares(before.cells), now.cells / now.cells.sum()
    noise = one.noise(1) / float(now.cells.sum()) ** 2
    if isinstance(feature, Numeric):
        levels, cumulative = np.cumsum(units.cells, axis=-1), np.cumsum(expected)
        each = [
            _Ratio(one, levels[:, cut], rows, cut + 1, size).p(float(cumulative[cut]), known, growth)
            for cut in tenths(before.cells)
        ]
        value = float(np.abs(np.cumsum(found) - cumulative)[:-1].max(initial=0.0))
        by_chance = float(chance(feature, before.cells) / effective_rows(before.cells, now.cells))
        effect = math.sqrt(max(value**2 - by_chance - noise * _largest(expected), 0.0))
    else:
        each = [
            _Ratio(one, units.cells[:, cell], rows, 1, size).p(float(expected[cell]), known, growth)
            for cell in range(size)
        ]
        value = float(np.abs(found - expected).sum() / 2)
        of_cells = noise * ((1 - expected) ** 2 + (size - 1) * expected**2)
        effect = float(variation_effect(before.cells, now.cells, of_cells))
    p = min(1.0, min(each) * len(each)) if each else 1.0
    name = STATISTIC["numeric" if isinstance(feature, Numeric) else "categorical"]
    return Check(DISTRIBUTION, name, min(value, 1.0), 0.0, min(effect, 1.0), learned, p)


def _largest(expected: Floats) -> float:
    """The mean of the square of the largest distance that noise of variance 1 on every counter makes: max |S_k - F_k S|, S the sums
    of the noise from the first cell, F those of the shares `expected` `[cells]`. By draws, always the same."""
    drawn = np.cumsum(np.random.default_rng(0).standard_normal((_DRAWS, len(expected))), axis=-1)
    gap = np.abs(drawn - np.cumsum(expected) * drawn[:, -1:])[:, :-1]
    return float((gap.max(axis=-1, initial=0.0) ** 2).mean())
