"""Drift of what a store holds: windows of its days judged against the reference of their spec. numpy.

The same judgement as `profiles.drift.detect.drift`, from counters that were added up by day and by shard of devices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.fleet.noise import NoisyDay, told
from mlpack_edge.fleet.reading import DAY, Day
from mlpack_edge.fleet.shown import USUAL, Least, numbers_beyond, withhold, withhold_slow, withhold_told
from mlpack_edge.fleet.store import KnownSpec
from mlpack_edge.profiles.drift.beyond import Beyond
from mlpack_edge.profiles.drift.clusters import SHARDS, Shards, devices_of, shard_of
from mlpack_edge.profiles.drift.detect import Sample, accuracy_of, features_of_all, gap_note, noisy_window_of, unit_of
from mlpack_edge.profiles.drift.facts import DriftReport, Slow, Window, notes
from mlpack_edge.profiles.drift.series import slow_drift_of_days
from mlpack_edge.profiles.drift.windows import LENGTHS, Stretch, held_days, stretches
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import MANY, Profile
from mlpack_edge.profiles.profile import Window as Stated

Ints = NDArray[np.int64]
D = TypeVar("D", Day, NoisyDay)

#: Windows that are judged at once: nearly as quick as one, and 1 MB each.
TOGETHER = 64


def watch(known: KnownSpec, days: Iterable[Day], lengths: Sequence[int] = LENGTHS, least: Least = USUAL) -> DriftReport:
    """days: of one spec, in any order (`reading.days`). lengths: of the windows. least: below which a cell is not shown.

    Raises BadInput for no report, and a length below 1.
    """
    given = list(days)
    if not given:
        raise BadInput(
            "the store holds no report that was asked for", "mlpack fleet status --store STORE shows what is there"
        )
    found = _cut(known, given, lengths)
    windows: list[Window] = []
    numbers = numbers_beyond(known.spec)
    for at in range(0, len(found), TOGETHER):
        windows += _windows(known, numbers, found[at : at + TOGETHER], least)
    latest = sum((day.counts.sum(axis=0, dtype=np.int64) for day in found[-1][1]), np.int64(0))
    slow, withheld = _slow(known, given, least)
    if withheld:
        windows[-1] = replace(windows[-1], note=notes(windows[-1].note, withheld))
    accuracy = accuracy_of(known.spec, np.asarray(latest))
    if accuracy is not None and accuracy.rows < least.rows:  # of one row it tells its confidence
        accuracy = None
    return DriftReport(known.spec.reference.blocks, tuple(windows), slow, accuracy)


def watch_noisy(
    known: KnownSpec, days: Iterable[NoisyDay], epsilon: int, lengths: Sequence[int] = LENGTHS, least: Least = USUAL
) -> DriftReport:
    """As `watch`, of reports with noise (`noise.noisy_days`). epsilon: theirs, in millionths. Windows alone: noise leaves no slow drift and no
    estimate of the accuracy. A feature that fewer units than `least.devices` tell has no figures."""
    given = list(days)
    if not given:
        raise BadInput(
            f"the store holds no report with noise of epsilon {epsilon / 1e6:g} that was asked for",
            "mlpack fleet status --store STORE shows what is there",
        )
    parts = [group for group in groups(known.spec) if group.feature is not None]
    windows = []
    for stretch, mine in _cut(known, given, lengths):
        tell = [told(group, place, mine, epsilon) for place, group in enumerate(parts)]
        devices = len(frozenset[bytes]().union(*(day.devices for day in mine)))
        reports = sum(day.reports for day in mine)
        held = held_days((day.first, day.last, day.reports) for day in mine)
        window = noisy_window_of(known.spec, stretch, tell, reports, devices, epsilon, held)
        features, withheld = withhold_told(window.features, [len(one.reports) for one in tell], least)
        windows.append(replace(window, features=features, note=notes(window.note, withheld)))
    return DriftReport(known.spec.reference.blocks, tuple(windows), (), None)


def latest_cells(report: DriftReport, days: Iterable[Day]) -> dict[int | None, tuple[Ints, Ints | None]]:
    """By length of the latest windows of `report`, which `watch` made of `days`: rows in every cell, int64 `[vector]`, and of how many
    devices they are at least, int64 `[vector]`, None where no devices are told apart.

    Of up to SHARDS devices it is known how many are in a cell, of more only how many shards of them: as many devices, or more.
    """
    given, found = list(days), dict[int | None, tuple[Ints, Ints | None]]()
    for window in report.latest:
        mine = [day for day in given if window.first <= day.first and day.last <= window.last]
        counts = np.sum([day.counts.sum(axis=0, dtype=np.int64) for day in mine], axis=0)
        names = frozenset[bytes]().union(*(day.devices for day in mine))
        devices = (_sharded(mine, names).counts > 0).sum(axis=0, dtype=np.int64) if names else None
        found[window.days] = counts, devices
    return found


def _cut(known: KnownSpec, days: Sequence[D], lengths: Sequence[int]) -> list[tuple[Stretch, list[D]]]:
    """The windows with their days, cut by the one rule there is: of profiles of the same days and no counters."""
    of: dict[int, D] = {}
    stand_ins = []
    for day in days:
        window = Stated(0, day.first * DAY, (day.last + 1) * DAY)
        stand_ins.append(Profile(known.digest, b"", MANY, "", window, 0, 0, 0, (), ()))
        of[id(stand_ins[-1])] = day
    return [(stretch, [of[id(part)] for part in stretch.profiles]) for stretch in stretches(stand_ins, lengths)]


def _windows(
    known: KnownSpec, numbers: Mapping[str, Beyond], found: Sequence[tuple[Stretch, list[Day]]], least: Least
) -> list[Window]:
    """As `profiles.drift.detect.windows_of`, and without what may not be shown."""
    samples, said, units = [], [], []
    for stretch, days in found:
        counts = np.sum([day.counts.sum(axis=0, dtype=np.int64) for day in days], axis=0)
        sums = np.sum([day.sums.sum(axis=0) for day in days], axis=0)
        names = frozenset[bytes]().union(*(day.devices for day in days))
        every = _sharded(days, names) if names else None
        sharded = None if any(day.nameless for day in days) else every
        unit, note = unit_of(known.spec, sharded, len(names))
        last, held = stretch.last, held_days((day.first, day.last, day.rows) for day in days)
        samples.append(Sample(counts, sums, stretch.days, sum(day.rows for day in days), sharded, unit, last, held))
        said.append(notes(note, gap_note(known.spec, samples[-1])))
        units.append(every)
    made = []
    for (stretch, days), one, note, every, judged in zip(
        found, samples, said, units, features_of_all(known.spec, samples), strict=True
    ):
        cells = every.counts if every else None
        features, withheld = withhold(known.spec, numbers, judged, one.counts, cells, least, stretch.last)
        made.append(
            Window(
                days=stretch.days,
                first=stretch.first,
                last=stretch.last,
                rows=one.rows,
                predictions=sum(day.predictions for day in days),
                devices=every.devices if every else None,
                unit=one.unit,
                note=notes(note, withheld),
                features=features,
            )
        )
    return made


def _sharded(days: Sequence[Day], names: frozenset[bytes]) -> Shards:
    """By device where there are few, as `clusters.shards`; else by shard. What is of no device is left out."""
    alone = len(names) <= SHARDS
    counts: dict[bytes, Ints] = {}
    sums: dict[bytes, Ints] = {}
    for day in days:
        for place, unit in enumerate(day.units):
            if unit:
                key = unit if alone or len(unit) == 1 else bytes([shard_of(unit)])
                if key not in counts:
                    counts[key], sums[key] = (
                        np.zeros(day.counts.shape[1], np.int64),
                        np.zeros(day.sums.shape[1], np.int64),
                    )
                counts[key] += day.counts[place]
                sums[key] += day.sums[place]
    order = sorted(counts)
    return Shards(
        np.array([counts[key] for key in order]), np.array([sums[key] for key in order]).reshape(len(order), -1), len(names),
        None if alone else devices_of((key[0] for key in order), names),
    )  # fmt: skip


def _slow(known: KnownSpec, days: Sequence[Day], least: Least) -> tuple[tuple[Slow, ...], str]:
    """What may be shown, and a note of what may not."""
    single = sorted((day for day in days if day.first == day.last), key=lambda day: day.first)
    if not single:
        return (), ""
    names = frozenset[bytes]().union(*(day.devices for day in single))
    counts = np.array([day.counts.sum(axis=0, dtype=np.int64) for day in single])
    sums = np.array([day.sums.sum(axis=0) for day in single])
    found = slow_drift_of_days(known.spec, [day.first for day in single], counts, sums, len(names))
    units = _sharded(single, names).counts if names and found else None
    return withhold_slow(known.spec, found, counts.sum(axis=0), units, least)
