"""Reports of a store that carry the noise of differential privacy, added up by day and by the devices that tell each feature. numpy, pyarrow.

They are no part of `reading.days`: each is of one feature, and its other counters are zeros that nobody counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.fleet.reading import Light, Selection, chosen_days, lights_of_day, row_groups, spans_of
from mlpack_edge.fleet.store import KnownSpec, Store
from mlpack_edge.profiles.drift.clusters import SHARDS, devices_of, shard_of
from mlpack_edge.profiles.drift.noisy import Told
from mlpack_edge.profiles.layout import Group, groups
from mlpack_edge.profiles.noise import variance

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Noisy:
    """The selected reports with noise: how many of each epsilon (in millionths) that name their device, and how many name none. The
    latter were merged, and are never judged: by rows alone, devices that differ look like drift."""

    reports: Mapping[int, int]
    nameless: int

    @property
    def total(self) -> int:
        return sum(self.reports.values()) + self.nameless


@dataclass(frozen=True, slots=True)
class Feature:
    """What reports tell of one feature. names: of the devices that do. units: counters int64 `[size]` and reports by device, where
    there are at most SHARDS of them, else by the byte of a shard."""

    names: frozenset[bytes]
    units: Mapping[bytes, tuple[Ints, int]]


@dataclass(frozen=True, slots=True)
class NoisyDay:
    """Reports of the days `first` to `last` (since 1970). strays: those with a clock that cannot be right. features: in the order of the
    spec."""

    first: int
    last: int
    reports: int
    strays: int
    devices: frozenset[bytes]
    features: tuple[Feature, ...]


def noisy(store: Store, known: KnownSpec, selection: Selection) -> Noisy:
    """Raises as `reading.days`."""
    found: dict[int, int] = {}
    nameless = 0
    for day in chosen_days(store, known, selection):
        for light in lights_of_day(store, known, selection, day):
            there = light.within(selection, day) & (light.epsilon > 0)
            named = there & light.named
            nameless += int(there.sum() - named.sum())
            for epsilon, count in zip(*np.unique(light.epsilon[named], return_counts=True), strict=True):
                found[int(epsilon)] = found.get(int(epsilon), 0) + int(count)
    return Noisy(found, nameless)


def noisy_days(store: Store, known: KnownSpec, selection: Selection, epsilon: int) -> Iterator[NoisyDay]:
    """Of the reports that name their device and carry this epsilon (in millionths), in the order of the first day. Raises as
    `reading.days`."""
    parts = [group for group in groups(known.spec) if group.feature is not None]
    width = groups(known.spec)[-1].stop
    for day in chosen_days(store, known, selection):
        lights = lights_of_day(store, known, selection, day)
        chosen = [light.within(selection, day) & (light.epsilon == epsilon) & light.named for light in lights]
        for span, mine in spans_of(lights, chosen):
            yield _added(parts, width, len(groups(known.spec)), day, span, lights, mine)


def told(group: Group, place: int, days: Sequence[NoisyDay], epsilon: int) -> Told:
    """As `profiles.drift.noisy.told`, of days that were added up."""
    mine = [day.features[place] for day in days]
    names = frozenset[bytes]().union(*(one.names for one in mine))
    alone = len(names) <= SHARDS
    units: dict[bytes, tuple[Ints, int]] = {}
    for one in mine:
        for unit, (counts, reports) in one.units.items():
            _add(units, unit if alone else _shard(unit), counts, reports)
    ordered = [units[unit] for unit in sorted(units)]
    return Told(
        np.array([counts for counts, _ in ordered], np.float64).reshape(len(ordered), group.size),
        np.array([reports for _, reports in ordered], np.float64),
        variance(epsilon),
        None if alone else devices_of((unit[0] for unit in sorted(units)), names),
    )


def _added(
    parts: Sequence[Group], width: int, all_groups: int, day: int, span: int, lights: Sequence[Light], mine: Sequence[Mask]
) -> NoisyDay:  # fmt: skip
    names = [_names(light, chosen, all_groups, len(parts)) for light, chosen in zip(lights, mine, strict=True)]
    by_feature = [frozenset[bytes]().union(*(each[place] for each in names)) for place in range(len(parts))]
    units: list[dict[bytes, tuple[Ints, int]]] = [{} for _ in parts]
    for light, chosen in zip(lights, mine, strict=True):
        for rows, columns in row_groups(light.path, chosen, {"counts": width, "carried": all_groups}):
            for place, group in enumerate(parts):
                tell = chosen[rows] & (columns["carried"][:, place] > 0)
                if tell.any():
                    alone = len(by_feature[place]) <= SHARDS
                    devices = light.device[rows]
                    keys = [device if alone else _shard(device) for device in _of(devices, tell)]
                    cells = columns["counts"][tell, group.start : group.stop]
                    _gather(units[place], keys, cells, columns["carried"][tell, place])
    return NoisyDay(
        first=day,
        last=day + span,
        reports=sum(int(chosen.sum()) for chosen in mine),
        strays=sum(int(chosen.sum()) for light, chosen in zip(lights, mine, strict=True) if light.stray),
        devices=frozenset(name for light, chosen in zip(lights, mine, strict=True) for name in _of(light.device, chosen)),
        features=tuple(Feature(name, each) for name, each in zip(by_feature, units, strict=True)),
    )  # fmt: skip


def _names(light: Light, chosen: Mask, all_groups: int, features: int) -> list[frozenset[bytes]]:
    """Of the devices that tell each feature."""
    found: list[set[bytes]] = [set() for _ in range(features)]
    for rows, columns in row_groups(light.path, chosen, {"carried": all_groups}):
        for place in range(features):
            found[place].update(_of(light.device[rows], chosen[rows] & (columns["carried"][:, place] > 0)))
    return [frozenset(names) for names in found]


def _gather(units: dict[bytes, tuple[Ints, int]], keys: Sequence[bytes], cells: Ints, carried: Ints) -> None:
    rows: dict[bytes, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    for key, mine in rows.items():
        _add(units, key, cells[mine].sum(axis=0), int(carried[mine].sum()))


def _add(units: dict[bytes, tuple[Ints, int]], key: bytes, counts: Ints, reports: int) -> None:
    before, told_before = units.get(key, (np.zeros_like(counts), 0))
    units[key] = before + counts, told_before + reports


def _shard(unit: bytes) -> bytes:
    """Of a device; of a shard it is its own."""
    return unit if len(unit) == 1 else bytes([shard_of(unit)])


def _of(devices: Sequence[bytes | None], chosen: Mask) -> Iterable[bytes]:
    return (device for row in np.flatnonzero(chosen).tolist() if (device := devices[row]) is not None)
