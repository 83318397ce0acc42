"""What may be shown of a fleet: a cell only where enough rows and enough devices lie in it. numpy.

A rate of missing or unknown values, or the share of a category, is a cell: with few rows behind it, it speaks of somebody. What
describes a whole distribution (its distance from the reference) is none, unless few rows make it: of one row it tells the cell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.drift.beyond import Beyond, beyond
from mlpack_edge.profiles.drift.effects import parts
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, MISSING, UNSEEN, FeatureDrift, Slow
from mlpack_edge.profiles.layout import Group, groups
from mlpack_edge.profiles.spec import Categorical, Spec

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Least:
    """Rows and devices from which on a cell is shown. A cell that nobody is in is shown as 0."""

    rows: int = 10
    devices: int = 10


USUAL = Least()


def enough(rows: int, devices: int | None, least: Least) -> bool:
    """Whether a figure of so many rows and devices may be shown; devices is None for batches, which are of none. Reports with noise do not tell
    their rows: then it is devices alone that count."""
    return (rows >= least.rows or not rows) and (devices is None or devices >= least.devices)


def numbers_beyond(spec: Spec) -> dict[str, Beyond]:
    """Of each numeric feature its cells beyond all of the reference, once for all windows."""
    found = {group.name: beyond(spec, group) for group in groups(spec) if group.feature is not None}
    return {name: far for name, far in found.items() if far is not None}


def withhold(
    spec: Spec,
    numbers: Mapping[str, Beyond],
    features: Sequence[FeatureDrift],
    counts: Ints,
    units: Ints | None,
    least: Least,
    last: int | None = None,
) -> tuple[tuple[FeatureDrift, ...], str]:
    """The features without what may not be shown, and a note that says so, "" where all is shown.

    counts int `[vector]`; units int `[units, vector]`, the same by device or by shard of devices, None where no devices are
    told apart. Of shards it is known that as many devices as shards are in a cell, or more: so a cell may be withheld that
    eleven devices are in, and none is shown that nine are in. A rate that is withheld is NaN, and its check is gone. last: the window's last day, since
    1970: what is unseen of a number that is the time depends on it. numbers: `numbers_beyond` of the spec.
    """
    by_name = {group.name: group for group in groups(spec) if group.feature is not None}
    found, gone = [], 0
    for feature in features:
        group = by_name[feature.name]
        far = numbers.get(feature.name)
        kept, fewer = _one(group, feature, counts, units, least)
        if far is not None:
            kept, more = _far(far, group, kept, counts, units, least, last)
            fewer += more
        found.append(kept)
        gone += fewer
    if not gone:
        return tuple(found), ""
    cells = f"{gone} figure{'s' * (gone != 1)} of fewer than {least.rows} rows or {least.devices} devices"
    return tuple(found), f"{cells} {'are' if gone != 1 else 'is'} not shown"


def withhold_told(
    features: Sequence[FeatureDrift], units: Sequence[int], least: Least
) -> tuple[tuple[FeatureDrift, ...], str]:
    """As `withhold`, of reports with noise, whose counters say of no row that it was there: only devices count. units: devices that tell each
    feature, or shards of them: as many devices, or more."""
    found, gone = [], 0
    for feature, told in zip(features, units, strict=True):
        if told >= least.devices or not feature.checks:
            found.append(feature)
            continue
        gone += 1
        missing, unseen = (feature.missing[0], math.nan), (feature.unseen[0], math.nan)
        found.append(replace(feature, checks=(), missing=missing, unseen=unseen))
    if not gone:
        return tuple(found), ""
    plural = (
        f"features that fewer than {least.devices} devices tell are"
        if gone > 1
        else f"feature that fewer than {least.devices} devices tell is"
    )
    return tuple(found), f"{gone} {plural} not shown"


def _one(
    group: Group, feature: FeatureDrift, counts: Ints, units: Ints | None, least: Least
) -> tuple[FeatureDrift, int]:
    assert group.feature is not None
    whole = parts(group.feature, counts[group.start : group.stop])
    each = parts(group.feature, units[:, group.start : group.stop]) if units is not None else None
    gone = 0
    if not _may(whole.missing, each.missing if each else None, least):
        kept = tuple(check for check in feature.checks if check.kind != MISSING)
        feature, gone = replace(feature, checks=kept, missing=(feature.missing[0], math.nan)), gone + 1
    if whole.cells.shape[-1] and not _may(whole.unseen, each.unseen if each else None, least):
        kept = tuple(check for check in feature.checks if check.kind != UNSEEN)
        feature, gone = replace(feature, checks=kept, unseen=(feature.unseen[0], math.nan)), gone + 1
    if 0 < float(whole.cells.sum()) < least.rows:
        kept = tuple(check for check in feature.checks if check.kind != DISTRIBUTION)
        feature, gone = replace(feature, checks=kept, indices={}, mover=None, resembles=""), gone + 1
    if feature.mover is not None and isinstance(group.feature, Categorical):
        cell = _cell(group.feature, feature.mover[0])
        if not _may(whole.cells[cell], each.cells[:, cell] if each else None, least):
            feature, gone = replace(feature, mover=None), gone + 1
    return feature, gone


def withhold_slow(
    spec: Spec, slow: Sequence[Slow], counts: Ints, units: Ints | None, least: Least
) -> tuple[tuple[Slow, ...], str]:
    """As `withhold`, of slow shifts: those of the share of a category that may not be shown are gone. counts, units: of all days of the
    series together."""
    by_name = {group.name: group for group in groups(spec) if group.feature is not None}
    found = []
    for each in slow:
        group = by_name[each.name]
        if isinstance(group.feature, Categorical):
            whole = parts(group.feature, counts[group.start : group.stop])
            by_unit = parts(group.feature, units[:, group.start : group.stop]) if units is not None else None
            cell = _cell(group.feature, each.level)
            if not _may(whole.cells[cell], by_unit.cells[:, cell] if by_unit else None, least):
                continue
        found.append(each)
    gone = len(slow) - len(found)
    shifts = f"{gone} slow shift{'s' * (gone != 1)} of fewer than {least.rows} rows or {least.devices} devices"
    return tuple(found), f"{shifts} {'are' if gone != 1 else 'is'} not shown" if gone else ""


def _cell(feature: Categorical, name: str) -> int:
    return [*feature.categories, "other known values"].index(name)


def _far(
    far: Beyond,
    group: Group,
    feature: FeatureDrift,
    counts: Ints,
    units: Ints | None,
    least: Least,
    last: int | None,
) -> tuple[FeatureDrift, int]:
    """Without the rates of rows beyond all of the reference of too few rows or devices."""
    gone = 0
    mine = counts[group.start : group.stop]
    each = units[:, group.start : group.stop] if units is not None else None

    def may(cells: NDArray[np.bool_]) -> bool:
        return _may(mine[cells].sum(), None if each is None else each[:, cells].sum(axis=1), least)

    if not may(far.unexplained(last)) and not math.isnan(feature.unseen[1]):
        kept = tuple(check for check in feature.checks if check.kind != UNSEEN)
        feature, gone = replace(feature, checks=kept, unseen=(feature.unseen[0], math.nan)), 1
    explained = far.explained(last)
    if explained is not None and not may(explained):
        feature, gone = replace(feature, ahead=0.0), gone + 1
    return feature, gone


def _may(total: object, by_unit: object, least: Least) -> bool:
    """total: rows in the cell; by_unit: `[units]` of them, None where devices are not told apart."""
    rows = float(np.asarray(total))
    devices = None if by_unit is None else int((np.asarray(by_unit) > 0).sum())
    return rows == 0 or enough(int(rows), devices, least)
