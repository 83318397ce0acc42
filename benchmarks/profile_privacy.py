"""What differential privacy costs: the power of the drift test between devices with noise against without. JSON, a table on
standard error.

    python benchmarks/profile_privacy.py [--windows 100] [--seed 0] [--devices 1000 10000]

The devices of `drift_quality.py devices`: 20 rows each, devices .6 standard deviations apart, a reference that tells devices apart.
`power`: of windows in which the first number (by .2 sd, .5 sd) or the first category (its scores, by as much) moved, how many
alarm there; `false`: of windows in which nothing moved, how many alarm anywhere. Each report tells one feature of 6, and of 70
(six of which are judged here). "none": exact reports of everything; "no noise": one feature by lot, exactly; then by epsilon.
Noise is drawn as sums over reports (differences of negative binomials), the same distribution as that of `profiles.noise`.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
from collections import Counter
from typing import Any

import numpy as np
from drift_data import Array, Table, columns, rows_in_blocks, spec_of
from drift_devices import ROWS, population, sharded

from mlpack_edge.profiles.arrays.counting import ColumnTally
from mlpack_edge.profiles.drift.clusters import SHARDS
from mlpack_edge.profiles.drift.detect import Sample, adjusted, features_of_all
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.drift.noisy import Told, feature_of
from mlpack_edge.profiles.drift.thresholds import learned
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.noise import MILLION, variance
from mlpack_edge.profiles.spec import Spec

Json = dict[str, Any]
EPSILONS = (0.5, 1.0, 2.0, 4.0)
LOTS = (6, 70)
SHIFTS = (0.0, 0.2, 0.5)
MOVED = ("x0", "k0")


def lots(rng: np.random.Generator, spec: Spec, table: Table, of: Array, devices: int, among: int) -> list[Told]:
    """Exact counters of the feature that each device drew among so many, by shard."""
    drawn, shard = rng.integers(0, among, devices), rng.integers(0, SHARDS, devices)
    found = []
    for place, group in enumerate(groups(spec)[: len(table)]):
        units, reports = [], []
        few = int((drawn == place).sum()) <= SHARDS
        unit_of = np.arange(devices) if few else shard
        for unit in np.unique(unit_of[drawn == place]).tolist():
            mine = ((drawn == place) & (unit_of == unit))[of]
            tally = ColumnTally(spec)
            tally.add(columns({name: values[mine] for name, values in table.items()}), rows=int(mine.sum()))
            units.append(tally.counts[group.start : group.stop])
            reports.append(mine.sum() / ROWS)
        counts, each = np.array(units, np.float64).reshape(len(units), group.size), np.array(reports, np.float64)
        found.append(Told(counts, each, 0.0, None if few else each))  # a report a device
    return found


def noised(rng: np.random.Generator, one: Told, epsilon: float) -> Told:
    if not len(one.reports):
        return one
    each = one.reports.astype(int)[:, None] + np.zeros(one.counts.shape, int)
    q = 1 - math.exp(-epsilon)
    noise = rng.negative_binomial(each, q) - rng.negative_binomial(each, q)
    return Told(one.counts + noise, one.reports, variance(round(epsilon * MILLION)), one.each)


def alarms(spec: Spec, found: list[Told]) -> set[str]:
    known = spec.reference
    made = []
    for group, one in zip(groups(spec), found, strict=False):
        limits = learned(spec, group, 1.0, max(round(float(one.counts.sum())), 1))
        made.append(feature_of(group, one, known, known.learned.get(group.name), limits))
    return {feature.name for feature in adjusted(made) if Gates().cause(feature, True)}


def measure(rng: np.random.Generator, spec: Spec, devices: int, windows: int) -> Json:
    hits: Counter[tuple[str, str]] = Counter()
    for shift in SHIFTS:
        for _ in range(windows):
            table, of = population(rng, devices, shift=shift)
            seen: dict[str, set[str]] = {}
            whole = sharded(spec, table, of, [rng.bytes(16) for _ in range(devices)])
            counts, sums = whole.counts.sum(axis=0), whole.sums.sum(axis=0)
            [features] = features_of_all(spec, [Sample(counts, sums, None, len(of), whole, "shards")])
            seen["none"] = {feature.name for feature in features if Gates().cause(feature, True)}
            for among in LOTS:
                exact = lots(rng, spec, table, of, devices, among)
                seen[f"1 of {among}, no noise"] = alarms(spec, exact)
                for epsilon in EPSILONS:
                    seen[f"1 of {among}, epsilon {epsilon:g}"] = alarms(
                        spec, [noised(rng, one, epsilon) for one in exact]
                    )
            for road, found in seen.items():
                if shift:
                    for name in MOVED:
                        hits[road, f"{name} {shift:g} sd"] += name in found
                else:
                    hits[road, "false"] += bool(found)
    roads = dict.fromkeys(road for road, _ in hits)
    kinds = dict.fromkeys(kind for _, kind in hits)
    return {road: {kind: round(hits[road, kind] / windows, 3) for kind in kinds} for road in roads}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--devices", type=int, nargs="+", default=[1_000, 10_000])
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    table, of = population(rng, 1000)
    order = rng.permutation(len(of))
    mixed = {name: values[order] for name, values in table.items()}
    spec = spec_of(mixed, rows_in_blocks(len(of), 200), devices=of[order])
    made: Json = {"machine": platform.machine(), "python": platform.python_version(), "windows": asked.windows}
    for devices in asked.devices:
        found = made[f"{devices} devices"] = measure(rng, spec, devices, asked.windows)
        for road, rates in found.items():
            said = "".join(f"  {kind} {rate:<6}" for kind, rate in rates.items())
            print(f"{devices:>6} devices  {road:<24}{said}", file=sys.stderr, flush=True)
    print(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()
