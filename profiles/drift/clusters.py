"""Rows that come from devices hang together: devices differ, and a thousand rows of one say less than one row of a
thousand. Devices are put into shards by a hash, and the difference between shards is the measure of chance. numpy.

A test that takes rows as independent alarms in 20 to 26 % of windows in which nothing happened, where devices differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.drift.effects import Floats, parts, shares
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, MISSING, UNSEEN
from mlpack_edge.profiles.drift.indices import standard_deviation
from mlpack_edge.profiles.drift.significance import normal, student
from mlpack_edge.profiles.layout import Group
from mlpack_edge.profiles.profile import Profile
from mlpack_edge.profiles.spec import OUTCOMES, Learned, Numeric, Reference

Ints = NDArray[np.int64]

SHARDS = 32
#: Fewer devices cannot show how devices differ: with seven degrees of freedom an alarm needs eight standard errors.
FEWEST = 8
#: Categories of at least this share of either side are contrasts of their own.
_FREQUENT = 0.005


@dataclass(frozen=True, slots=True)
class Shards:
    """Counters and sums by shard, int `[shards, vector]` and `[shards, numeric features]`; devices: how many in all; each: in each shard,
    float64 `[shards]`, None for one."""

    counts: Ints
    sums: Ints
    devices: int
    each: Floats | None = None


@dataclass(frozen=True, slots=True)
class Growth:
    """times: as `Learned.between_devices`; degrees: of freedom that the reference's devices leave it. alike: `intraclass`; devices: in a
    shard, about."""

    times: float
    degrees: float
    alike: float
    devices: float

    def least(self, rows: Floats) -> float:
        """How many times the variance of a mean grows at least by the devices of shards of so many rows, float64 `[shards]`: a third of what
        the reference's lead one to expect. One device that has most rows may by chance lie where the others do."""
        together = float((rows**2).sum() / rows.sum()) / self.devices
        return max((1 + max(together - 1, 0.0) * self.alike) / 3, 1.0)


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
    each = devices_of(parts_of, names) if alone is None else None
    return Shards(np.array(counts), np.array(sums).reshape(len(sums), -1), len(names), each)


def devices_of(shards: Iterable[int], names: Iterable[bytes]) -> Floats:
    """How many of the devices are in each of the shards, float64 `[shards]`."""
    count = Counter(map(shard_of, names))
    return np.array([max(count[place], 1) for place in shards], np.float64)


def intraclass(learned: Learned | None, reference: Reference) -> float:
    """How alike rows of one device are (the intraclass correlation), from the growth of the reference's variance: growth =
    1 + (rows of a device - 1) correlation (Kish 1965). 0.0 where the reference does not tell devices apart."""
    if learned is None or reference.devices < 2 or reference.rows <= reference.devices:
        return 0.0
    rows = reference.rows / reference.devices
    return min(max((learned.between_devices - 1) / (rows - 1), 0.0), 1.0)


def few_have_most(found: Shards) -> bool:
    """Whether the rows say no more of how devices differ than half of FEWEST equal ones would."""
    return equal_units(_rows(found) ** 2 / (1.0 if found.each is None else found.each)) < FEWEST / 2


def together(found: Shards) -> float:
    """Rows of the device that a row comes from, on average over rows: as many as all have where they are equal, more where few devices
    have most. Of shards of several devices they are shared out evenly."""
    rows = _rows(found)
    return float((rows**2).sum() / max(rows.sum(), 1.0)) * len(rows) / max(found.devices, 1)


def _rows(found: Shards) -> Floats:
    """float64 `[shards]`: the outcomes come last, and each row has one."""
    return np.asarray(found.counts[:, -len(OUTCOMES) :].sum(axis=1), np.float64)


def growth_of(reference: Reference, learned: Learned | None, units: int, devices: float) -> Growth | float:
    """Of the reference's variance: by its own devices, or how many times the current one's it is. units: shards of the current devices;
    devices: how many they are, or fewer."""
    if learned is not None and reference.devices >= FEWEST:
        each = max(devices / max(units, 1), 1.0)
        return Growth(learned.between_devices, reference.devices - 1.0, intraclass(learned, reference), each)
    return max(devices / reference.devices, 1.0) if reference.devices else 1.0


def by_shards(
    group: Group, found: Shards, reference: Reference, learned: Learned | None, never: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """p-values by kind of drift: Student's t for ratios of shard sums, the shard as the unit; the smallest over the contrasts of a
    distribution, times their number (Bonferroni).

    Contrasts: of numbers the mean and the shares below the tenths of the reference, of categories the share of each. The
    reference's own variance counts, grown by `learned.between_devices`. Fewer than FEWEST devices do not say how devices differ: the
    variance is then the current one's, as often as the current devices are more. Of a reference that does not tell devices apart it
    is taken to be as large as the current one's: as if as many devices had made it. never: bool `[group.size]`, cells that count as
    unseen too (`calendar`).
    """
    feature = group.feature
    assert feature is not None
    before = np.array(reference.counts[group.start : group.stop], np.int64)
    one, other = parts(feature, before), parts(feature, found.counts[:, group.start : group.stop])
    if never is not None:
        beyond = found.counts[:, group.start : group.stop][:, never].sum(axis=1)
        other = replace(other, unseen=other.unseen + beyond)
    growth = growth_of(reference, learned, len(found.counts), found.devices)
    rows, each = other.rows, found.each if found.each is not None else np.ones(len(found.counts))
    p = {MISSING: _rates(other.missing[None], rows, one.missing[None], one.rows, growth, each)}
    if one.cells.shape[-1]:
        rose = float(other.unseen.sum()) * float(one.rows) > float(one.unseen) * float(rows.sum())
        p[UNSEEN] = _rates(other.unseen[None], rows, one.unseen[None], one.rows, growth, each) / 2 if rose else 1.0
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
            single = np.array([spread**2])
            sums = found.sums[None, :, group.sum_index].astype(np.float64)
            least = _ratios(sums, other.cells[:, inner].sum(axis=-1), mean, single / of_mean, growth, single, each)
            contrasts = 1
    else:
        now, known = other.cells, one.cells
        wide = np.maximum(shares(one.cells), shares(other.cells.sum(axis=0))) >= _FREQUENT
        which = np.flatnonzero(wide).tolist()
    if which:
        of_cells = other.cells.sum(axis=-1)
        least = min(least, _rates(now[:, which].T, of_cells, known[which], one.cells.sum(), growth, each))
        contrasts += len(which)
    if contrasts:
        p[DISTRIBUTION] = min(1.0, least * contrasts)
    return p


def _rates(
    now: Floats, rows: Floats, before: Floats, before_rows: Floats, growth: Growth | float, each: Floats
) -> float:
    """The smallest p. now: float64 `[rates, shards]`, rows `[shards]`; before `[rates]` and before_rows: of the reference."""
    if not before_rows or not rows.sum():
        return 1.0
    pooled = (before + now.sum(axis=-1)) / (before_rows + rows.sum())
    single = pooled * (1 - pooled)
    return _ratios(now, rows, before / before_rows, single / before_rows, growth, single, each)


def _ratios(
    now: Floats, rows: Floats, before: Floats, variance: Floats, growth: Growth | float, single: Floats, each: Floats
) -> float:
    """The smallest p of the ratios of sums `now` / `rows` against `before`, each `[ratios]`. variance: of `before` as if rows were
    independent; single: of one row; growth: of `variance`, or how many times the current one's it is. Of few events the shards may look more alike than rows can be, so rows set the least.

    The variance is the jackknife's over shards (Cochran, Sampling Techniques, 1977, 6.17), which holds where shards are of unequal size: a shard
    that has most rows lies near the ratio because it makes it. Its degrees of freedom are those of so many equal shards
    (Satterthwaite 1946, the variance of a device's mean taken as alike; Carter, Schnepel and Steigerwald 2017). each: devices in
    each shard.
    """
    there = rows > 0
    now, rows, each = now[:, there], rows[there], each[there]
    units, total = len(rows), float(rows.sum())
    if units < 2:
        return 1.0
    ratio = now.sum(axis=-1) / total
    residual = now - ratio[:, None] * rows
    between = (units - 1) / units * ((residual / (total - rows)) ** 2).sum(axis=-1)
    # Shards that agree to the row (all missing, all new) are as many witnesses, however unequal.
    degrees = np.where(between > 0, equal_units(rows**2 / each) * (units - 1) / units, units - 1.0)
    between = np.maximum(between, single / total * (growth.least(rows) if isinstance(growth, Growth) else 1.0))
    before_variance = growth.times * variance if isinstance(growth, Growth) else growth * between
    whole = between + before_variance
    said = whole > 0
    t = np.abs(ratio - before)[said] / np.sqrt(whole[said])
    if isinstance(growth, Growth):
        both = between[said] ** 2 / degrees[said] + before_variance[said] ** 2 / growth.degrees
        degrees = whole[said] ** 2 / both
    else:
        degrees = degrees[said]
    least = 1.0
    for place in np.argsort(-t).tolist():
        if normal(float(t[place])) < least:  # else Student's p, which is larger, is no smaller either
            least = min(least, student(float(t[place]), float(degrees[place])))
    return least


def equal_units(weights: Floats) -> float:
    """How many units of equal weight say as much, weights float64 `[units]` (Kish 1965): 1 where one has nearly all."""
    return float(weights.sum() ** 2 / (weights**2).sum()) if weights.any() else 0.0


def tenths(reference: Floats) -> list[int]:
    """The cells up to which the reference holds about 1, 2, ... 9 tenths of its rows; without those that hold all or none."""
    cumulative = np.cumsum(shares(reference))
    found = {int(np.argmin(np.abs(cumulative - tenth / 10))) for tenth in range(1, 10)}
    return sorted(cut for cut in found if 0 < cumulative[cut] < 1)
