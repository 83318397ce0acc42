"""Rows that come from devices hang together: devices differ, and a thousand rows of one say less than one row of a
thousand. Devices are put into shards by a hash, and the difference between shards is the measure of chance. numpy.

A test that takes rows as independent alarms in 20 to 26 % of windows in which nothing happened, where devices differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.drift.effects import Floats, parts, shares
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, MISSING, UNSEEN
from mlpack_edge.profiles.drift.indices import standard_deviation
from mlpack_edge.profiles.drift.significance import student
from mlpack_edge.profiles.layout import Group
from mlpack_edge.profiles.profile import Profile
from mlpack_edge.profiles.spec import Learned, Numeric, Reference

Ints = NDArray[np.int64]

SHARDS = 32
#: Fewer devices cannot show how devices differ: with seven degrees of freedom an alarm needs eight standard errors.
FEWEST = 8
#: Categories of at least this share of either side are contrasts of their own.
_FREQUENT = 0.005


@dataclass(frozen=True, slots=True)
class Shards:
    """Counters and sums by shard, int `[shards, vector]` and `[shards, numeric features]`; devices: how many in all."""

    counts: Ints
    sums: Ints
    devices: int


def shard_of(device: bytes) -> int:
    """0 to SHARDS - 1, the same everywhere: what a store has summed by shard can be tested without its devices."""
    return sha256(device).digest()[0] % SHARDS


def shards(profiles: Sequence[Profile]) -> Shards:
    """Of profiles that all name their device. Up to SHARDS devices are a shard each. Shards without a device are left out."""
    names = {profile.device for profile in profiles}
    alone = {device: place for place, device in enumerate(sorted(names))} if len(names) <= SHARDS else None
    parts_of: dict[int, list[Profile]] = {}
    for profile in profiles:
        place = alone[profile.device] if alone is not None else shard_of(profile.device)
        parts_of.setdefault(place, []).append(profile)
    counts = [np.sum([part.counts for part in mine], axis=0, dtype=np.int64) for mine in parts_of.values()]
    sums = [np.sum([part.sums for part in mine], axis=0, dtype=np.int64) for mine in parts_of.values()]
    return Shards(np.array(counts), np.array(sums).reshape(len(sums), -1), len(names))


def intraclass(learned: Learned | None, reference: Reference) -> float:
    """How alike rows of one device are (the intraclass correlation), from the growth of the reference's variance: growth =
    1 + (rows of a device - 1) correlation (Kish 1965). 0.0 where the reference does not tell devices apart."""
    if learned is None or reference.devices < 2 or reference.rows <= reference.devices:
        return 0.0
    rows = reference.rows / reference.devices
    return min(max((learned.between_devices - 1) / (rows - 1), 0.0), 1.0)


def by_shards(group: Group, found: Shards, reference: Reference, learned: Learned | None) -> dict[str, float]:
    """p-values by kind of drift: Student's t for ratios of shard sums (Cochran, Sampling Techniques, 1977, 6.4 and 9A), the shard as
    the unit; the smallest over the contrasts of a distribution, times their number (Bonferroni).

    Contrasts: of numbers the mean and the shares below the tenths of the reference, of categories the share of each. The
    reference's own variance counts, grown by `learned.between_devices`; of a reference that does not tell devices apart it
    is taken to be as large as the current one's: as if as many devices had made it.
    """
    feature = group.feature
    assert feature is not None
    before = np.array(reference.counts[group.start : group.stop], np.int64)
    one, other = parts(feature, before), parts(feature, found.counts[:, group.start : group.stop])
    growth = learned.between_devices if learned is not None and reference.devices > 1 else None
    p = {MISSING: _rate(other.missing, other.rows, one.missing, one.rows, growth)}
    if one.cells.shape[-1]:
        rose = float(other.unseen.sum()) * float(one.rows) > float(one.unseen) * float(other.rows.sum())
        p[UNSEEN] = _rate(other.unseen, other.rows, one.unseen, one.rows, growth) / 2 if rose else 1.0
    if not one.cells.sum() or not other.cells.sum():
        return p
    if isinstance(feature, Numeric):
        levels, known = np.cumsum(other.cells, axis=-1), np.cumsum(one.cells)
        each = [
            _rate(levels[:, cut], other.cells.sum(axis=-1), known[cut], one.cells.sum(), growth)
            for cut in tenths(one.cells)
        ]
        inner = slice(1, len(feature.edges))
        spread = standard_deviation(feature, one.cells) / feature.step
        rows = float(one.cells[inner].sum())
        if rows and spread:
            mean = reference.sums[group.sum_index] / rows
            variance = spread**2 / rows * growth if growth is not None else None
            now = found.sums[:, group.sum_index].astype(np.float64)
            each.append(_ratio(now, other.cells[:, inner].sum(axis=-1), mean, variance, spread**2))
    else:
        wide = np.maximum(shares(one.cells), shares(other.cells.sum(axis=0))) >= _FREQUENT
        each = [
            _rate(other.cells[:, cell], other.cells.sum(axis=-1), one.cells[cell], one.cells.sum(), growth)
            for cell in np.flatnonzero(wide)
        ]
    if each:
        p[DISTRIBUTION] = min(1.0, min(each) * len(each))
    return p


def _rate(now: Floats, rows: Floats, before: Floats, before_rows: Floats, growth: float | None) -> float:
    """now, rows: float64 `[shards]`; before, before_rows: of the reference."""
    if not before_rows or not rows.sum():
        return 1.0
    rate = float(before / before_rows)
    pooled = float((before + now.sum()) / (before_rows + rows.sum()))
    single = pooled * (1 - pooled)
    return _ratio(now, rows, rate, growth * single / float(before_rows) if growth is not None else None, single)


def _ratio(now: Floats, rows: Floats, before: float, variance: float | None, single: float) -> float:
    """p of the ratio of sums `now` / `rows` against `before` with its variance. single: the variance of one row; of few events
    the shards may look more alike than rows can be, so it is the least."""
    there = rows > 0
    now, rows = now[there], rows[there]
    units, total = len(rows), float(rows.sum())
    if units < 2:
        return 1.0
    ratio = float(now.sum() / total)
    between = units / (units - 1) * float(((now - ratio * rows) ** 2).sum()) / total**2
    between = max(between, single / total)
    whole = between + (between if variance is None else variance)
    if not whole:
        return 1.0
    degrees = (units - 1) * (whole / between) ** 2 if variance is not None else units - 1
    return student((ratio - before) / math.sqrt(whole), degrees)


def tenths(reference: Floats) -> list[int]:
    """The cells up to which the reference holds about 1, 2, ... 9 tenths of its rows; without those that hold all or none."""
    cumulative = np.cumsum(shares(reference))
    found = {int(np.argmin(np.abs(cumulative - tenth / 10))) for tenth in range(1, 10)}
    return sorted(cut for cut in found if 0 < cumulative[cut] < 1)
