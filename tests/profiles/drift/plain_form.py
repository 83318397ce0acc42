"""The checks of one feature written a window and a contrast at a time: what arrays over windows and contrasts must answer."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mlpack_edge.profiles.drift import significance
from mlpack_edge.profiles.drift.clusters import Shards, intraclass, tenths
from mlpack_edge.profiles.drift.effects import (
    Parts,
    effective_rows,
    effects,
    ks_distance,
    parts,
    shares,
    total_variation,
)
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, MISSING, UNSEEN, Check, FeatureDrift
from mlpack_edge.profiles.drift.indices import standard_deviation
from mlpack_edge.profiles.drift.units import looks
from mlpack_edge.profiles.layout import Group
from mlpack_edge.profiles.spec import Categorical, Feature, Learned, Numeric, Presence, Reference

#: What the reference knows of devices, and how many devices are in a shard; else how many times the current variance its own is.
_Growth = tuple[Learned, Reference, float] | float


def feature_drift(
    group: Group,
    reference: np.ndarray,
    current: np.ndarray,
    sums: tuple[int, int],
    learned: Mapping[str, float],
    growth: float = 1.0,
    p: Mapping[str, float] | None = None,
) -> FeatureDrift:
    feature = group.feature
    assert feature is not None
    one, other = parts(feature, reference), parts(feature, current)
    effect = effects(feature, reference, current)
    rates = {
        MISSING: (_rate(one.missing, one.rows, 0.0), _rate(other.missing, other.rows, math.nan)),
        UNSEEN: (_rate(one.unseen, one.rows, 0.0), _rate(other.unseen, other.rows, math.nan)),
    }
    found = p if p is not None else _by_rows(feature, one, other, growth)
    checks = []
    for kind, (before, now) in rates.items():
        if kind in found:
            size = float(effect.missing if kind == MISSING else effect.unseen)
            checks.append(Check(kind, "rate", now, now - before, size, learned.get(kind), found[kind]))
    if DISTRIBUTION in found:
        numeric = isinstance(feature, Numeric)
        value = float((ks_distance if numeric else total_variation)(one.cells, other.cells))
        shift = mean_shift(feature, reference, current, *sums) if isinstance(feature, Numeric) else 0.0
        name = "ks" if numeric else "variation"
        size = float(effect.distribution)
        checks.append(Check(DISTRIBUTION, name, value, shift, size, learned.get(DISTRIBUTION), found[DISTRIBUTION]))
    return FeatureDrift(
        name=group.name,
        role=feature.source.role,
        kind=type(feature).__name__.lower(),
        rows=int(other.rows),
        checks=tuple(checks),
        missing=rates[MISSING],
        unseen=rates[UNSEEN],
        indices=indices(feature, reference, current)
        if other.cells.sum() + (0 if isinstance(feature, Numeric) else other.unseen)
        else {},
        mover=_mover(feature, one.cells, other.cells) if isinstance(feature, Categorical) else None,
        resembles=looks(feature, one.cells, other.cells) if effect.distribution > 0.2 else "",
    )


def mean_shift(feature: Numeric, reference: np.ndarray, current: np.ndarray, before: int, now: int) -> float:
    inner = [int(side[1 : len(feature.edges)].sum()) for side in (reference, current)]
    spread = standard_deviation(feature, np.asarray(reference[:-2], np.float64))
    outer = [(side[0] + side[len(feature.edges)]) / max(side[:-2].sum(), 1) for side in (reference, current)]
    if not min(inner) or not spread or outer[1] > outer[0] + 0.01:
        return 0.0
    return (now / inner[1] - before / inner[0]) * feature.step / spread


def _by_rows(feature: Feature, one: Parts, other: Parts, growth: float) -> dict[str, float]:
    found = {}
    if other.rows:
        missing, rows, unseen = (
            [int(getattr(side, name) / growth) for side in (one, other)] for name in ("missing", "rows", "unseen")
        )
        found[MISSING] = two_rates(missing[0], rows[0], missing[1], rows[1])
        if one.cells.shape[-1]:
            found[UNSEEN] = significance.rate_rose(unseen[0], rows[0], unseen[1], rows[1])
    if one.cells.shape[-1] and min(one.cells.sum(), other.cells.sum()) >= 30 * growth:
        test = _numbers if isinstance(feature, Numeric) else _categories
        found[DISTRIBUTION] = test(one.cells / growth, other.cells / growth)
    return found


def _numbers(reference: np.ndarray, current: np.ndarray) -> float:
    distance = significance.kolmogorov(
        float(ks_distance(reference, current)), float(effective_rows(reference, current))
    )
    return min(1.0, 2 * min(distance, significance.normal(rank_sum(reference, current))))


def _categories(reference: np.ndarray, current: np.ndarray) -> float:
    whole = significance.chi_square(*two_samples(reference, current))
    pooled = shares(reference + current)
    held = pooled > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(held, np.abs(shares(current) - shares(reference)) / np.sqrt(pooled * (1 - pooled)), 0.0)
    most = int(np.argmax(np.nan_to_num(z, posinf=0.0)))
    counts = (
        int(side) for pair in ((reference[most], reference.sum()), (current[most], current.sum())) for side in pair
    )
    return min(1.0, 2 * min(whole, int(held.sum()) * two_rates(*counts)))


def _rate(count: np.ndarray, rows: np.ndarray, of_none: float) -> float:
    return float(count / rows) if rows else of_none


def _mover(feature: Categorical, reference: np.ndarray, current: np.ndarray) -> tuple[str, float, float] | None:
    if not reference.sum() or not current.sum():
        return None
    before, now = shares(reference), shares(current)
    gap = np.where(np.maximum(reference, current) >= 10, np.abs(now - before), 0.0)
    place = int(np.argmax(gap))
    if not gap[place] or math.isnan(gap[place]):
        return None
    names = [*feature.categories, "other known values"]
    return names[place], float(before[place]), float(now[place])


def indices(feature: Feature, reference: object, current: object) -> Mapping[str, float]:
    one, other = parts(feature, reference), parts(feature, current)
    if isinstance(feature, Presence):
        return {}
    if isinstance(feature, Numeric):
        return {
            "psi": population_stability(*(_tenths(one.cells, side.cells) for side in (one, other))),
            "jensen_shannon": jensen_shannon(one.cells, other.cells),
            "ks": float(ks_distance(one.cells, other.cells)),
            "wasserstein_sd": wasserstein(feature, one.cells, other.cells),
            "chi_square": two_samples(one.cells, other.cells)[0],
        }
    before, now = _with_unseen(one), _with_unseen(other)
    return {
        "psi": population_stability(before, now),
        "jensen_shannon": jensen_shannon(before, now),
        "chi_square": two_samples(before, now)[0],
    }


def population_stability(reference: np.ndarray, current: np.ndarray) -> float:
    if not reference.sum() or not current.sum():
        return 0.0
    p, q = (np.maximum(shares(side), 1e-4) for side in (current, reference))
    return float(((p - q) * np.log(p / q)).sum())


def jensen_shannon(reference: np.ndarray, current: np.ndarray) -> float:
    if not reference.sum() or not current.sum():
        return 0.0
    p, q = shares(current), shares(reference)
    middle = (p + q) / 2
    divergence = 0.0
    for side in (p, q):
        there = side > 0
        divergence += float((side[there] * np.log2(side[there] / middle[there])).sum()) / 2
    return math.sqrt(min(max(divergence, 0.0), 1.0))


def wasserstein(feature: Numeric, reference: np.ndarray, current: np.ndarray) -> float:
    spread = standard_deviation(feature, reference)
    if not spread or not reference.sum() or not current.sum():
        return 0.0
    edges = np.array(feature.edges)
    gap = (np.cumsum(shares(current)) - np.cumsum(shares(reference)))[:-1]
    start, end, width = gap[:-1], gap[1:], np.diff(edges)
    with np.errstate(invalid="ignore", divide="ignore"):
        crossed = (start**2 + end**2) / (2 * (np.abs(start) + np.abs(end)))
    area = np.where(start * end < 0, crossed, (np.abs(start) + np.abs(end)) / 2)
    return float((area * width).sum() / spread)


def _tenths(reference: np.ndarray, cells: np.ndarray) -> np.ndarray:
    cumulative = np.cumsum(shares(reference))
    cuts = sorted({int(np.argmin(np.abs(cumulative - tenth / 10))) + 1 for tenth in range(1, 10)})
    return np.array([part.sum() for part in np.split(cells, [cut for cut in cuts if cut < len(cells)])])


def _with_unseen(side: Parts) -> np.ndarray:
    return np.append(side.cells, side.unseen)


def two_samples(reference: np.ndarray, current: np.ndarray, expected: float = 5.0) -> tuple[float, int]:
    rows, others = reference.sum(), current.sum()
    if not rows or not others:
        return 0.0, 0
    pooled = reference + current
    few = pooled * min(rows, others) / (rows + others) < expected
    table = np.stack([_joined(reference, few), _joined(current, few)])
    table = table[:, table.sum(axis=0) > 0]
    wanted = table.sum(axis=0) * np.array([[rows], [others]]) / (rows + others)
    return float(((table - wanted) ** 2 / wanted).sum()), table.shape[1] - 1


def rank_sum(reference: np.ndarray, current: np.ndarray) -> float:
    n, m = float(reference.sum()), float(current.sum())
    pooled = reference + current
    total = n + m
    if not n or not m or total < 2:
        return 0.0
    ranks = np.cumsum(pooled) - (pooled - 1) / 2
    excess = float(current @ ranks) - m * (total + 1) / 2
    variance = n * m / 12 * (total + 1 - float((pooled**3 - pooled).sum()) / (total * (total - 1)))
    return excess / math.sqrt(variance) if variance > 0 else 0.0


def _joined(cells: np.ndarray, few: np.ndarray) -> np.ndarray:
    return np.append(cells[~few], cells[few].sum())


def two_rates(reference: int, reference_rows: int, current: int, current_rows: int) -> float:
    return min(
        1.0, 2 * min(significance._tail(reference, reference_rows, current, current_rows, step) for step in (1, -1))
    )


def by_shards(group: Group, found: Shards, reference: Reference, learned: Learned | None) -> dict[str, float]:
    feature = group.feature
    assert feature is not None
    before = np.array(reference.counts[group.start : group.stop], np.int64)
    one, other = parts(feature, before), parts(feature, found.counts[:, group.start : group.stop])
    growth: _Growth = max(found.devices / reference.devices, 1.0) if reference.devices else 1.0
    if learned is not None and reference.devices >= 8:
        growth = (learned, reference, found.devices / len(found.counts))
    many = found.each if found.each is not None else np.ones(len(found.counts))
    p = {MISSING: _shard_rate(other.missing, other.rows, one.missing, one.rows, growth, many)}
    if one.cells.shape[-1]:
        rose = float(other.unseen.sum()) * float(one.rows) > float(one.unseen) * float(other.rows.sum())
        p[UNSEEN] = _shard_rate(other.unseen, other.rows, one.unseen, one.rows, growth, many) / 2 if rose else 1.0
    if not one.cells.sum() or not other.cells.sum():
        return p
    if isinstance(feature, Numeric):
        levels, known = np.cumsum(other.cells, axis=-1), np.cumsum(one.cells)
        each = [
            _shard_rate(levels[:, cut], other.cells.sum(axis=-1), known[cut], one.cells.sum(), growth, many)
            for cut in tenths(one.cells)
        ]
        inner = slice(1, len(feature.edges))
        spread = standard_deviation(feature, one.cells) / feature.step
        rows = float(one.cells[inner].sum())
        if rows and spread:
            mean = reference.sums[group.sum_index] / rows
            now = found.sums[:, group.sum_index].astype(np.float64)
            each.append(_shard_ratio(now, other.cells[:, inner].sum(axis=-1), mean, rows, growth, spread**2, many))
    else:
        wide = np.maximum(shares(one.cells), shares(other.cells.sum(axis=0))) >= 0.005
        each = [
            _shard_rate(other.cells[:, cell], other.cells.sum(axis=-1), one.cells[cell], one.cells.sum(), growth, many)
            for cell in np.flatnonzero(wide)
        ]
    if each:
        p[DISTRIBUTION] = min(1.0, min(each) * len(each))
    return p


def _shard_rate(
    now: np.ndarray, rows: np.ndarray, before: np.ndarray, before_rows: np.ndarray, growth: _Growth, each: np.ndarray
) -> float:
    if not before_rows or not rows.sum():
        return 1.0
    pooled = float((before + now.sum()) / (before_rows + rows.sum()))
    return _shard_ratio(now, rows, float(before / before_rows), float(before_rows), growth, pooled * (1 - pooled), each)


def _shard_ratio(
    now: np.ndarray,
    rows: np.ndarray,
    before: float,
    before_rows: float,
    growth: _Growth,
    single: float,
    each: np.ndarray,
) -> float:
    there = rows > 0
    now, rows = now[there], rows[there]
    units, total = len(rows), float(rows.sum())
    if units < 2:
        return 1.0
    ratio = float(now.sum() / total)
    # The jackknife as it is told: the ratio without each shard in turn.
    without = (now.sum() - now) / (total - rows)
    between = (units - 1) / units * float(((without - ratio) ** 2).sum())
    residual = float((np.abs(now - ratio * rows)).sum())
    weights = (rows / total) ** 2 / each[there]
    degrees = (units - 1) / units * float(weights.sum() ** 2 / (weights**2).sum()) if residual else units - 1.0
    if isinstance(growth, float):
        between = max(between, single / total)
        whole = between + growth * between
    else:
        learned, reference, devices = growth
        together = float((rows**2).sum()) / total / devices
        design = 1 + max(together - 1, 0.0) * intraclass(learned, reference)
        between = max(between, single / total * max(design / 3, 1.0))
        known = learned.between_devices * single / before_rows
        whole = between + known
        if whole:
            degrees = whole**2 / (between**2 / degrees + known**2 / (reference.devices - 1))
    return significance.student((ratio - before) / math.sqrt(whole), degrees) if whole else 1.0
