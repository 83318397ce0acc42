"""The levels of each feature day by day, and the evidence that they lie beside the reference's for good. numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.drift.calendar import clock
from mlpack_edge.profiles.drift.clusters import FEWEST, intraclass
from mlpack_edge.profiles.drift.effects import Floats, shares
from mlpack_edge.profiles.drift.facts import Slow
from mlpack_edge.profiles.drift.slow import SIZES, cautious, evidence
from mlpack_edge.profiles.drift.thresholds import blocks_in
from mlpack_edge.profiles.drift.windows import days_of, undated
from mlpack_edge.profiles.layout import Group, groups
from mlpack_edge.profiles.profile import Profile
from mlpack_edge.profiles.reference.learned import standard_deviation
from mlpack_edge.profiles.spec import Learned, Numeric, Presence, Spec

Ints = NDArray[np.int64]

#: Days that a series must have, and rows that a day must have.
FEWEST_DAYS, FEWEST_ROWS = 14, 20
#: Blocks of a reference that say how much a day moves.
FEWEST_BLOCKS = 28
#: Categories of at least this share of the reference are followed.
_FREQUENT = 0.005


def slow_drift(spec: Spec, profiles: Sequence[Profile]) -> tuple[Slow, ...]:
    """Of every numeric and categorical feature, from the profiles of single days; empty where there are fewer than FEWEST_DAYS of them,
    fewer than FEWEST_BLOCKS blocks in the reference, or devices and a reference that does not tell them apart: their lasting
    difference from the reference's devices cannot then be told from drift. None of a number that is the time (`calendar`)."""
    daily: dict[int, list[Profile]] = {}
    for part in profiles:
        first, last = days_of(part)
        if first == last and not undated(part):
            daily.setdefault(first, []).append(part)
    devices = {part.device for mine in daily.values() for part in mine if part.device}
    if len(daily) < FEWEST_DAYS:
        return ()
    days = sorted(daily)
    counts = np.array([np.sum([part.counts for part in daily[day]], axis=0, dtype=np.int64) for day in days])
    sums = np.array([np.sum([part.sums for part in daily[day]], axis=0, dtype=np.int64) for day in days])
    return slow_drift_of_days(spec, days, counts, sums, len(devices))


def slow_drift_of_days(spec: Spec, days: list[int], counts: Ints, sums: Ints, devices: int) -> tuple[Slow, ...]:
    """As `slow_drift`, of days that were added up. days: since 1970, in order; counts int `[days, vector]`; sums int `[days, numeric
    features]`; devices: how many sent them in all, 0 where they do not come from devices."""
    reference = spec.reference
    if len(days) < FEWEST_DAYS or len(reference.blocks.rows) < FEWEST_BLOCKS:
        return ()
    if devices and reference.devices < FEWEST:
        return ()
    found = []
    for group in groups(spec):
        taught = reference.learned.get(group.name) if group.feature is not None else None
        if (
            taught is not None
            and taught.level_sd
            and not isinstance(group.feature, Presence)
            and not clock(spec, group)
        ):
            alike = intraclass(taught, reference)
            common = alike * (1 / devices + 1 / reference.devices) if devices else 0.0
            slow = _feature(spec, group, taught, days, counts, sums, common)
            found += [slow] if slow else []
    return tuple(found)


def _feature(
    spec: Spec, group: Group, taught: Learned, days: list[int], counts: Ints, sums: Ints, common: float
) -> Slow | None:
    """common: the variance of what all days share because they come from the same devices, in variances of a row."""
    mine = counts[:, group.start : group.stop]
    before = np.array(spec.reference.counts[group.start : group.stop], np.int64)
    if isinstance(group.feature, Numeric):
        names, rows, levels, single = _mean(spec, group, group.feature, before, mine, sums)
    else:
        names, rows, levels, single = _shares(group, before, mine)
    there = rows >= FEWEST_ROWS
    if there.sum() < FEWEST_DAYS or not names:
        return None
    blocks = spec.reference.blocks
    mean_rows = max(sum(blocks.rows) / len(blocks.rows), 1.0)
    spread = cautious(taught.level_sd, len(blocks.rows)) ** 2
    # A day as long as several blocks moves less; a day with fewer rows than its blocks have moves more.
    length = np.array([max(blocks_in(spec, 1, each), 1e-3) for each in rows[there].tolist()])
    seen = []
    for level, variance in zip(levels.T, single, strict=True):
        noise = np.maximum(1 / rows[there] - 1 / (length * mean_rows), 0.0) * variance
        offset = spread / len(blocks.rows) + common * variance
        sizes = [size * float(np.sqrt(variance)) for size in SIZES]
        seen.append(evidence(level[there], spread / length + noise, offset, sizes))
    e = np.mean([each.e for each in seen], axis=0)  # the mean of e-values is one, however they depend
    best = int(np.argmax([each.e[-1] for each in seen]))
    kept = np.array(days)[there]
    return Slow(
        name=group.name,
        level=names[best],
        shift=seen[best].shift,
        evidence=float(e[-1]),
        largest=float(e.max()),
        days=len(kept),
        since=int(kept[seen[best].start]),
    )


def _mean(
    spec: Spec, group: Group, feature: Numeric, before: Ints, mine: Ints, sums: Ints
) -> tuple[list[str], Floats, Floats, list[float]]:
    """Names, rows `[days]`, levels `[days, 1]` in the reference's standard deviations, and the variance of one row."""
    inner = slice(1, len(feature.edges))
    total = spec.reference.sums[group.sum_index]
    spread, rows = standard_deviation(feature, before, total), mine[:, inner].sum(axis=1).astype(np.float64)
    count = int(before[inner].sum())
    if not spread or not count:
        return [], rows, np.zeros((len(rows), 0)), []
    mean = sums[:, group.sum_index] / np.maximum(rows, 1)
    return ["mean"], rows, ((mean - total / count) * (feature.step / spread))[:, None], [1.0]


def _shares(group: Group, before: Ints, mine: Ints) -> tuple[list[str], Floats, Floats, list[float]]:
    """As `_mean`; levels `[days, categories]` are shares of all rows, as `reference.learned` has them."""
    share, rows = shares(before.astype(np.float64)), mine.sum(axis=1).astype(np.float64)
    names = [*getattr(group.feature, "categories", ()), "other known values"]
    kept = [place for place in range(len(names)) if _FREQUENT <= share[place] <= 1 - _FREQUENT]
    levels = mine / np.maximum(rows, 1)[:, None] - share
    return [names[place] for place in kept], rows, levels[:, kept], [float(share[at] * (1 - share[at])) for at in kept]
