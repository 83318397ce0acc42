"""Rows that come from devices hang together: devices differ, and a thousand rows of one say less than one row of a
thousand. Devices are put into shards by a hash, and the difference between shards is the measure of chance. numpy.

A test that takes rows as independent alarms in 20 to 26 % of windows in which nothing happened, where devices differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.drift.effects import Floats, parts, shares
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, MISSING, UNSEEN
from mlpack_edge.profiles.drift.indices import standard_deviation
from mlpack_edge.profiles.drift.significance import normal, student
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
    rows = other.rows
    p = {MISSING: _rates(other.missing[None], rows, one.missing[None], one.rows, growth)}
    if one.cells.shape[-1]:
        rose = float(other.unseen.sum()) * float(one.rows) > float(one.unseen) * float(rows.sum())
        p[UNSEEN] = _rates(other.unseen[None], rows, one.unseen[None], one.rows, growth) / 2 if rose else 1.0
    if not one.cells.sum() or not other.cells.sum():
        return p
    least, contrasts = 1.0, 0
    if isinstance(feature, Numeric):
        now, known, which = np.cumsum(other.cells, axis=-1), np.cumsum(one.cells), tenths(one.cells)
        inner = slice(1, len(feature.edges))
        spread = standard_deviation(feature, one.cells) / feature.step
        of_mean = float(one.cells[inner].sum())
        if of_mean and spread:
            mean = np.array([reference.sums[group.sum_index] / of_mean])
            variance = np.array([spread**2 / of_mean * growth]) if growth is not None else None
            sums = found.sums[None, :, group.sum_index].astype(np.float64)
            least = _ratios(sums, other.cells[:, inner].sum(axis=-1), mean, variance, np.array([spread**2]))
            contrasts = 1
    else:
        now, known = other.cells, one.cells
        wide = np.maximum(shares(one.cells), shares(other.cells.sum(axis=0))) >= _FREQUENT
        which = np.flatnonzero(wide).tolist()
    if which:
        of_cells = other.cells.sum(axis=-1)
        least = min(least, _rates(now[:, which].T, of_cells, known[which], one.cells.sum(), growth))
        contrasts += len(which)
    if contrasts:
        p[DISTRIBUTION] = min(1.0, least * contrasts)
    return p


def _rates(now: Floats, rows: Floats, before: Floats, before_rows: Floats, growth: float | None) -> float:
    """The smallest p. now: float64 `[rates, shards]`, rows `[shards]`; before `[rates]` and before_rows: of the reference."""
    if not before_rows or not rows.sum():
        return 1.0
    pooled = (before + now.sum(axis=-1)) / (before_rows + rows.sum())
    single = pooled * (1 - pooled)
    return _ratios(
        now, rows, before / before_rows, growth * single / before_rows if growth is not None else None, single
    )


def _ratios(now: Floats, rows: Floats, before: Floats, variance: Floats | None, single: Floats) -> float:
    """The smallest p of the ratios of sums `now` / `rows` against `before` with their variance, each `[ratios]`. single: the variance of
    one row; of few events the shards may look more alike than rows can be, so it is the least."""
    there = rows > 0
    now, rows = now[:, there], rows[there]
    units, total = len(rows), float(rows.sum())
    if units < 2:
        return 1.0
    ratio = now.sum(axis=-1) / total
    between = units / (units - 1) * ((now - ratio[:, None] * rows) ** 2).sum(axis=-1) / total**2
    between = np.maximum(between, single / total)
    whole = between + (between if variance is None else variance)
    said = whole > 0
    t = np.abs(ratio - before)[said] / np.sqrt(whole[said])
    degrees = np.full(len(t), units - 1.0)
    if variance is not None:
        degrees *= (whole[said] / between[said]) ** 2
    least = 1.0
    for place in np.argsort(-t).tolist():
        if normal(float(t[place])) < least:  # else Student's p, which is larger, is no smaller either
            least = min(least, student(float(t[place]), float(degrees[place])))
    return least


def tenths(reference: Floats) -> list[int]:
    """The cells up to which the reference holds about 1, 2, ... 9 tenths of its rows; without those that hold all or none."""
    cumulative = np.cumsum(shares(reference))
    found = {int(np.argmin(np.abs(cumulative - tenth / 10))) for tenth in range(1, 10)}
    return sorted(cut for cut in found if 0 < cumulative[cut] < 1)
