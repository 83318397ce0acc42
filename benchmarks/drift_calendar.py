"""Alarms on the days of a real year, calibrated on the other days, and the power that is left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from drift_data import Array, Table, columns, flights, lost, mixed, shifted, spec_of

from mlpack_edge.profiles.arrays.counting import ColumnTally
from mlpack_edge.profiles.drift.detect import Sample, features_of_all
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.reference.learned import learned
from mlpack_edge.profiles.spec import Spec

Json = dict[str, Any]
POWER = {
    "mean shift .2 sd": ("number", shifted(0.2)), "mean shift .5 sd": ("number", shifted(0.5)), "mean shift 1 sd": ("number", shifted(1.0)),
    "category mix 10 %": ("text", mixed(0.1)), "category mix 20 %": ("text", mixed(0.2)),
    "missing 5 %": ("any", lost(0.05)), "missing 20 %": ("any", lost(0.2)),
}  # fmt: skip


def calendar(rng: np.random.Generator, days_of_power: int) -> Json:
    """Alarms per 1,000 feature-days: one day left out; its whole month left out; thresholds taken away (floors alone). The cells are
    those of the whole year."""
    table, day = flights()
    spec = spec_of(table, day, "day")
    counts, sums = block_counts(spec, table, day)
    month = np.searchsorted(
        np.cumsum([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30]), np.arange(len(counts)), side="right"
    )
    found: Json = {"feature_days": counts.shape[0] * len(spec.features)}
    alarms: dict[str, list[tuple[int, str]]] = {"other days": [], "other months": [], "floors alone": []}
    kept: dict[int, Spec] = {}
    for left in range(len(counts)):
        rest = _without(spec, counts, sums, np.arange(len(counts)) != left)
        kept[left] = rest
        alarms["other days"] += [(left, name) for name in judged(rest, counts[left], sums[left])]
        bare = replace(rest, reference=replace(rest.reference, learned={}))
        alarms["floors alone"] += [(left, name) for name in judged(bare, counts[left], sums[left])]
    for number in range(12):
        rest = _without(spec, counts, sums, month != number)
        for left in np.flatnonzero(month == number).tolist():
            alarms["other months"] += [(left, name) for name in judged(rest, counts[left], sums[left])]
    for road, hits in alarms.items():
        found[road] = round(1000 * len(hits) / found["feature_days"], 2)
    found["alarms of other days"] = alarms["other days"]
    found["weeks"] = _weeks(spec, counts, sums)
    found["power"] = _power(rng, kept, table, day, days_of_power)
    return found


def block_counts(spec: Spec, table: Table, blocks: Array) -> tuple[Array, Array]:
    made = []
    for block in np.unique(blocks).tolist():
        tally = ColumnTally(spec)
        mine = blocks == block
        tally.add(columns({name: values[mine] for name, values in table.items()}), rows=int(mine.sum()))
        made.append((tally.counts, tally.sums))
    return np.array([counts for counts, _ in made]), np.array([sums for _, sums in made])


def judged(spec: Spec, counts: Array, sums: Array, days: int = 1) -> list[str]:
    """Names of the features that alarm."""
    rows = int(counts[groups(spec)[-1].start :].sum())
    [features] = features_of_all(spec, [Sample(counts, sums, days, rows)])
    return [feature.name for feature in features if Gates().cause(feature, True)]


def _without(spec: Spec, counts: Array, sums: Array, others: Array) -> Spec:
    """The spec as those blocks would have made it."""
    mine = counts[others]
    rows = mine[:, groups(spec)[-1].start :].sum(axis=1)
    reference = replace(
        spec.reference,
        rows=int(rows.sum()),
        counts=tuple(mine.sum(axis=0).tolist()),
        sums=tuple(sums[others].sum(axis=0).tolist()),
        blocks=replace(spec.reference.blocks, rows=tuple(rows.tolist())),
        learned=learned(groups(spec), mine, sums[others], {}),
    )
    return replace(spec, reference=reference)


def _weeks(spec: Spec, counts: Array, sums: Array) -> float:
    """Alarms per 1,000 windows of seven days, calibrated on the year without them."""
    hits = windows = 0
    for first in range(0, len(counts) - 6, 7):
        week = slice(first, first + 7)
        others = np.ones(len(counts), bool)
        others[week] = False
        rest = _without(spec, counts, sums, others)
        hits += len(judged(rest, counts[week].sum(axis=0), sums[week].sum(axis=0), 7))
        windows += len(spec.features)
    return round(1000 * hits / windows, 2)


def _power(rng: np.random.Generator, specs: dict[int, Spec], table: Table, day: Array, times: int) -> Json:
    """Share of feature-days on which a change made to one feature is seen; the spec knows nothing of that day."""
    found: Json = {}
    chosen = rng.choice(len(specs), size=times, replace=False).tolist()
    for name, (kind, change) in POWER.items():
        fits = [
            column for column, values in table.items() if kind == "any" or (kind == "text") == (values.dtype == object)
        ]
        fits = [column for column in fits if kind != "text" or len(set(table[column])) > 3] if kind == "text" else fits
        seen: dict[str, list[bool]] = {column: [] for column in fits}
        for left in chosen:
            today = {column: values[day == left] for column, values in table.items()}
            for column in fits:
                moved = {**today, column: change(rng, table[column], today[column])}
                tally = ColumnTally(specs[left])
                tally.add(columns(moved), rows=len(moved[column]))
                seen[column].append(column in judged(specs[left], tally.counts, np.array(tally.sums)))
        found[name] = {
            "all": round(float(np.mean([hit for hits in seen.values() for hit in hits])), 3),
            **{column: round(float(np.mean(hits)), 3) for column, hits in seen.items()},
        }
    return found
