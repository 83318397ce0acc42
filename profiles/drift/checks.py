"""The checks of one feature in many windows at once, with rows as what is independent. numpy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.drift import significance
from mlpack_edge.profiles.drift.effects import (
    Floats,
    Parts,
    both,
    effective_rows,
    effects,
    ks_distance,
    parts,
    rate_difference,
    shares,
    total_variation,
)
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, MISSING, UNSEEN, Check, FeatureDrift
from mlpack_edge.profiles.drift.indices import indices, standard_deviation
from mlpack_edge.profiles.drift.units import looks
from mlpack_edge.profiles.layout import Group
from mlpack_edge.profiles.spec import Categorical, Feature, Numeric

Ints = NDArray[np.int64]

#: A distribution of fewer rows is not tested: the limits that its probabilities come from are not reached.
FEWEST = 30
#: A distance from which it is worth asking for another unit, and the rows of a category that may be named.
_FAR, _NAMED = 0.2, 10
#: Share of rows that may go to the outermost cells before a mean without them misleads.
_OUTSIDE = 0.01
#: What the statistic of each kind of feature is called.
STATISTIC = {"numeric": "ks", "categorical": "variation"}


def feature_drifts(
    group: Group,
    reference: Ints,
    current: Ints,
    sums: tuple[int, Sequence[int]],
    learned: Sequence[Mapping[str, float]],
    growth: Floats,
    p: Sequence[Mapping[str, float] | None],
    far: tuple[Floats, Floats | None] | None = None,
) -> list[FeatureDrift]:
    """All checks of a feature in each window, p not yet adjusted. reference: int `[group.size]`, current `[windows, group.size]`;
    sums: of the reference and of each window, 0 where the feature is not a number.

    growth: float64 `[windows]`, how many times the variance of a rate grows because rows hang together (the design effect); counts
    are divided by it. p: by kind, probabilities that were had otherwise (`clusters`) and take the place of the rows'. far: of a number, rows
    of each window beyond all of the reference (`beyond`): those that are unseen, and, where it is the time, those that the days since explain.
    """
    feature = group.feature
    assert feature is not None
    one, other = parts(feature, reference), parts(feature, current)
    effect = effects(feature, reference, current)
    explained = None
    if far is not None:
        other, explained = replace(other, unseen=other.unseen + far[0]), far[1]
        rose = np.maximum(rate_difference(one.unseen, one.rows, other.unseen, other.rows), 0.0)
        effect = replace(effect, unseen=rose)
    rates = [
        (kind, _rate(before, one.rows, 0.0).item(), _rate(now, other.rows, math.nan).tolist(), size.tolist())
        for kind, before, now, size in (
            (MISSING, one.missing, other.missing, effect.missing),
            (UNSEEN, one.unseen, other.unseen, effect.unseen),
        )
    ]
    by_rows = _by_rows(feature, one, other, growth) if None in p else []
    probabilities = [by_rows[place] if given is None else given for place, given in enumerate(p)]
    numeric = isinstance(feature, Numeric)
    distances = (ks_distance if numeric else total_variation)(one.cells, other.cells).tolist()
    sizes = effect.distribution.tolist()
    shifts = mean_shifts(feature, reference, current, *sums) if isinstance(feature, Numeric) else [0.0] * len(current)
    statistic = STATISTIC["numeric" if numeric else "categorical"]
    named = {name: values.tolist() for name, values in indices(feature, reference, current).items()}
    valued = other.cells.sum(axis=-1) + (0 if numeric else other.unseen)  # of no value there is no distance
    movers = _movers(feature, one.cells, other.cells) if isinstance(feature, Categorical) else [None] * len(current)
    made = []
    for place, (found, limit, rows) in enumerate(zip(probabilities, learned, other.rows.tolist(), strict=True)):
        checks = [
            Check(kind, "rate", now[place], now[place] - before, size[place], limit.get(kind), found[kind])
            for kind, before, now, size in rates
            if kind in found
        ]
        size = sizes[place]
        if DISTRIBUTION in found:
            checks.append(
                Check(
                    DISTRIBUTION, statistic, distances[place], shifts[place], size,
                    limit.get(DISTRIBUTION), found[DISTRIBUTION], judged=explained is None,
                )
            )  # fmt: skip
        (_, missing, missing_now, _), (_, unseen, unseen_now, _) = rates
        made.append(
            FeatureDrift(
                name=group.name,
                role=feature.source.role,
                kind=type(feature).__name__.lower(),
                rows=int(rows),
                checks=tuple(checks),
                missing=(missing, missing_now[place]),
                unseen=(unseen, unseen_now[place]),
                indices={name: values[place] for name, values in named.items()} if valued[place] else {},
                mover=movers[place],
                resembles=looks(feature, one.cells, other.cells[place]) if size > _FAR else "",
                ahead=None if explained is None else float(explained[place] / rows) if rows else 0.0,
            )
        )
    return made


def mean_shifts(feature: Numeric, reference: Ints, current: Ints, before: int, now: Sequence[int]) -> list[float]:
    """Change of the mean of the rows in neither outermost cell, in the reference's standard deviations, of each window; counts int
    `[size]` and `[windows, size]`, and their sums. 0.0 where so many rows went to the outermost cells that it says nothing of them."""
    inner = slice(1, len(feature.edges))
    outer = [0, len(feature.edges)]
    one, other = np.asarray(reference[:-2], np.float64), np.asarray(current[:, :-2], np.float64)
    gone = shares(other)[:, outer].sum(axis=-1) > shares(one)[outer].sum() + _OUTSIDE
    known, spread = int(reference[inner].sum()), standard_deviation(feature, one)
    return [
        (total / rows - before / known) * feature.step / spread if known and rows and spread and not outside else 0.0
        for total, rows, outside in zip(now, current[:, inner].sum(axis=-1).tolist(), gone.tolist(), strict=True)
    ]


def _by_rows(feature: Feature, one: Parts, other: Parts, growth: Floats) -> list[dict[str, float]]:
    found: list[dict[str, float]] = []
    counts = {
        name: [np.trunc(getattr(side, name) / growth).astype(np.int64).tolist() for side in (one, other)]
        for name in ("missing", "unseen", "rows")
    }
    rates = zip(*(zip(*counts[name], strict=True) for name in ("missing", "unseen", "rows")), other.rows, strict=True)
    known = one.cells.shape[-1] > 0
    for missing, unseen, rows, any_rows in rates:
        each = {}
        if any_rows:
            each[MISSING] = significance.two_rates(missing[0], rows[0], missing[1], rows[1])
            if known:
                each[UNSEEN] = significance.rate_rose(unseen[0], rows[0], unseen[1], rows[1])
        found.append(each)
    enough = np.minimum(one.cells.sum(), other.cells.sum(axis=-1)) >= FEWEST * growth
    places = np.flatnonzero(enough).tolist() if known else []
    if places:
        less = growth[places][:, None]
        test = _numbers if isinstance(feature, Numeric) else _categories
        for place, p in zip(places, test(one.cells / less, other.cells[places] / less), strict=True):
            found[place][DISTRIBUTION] = p
    return found


def _numbers(reference: Floats, current: Floats) -> list[float]:
    """The more telling of the largest distance and the rank sum, paid for by a factor of two (Bonferroni): the one sees
    any change, the other a shift with fewer rows. float64 `[windows, cells]` both."""
    of_windows = zip(
        ks_distance(reference, current).tolist(),
        effective_rows(reference, current).tolist(),
        significance.rank_sum(reference, current).tolist(),
        strict=True,
    )
    return [
        min(1.0, 2 * min(significance.kolmogorov(distance, rows), significance.normal(z)))
        for distance, rows, z in of_windows
    ]


def _categories(reference: Floats, current: Floats) -> list[float]:
    """The more telling of the chi-square over all categories and the exact test of the one that moved most (times the
    number of categories), paid for by a factor of two (Bonferroni). float64 `[windows, cells]` both."""
    statistics, degrees = significance.two_samples(reference, current)
    pooled = shares(reference + current)
    held = pooled > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(held, np.abs(shares(current) - shares(reference)) / np.sqrt(pooled * (1 - pooled)), 0.0)
    most = np.argmax(np.nan_to_num(z, posinf=0.0), axis=-1)
    table = [
        counts.astype(np.int64).tolist()
        for side in (reference, current)
        for counts in (np.take_along_axis(side, most[:, None], axis=-1)[:, 0], side.sum(axis=-1))
    ]
    of_windows = zip(
        statistics.tolist(), degrees.tolist(), held.sum(axis=-1).tolist(), zip(*table, strict=True), strict=True
    )
    return [
        min(1.0, 2 * min(significance.chi_square(statistic, of), cells * significance.two_rates(*counts)))
        for statistic, of, cells, counts in of_windows
    ]


def _rate(count: Floats, rows: Floats, of_none: float) -> Floats:
    return np.asarray(np.where(rows > 0, count / np.maximum(rows, 1), of_none))


def _movers(feature: Categorical, reference: Floats, current: Floats) -> list[tuple[str, float, float] | None]:
    """Of cells `[cells]` and `[windows, cells]`. None where no category of enough rows changed: what few rows hold is not named."""
    before, now = shares(reference), shares(current)
    gap = np.where(np.maximum(reference, current) >= _NAMED, np.abs(now - before), 0.0)
    gap = np.where(both(reference, current)[:, None], gap, 0.0)
    names = [*feature.categories, "other known values"]
    return [
        (names[place], float(before[place]), float(now[window, place])) if gap[window, place] else None
        for window, place in enumerate(np.argmax(gap, axis=-1).tolist())
    ]
