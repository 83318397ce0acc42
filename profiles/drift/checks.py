"""The checks of one feature in one window, with rows as what is independent. numpy."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.drift import significance
from mlpack_edge.profiles.drift.effects import (
    Floats,
    Parts,
    effective_rows,
    effects,
    ks_distance,
    parts,
    shares,
    total_variation,
)
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, MISSING, UNSEEN, Check, FeatureDrift
from mlpack_edge.profiles.drift.indices import indices, standard_deviation
from mlpack_edge.profiles.drift.units import resemblance
from mlpack_edge.profiles.layout import Group
from mlpack_edge.profiles.spec import Categorical, Feature, Numeric

Ints = NDArray[np.int64]

#: A distribution of fewer rows is not tested: the limits that its probabilities come from are not reached.
FEWEST = 30
#: A distance from which it is worth asking for another unit, and the rows of a category that may be named.
_FAR, _NAMED = 0.2, 10
#: What the statistic of each kind of feature is called.
STATISTIC = {"numeric": "ks", "categorical": "variation"}


def feature_drift(
    group: Group,
    reference: Ints,
    current: Ints,
    sums: tuple[int, int],
    learned: Mapping[str, float],
    growth: float = 1.0,
    p: Mapping[str, float] | None = None,
) -> FeatureDrift:
    """All checks of a feature, p not yet adjusted. reference, current: int `[group.size]`; sums: of both, 0 where not a number.

    growth: how many times the variance of a rate grows because rows hang together (the design effect); counts are divided by
    it. p: by kind, probabilities that were had otherwise (`clusters`) and take the place of the rows'.
    """
    feature = group.feature
    assert feature is not None
    one, other = parts(feature, reference), parts(feature, current)
    effect = effects(feature, reference, current)
    rates = {
        MISSING: (_rate(one.missing, one.rows), _rate(other.missing, other.rows)),
        UNSEEN: (_rate(one.unseen, one.rows), _rate(other.unseen, other.rows)),
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
        name = STATISTIC["numeric" if numeric else "categorical"]
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
        indices=indices(feature, reference, current),
        mover=_mover(feature, one.cells, other.cells) if isinstance(feature, Categorical) else None,
        resembles=resemblance(feature, one.cells, other.cells)
        if isinstance(feature, Numeric) and effect.distribution > _FAR
        else "",
    )


def mean_shift(feature: Numeric, reference: Ints, current: Ints, before: int, now: int) -> float:
    """Change of the mean of the rows in neither outermost cell, in the reference's standard deviations; counts int `[size]`
    and their sums."""
    inner = [int(side[1 : len(feature.edges)].sum()) for side in (reference, current)]
    spread = standard_deviation(feature, np.asarray(reference[:-2], np.float64))
    if not min(inner) or not spread:
        return 0.0
    return (now / inner[1] - before / inner[0]) * feature.step / spread


def _by_rows(feature: Feature, one: Parts, other: Parts, growth: float) -> dict[str, float]:
    found = {}
    if other.rows:
        missing, rows, unseen = (
            [int(getattr(side, name) / growth) for side in (one, other)] for name in ("missing", "rows", "unseen")
        )
        found[MISSING] = significance.two_rates(missing[0], rows[0], missing[1], rows[1])
        if one.cells.shape[-1]:
            found[UNSEEN] = significance.rate_rose(unseen[0], rows[0], unseen[1], rows[1])
    if one.cells.shape[-1] and min(one.cells.sum(), other.cells.sum()) >= FEWEST * growth:
        test = _numbers if isinstance(feature, Numeric) else _categories
        found[DISTRIBUTION] = test(one.cells / growth, other.cells / growth)
    return found


def _numbers(reference: Floats, current: Floats) -> float:
    """The more telling of the largest distance and the rank sum, paid for by a factor of two (Bonferroni): the one sees
    any change, the other a shift with fewer rows."""
    distance = significance.kolmogorov(
        float(ks_distance(reference, current)), float(effective_rows(reference, current))
    )
    return min(1.0, 2 * min(distance, significance.normal(significance.rank_sum(reference, current))))


def _categories(reference: Floats, current: Floats) -> float:
    """The more telling of the chi-square over all categories and the exact test of the one that moved most (times the
    number of categories), paid for by a factor of two (Bonferroni)."""
    whole = significance.chi_square(*significance.two_samples(reference, current))
    pooled = shares(reference + current)
    held = pooled > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(held, np.abs(shares(current) - shares(reference)) / np.sqrt(pooled * (1 - pooled)), 0.0)
    most = int(np.argmax(np.nan_to_num(z, posinf=0.0)))
    counts = (
        int(side) for pair in ((reference[most], reference.sum()), (current[most], current.sum())) for side in pair
    )
    return min(1.0, 2 * min(whole, int(held.sum()) * significance.two_rates(*counts)))


def _rate(count: Floats, rows: Floats) -> float:
    return float(count / rows) if rows else 0.0


def _mover(feature: Categorical, reference: Floats, current: Floats) -> tuple[str, float, float] | None:
    """None where no category of enough rows changed: what few rows hold is not named."""
    if not reference.sum() or not current.sum():
        return None
    before, now = shares(reference), shares(current)
    gap = np.where(np.maximum(reference, current) >= _NAMED, np.abs(now - before), 0.0)
    place = int(np.argmax(gap))
    if not gap[place] or math.isnan(gap[place]):
        return None
    names = [*feature.categories, "other known values"]
    return names[place], float(before[place]), float(now[place])
