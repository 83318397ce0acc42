"""Drift of what a store holds: windows of its days judged against the reference of their spec. numpy.

The same judgement as `profiles.drift.detect.drift`, from counters that were added up by day and by shard of devices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.fleet.reading import DAY, Day
from mlpack_edge.fleet.shown import USUAL, Least, withhold
from mlpack_edge.fleet.store import KnownSpec
from mlpack_edge.profiles.drift.clusters import SHARDS, Shards, shard_of
from mlpack_edge.profiles.drift.detect import accuracy_of, features_of, unit_of
from mlpack_edge.profiles.drift.facts import DriftReport, Slow, Window
from mlpack_edge.profiles.drift.series import slow_drift_of_days
from mlpack_edge.profiles.drift.windows import LENGTHS, stretches
from mlpack_edge.profiles.profile import MANY, Profile
from mlpack_edge.profiles.profile import Window as Stated

Ints = NDArray[np.int64]


def watch(known: KnownSpec, days: Iterable[Day], lengths: Sequence[int] = LENGTHS, least: Least = USUAL) -> DriftReport:
    """days: of one spec, in any order (`reading.days`). lengths: of the windows. least: below which a cell is not shown.

    Raises BadInput for no report, and a length below 1.
    """
    given = list(days)
    if not given:
        raise BadInput(
            "the store holds no report that was asked for", "mlpack fleet status --store STORE shows what is there"
        )
    stand_ins = [(_stand_in(known, day), day) for day in given]
    of = {id(profile): day for profile, day in stand_ins}
    found = stretches((profile for profile, _ in stand_ins), lengths)
    windows = []
    for stretch in found:
        mine = [of[id(profile)] for profile in stretch.profiles]
        windows.append(_window(known, mine, stretch.days, stretch.first, stretch.last, least))
    latest = sum((of[id(profile)].counts.sum(axis=0, dtype=np.int64) for profile in found[-1].profiles), np.int64(0))
    return DriftReport(
        known.spec.reference.blocks, tuple(windows), _slow(known, given), accuracy_of(known.spec, np.asarray(latest))
    )


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


def _stand_in(known: KnownSpec, day: Day) -> Profile:
    """A profile of the same days and no counters: windows are cut by one rule."""
    window = Stated(0, day.first * DAY, (day.last + 1) * DAY)
    return Profile(known.digest, b"", MANY, "", window, day.rows, day.predictions, 0, (), ())


def _window(known: KnownSpec, days: Sequence[Day], length: int | None, first: int, last: int, least: Least) -> Window:
    counts = np.sum([day.counts.sum(axis=0, dtype=np.int64) for day in days], axis=0)
    sums = np.sum([day.sums.sum(axis=0) for day in days], axis=0)
    rows = sum(day.rows for day in days)
    names = frozenset[bytes]().union(*(day.devices for day in days))
    sharded = _sharded(days, names) if names and not any(day.nameless for day in days) else None
    unit, note = unit_of(known.spec, sharded, len(names))
    features = features_of(known.spec, counts, sums, length, rows, sharded, unit)
    units = _sharded(days, names).counts if names else None
    features, withheld = withhold(known.spec, features, counts, units, least)
    if withheld:
        note = "; ".join(filter(None, [note, withheld]))
    devices = len(names) if names else None
    predictions = sum(day.predictions for day in days)
    return Window(length, first, last, rows, predictions, devices, unit, note, features)


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
        np.array([counts[key] for key in order]), np.array([sums[key] for key in order]).reshape(len(order), -1), len(names)
    )  # fmt: skip


def _slow(known: KnownSpec, days: Sequence[Day]) -> tuple[Slow, ...]:
    single = sorted((day for day in days if day.first == day.last), key=lambda day: day.first)
    if not single:
        return ()
    names = frozenset[bytes]().union(*(day.devices for day in single))
    counts = np.array([day.counts.sum(axis=0, dtype=np.int64) for day in single])
    sums = np.array([day.sums.sum(axis=0) for day in single])
    return slow_drift_of_days(known.spec, [day.first for day in single], counts, sums, len(names))
