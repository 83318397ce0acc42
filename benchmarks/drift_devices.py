"""Windows of rows from devices that differ by themselves: what alarms although nothing happened, and what is still seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from drift_data import Array, Table, columns, profile_of, rows_in_blocks, spec_of

from mlpack_edge.profiles.arrays.counting import ColumnTally
from mlpack_edge.profiles.drift.clusters import SHARDS, Shards, devices_of, shard_of, shards
from mlpack_edge.profiles.drift.detect import Sample, features_of_all
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import merge
from mlpack_edge.profiles.spec import Spec

Json = dict[str, Any]
#: How far devices lie apart, in standard deviations of a row, and the rows that each sends.
APART, ROWS = 0.6, 20
NUMBERS = 4


def population(rng: np.random.Generator, devices: int, rows: int = ROWS, shift: float = 0.0) -> tuple[Table, Array]:
    """Four numbers (one skewed) and two categories whose frequencies depend on the device; and the device of each row. The
    first number and the first category are shifted."""
    of = np.repeat(np.arange(devices), rows)
    levels = rng.normal(size=(NUMBERS + 2, devices))[:, of] * APART
    noise = rng.normal(size=(NUMBERS + 2, len(of)))
    table: Table = {f"x{at}": levels[at] + noise[at] for at in range(NUMBERS)}
    table["x0"] = table["x0"] + shift * np.sqrt(1 + APART**2)
    table["x3"] = np.exp(table["x3"])
    for at, cuts in enumerate(((-1.2, 0, 0.8), (-2, -1, 0, 0.5, 1, 1.5, 2.5))):
        place = np.searchsorted(cuts, levels[NUMBERS + at] + noise[NUMBERS + at] + (shift if at == 0 else 0))
        table[f"k{at}"] = np.array(list("abcdefgh"), object)[place]
    return table, of


def sharded(spec: Spec, table: Table, of: Array, names: list[bytes]) -> Shards:
    """What `shards` makes of one profile a device, without making them one by one."""
    place = np.array([shard_of(name) for name in names])[of] if len(names) > SHARDS else of
    made = []
    for number in np.unique(place).tolist():
        tally = ColumnTally(spec)
        mine = place == number
        tally.add(columns({name: values[mine] for name, values in table.items()}), rows=int(mine.sum()))
        made.append((tally.counts, tally.sums))
    each = devices_of(np.unique(place).tolist(), names) if len(names) > SHARDS else None
    return Shards(np.array([counts for counts, _ in made]), np.array([sums for _, sums in made]), len(names), each)


def devices(rng: np.random.Generator, windows: int) -> Json:
    """By number of devices: the share of null windows in which any feature alarms, by shards and, for comparison, by rows; and the
    share of windows with a shift of .2 sd in which the shifted number alarms. Devices are drawn anew for each window."""
    table, of = population(rng, 1000)
    order = rng.permutation(len(of))
    mixed = {name: values[order] for name, values in table.items()}
    found: Json = {}
    for known in (True, False):
        spec = spec_of(mixed, rows_in_blocks(len(of), 200), devices=of[order] if known else None)
        for count in (100, 1000):
            hits = {"shards": 0, "rows": 0, "power": 0}
            for _ in range(windows):
                seen = _alarms(rng, spec, count, 0.0)
                hits["shards"] += bool(seen["shards"])
                hits["rows"] += bool(seen["rows"])
                hits["power"] += "x0" in _alarms(rng, spec, count, 0.2)["shards"]
            said = "reference tells devices apart" if known else "reference does not"
            found[f"{count} devices, {said}"] = {name: round(hit / windows, 4) for name, hit in hits.items()}
    return found


def merging(rng: np.random.Generator, count: int = 300) -> Json:
    """Profiles of so many devices, merged in any order, against one profile of all their rows, to the bit."""
    table, of = population(rng, count)
    spec = spec_of(table, rows_in_blocks(len(of), 100))
    each = []
    for device in range(count):
        mine = of == device
        each.append(profile_of(spec, {name: values[mine] for name, values in table.items()}, rng.bytes(16)))
    whole = profile_of(spec, table)
    merged = merge([each[place] for place in rng.permutation(count)])
    names = [part.device for part in each]
    quick, slow = sharded(spec, table, of, names), shards(each)
    same = sorted(map(tuple, quick.counts.tolist())) == sorted(map(tuple, slow.counts.tolist()))
    return {"profiles": count, "identical": bool(merged == whole), "shards identical": bool(same)}


def _alarms(rng: np.random.Generator, spec: Spec, count: int, shift: float) -> dict[str, list[str]]:
    table, of = population(rng, count, shift=shift)
    found = sharded(spec, table, of, [rng.bytes(16) for _ in range(count)])
    counts, sums = found.counts.sum(axis=0), found.sums.sum(axis=0)
    rows = int(counts[groups(spec)[-1].start :].sum())
    made = {}
    for unit, given in (("shards", found), ("rows", None)):
        [features] = features_of_all(spec, [Sample(counts, sums, None, rows, given, unit)])
        made[unit] = [feature.name for feature in features if Gates().cause(feature, True)]
    return made
