"""The indices that people know by name, from the counts of one feature: shown, never a trigger.

All take cells float64 `[cells]` of the reference and of the current rows (`effects.parts`) and answer a float, 0.0 where either
has no rows. None is freed of what chance adds: over 10 groups the population stability index of equal samples of n rows is
about 18/n.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mlpack_edge.profiles.drift.effects import Floats, Parts, ks_distance, parts, shares
from mlpack_edge.profiles.drift.significance import two_samples
from mlpack_edge.profiles.spec import Feature, Numeric, Presence

#: What an empty group counts as in the population stability index.
_EMPTY = 1e-4


def indices(feature: Feature, reference: object, current: object) -> Mapping[str, float]:
    """By name: "psi", "jensen_shannon", "chi_square", and for numbers "ks" and "wasserstein_sd". counts: int `[size]`.
    Empty for features of which only presence is counted."""
    one, other = parts(feature, reference), parts(feature, current)  # type: ignore[arg-type]
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


def population_stability(reference: Floats, current: Floats) -> float:
    """Sum of (p - q) ln(p / q), the symmetrised Kullback-Leibler divergence (Jeffreys 1946; Siddiqi, Credit Risk Scorecards,
    2006). Empty groups count as 1 in 10,000. Usual words: under .1 stable, above .25 moved, whatever the rows."""
    if not reference.sum() or not current.sum():
        return 0.0
    p, q = (np.maximum(shares(side), _EMPTY) for side in (current, reference))
    return float(((p - q) * np.log(p / q)).sum())


def jensen_shannon(reference: Floats, current: Floats) -> float:
    """Square root of the Jensen-Shannon divergence in bits (Endres and Schindelin 2003): a metric from 0 to 1."""
    if not reference.sum() or not current.sum():
        return 0.0
    p, q = shares(current), shares(reference)
    middle = (p + q) / 2
    divergence = 0.0
    for side in (p, q):
        there = side > 0
        divergence += float((side[there] * np.log2(side[there] / middle[there])).sum()) / 2
    return math.sqrt(min(max(divergence, 0.0), 1.0))


def wasserstein(feature: Numeric, reference: Floats, current: Floats) -> float:
    """Integral of |F - G| (the distance of Vaserstein 1969 with p = 1), in standard deviations of the reference; rows lie evenly
    in their cells. What is in the two outermost cells counts as lying at the last edge, so it is a lower bound there."""
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


def standard_deviation(feature: Numeric, cells: Floats) -> float:
    """Of rows that lie evenly in their cells, float64 `[cells]`; those in the two outermost cells lie at the last edge."""
    edges = np.array(feature.edges)
    middles = np.concatenate([edges[:1], (edges[:-1] + edges[1:]) / 2, edges[-1:]])
    within = np.concatenate([[0.0], np.diff(edges) ** 2 / 12, [0.0]])
    weights = shares(cells)
    mean = float(weights @ middles)
    return math.sqrt(max(float(weights @ ((middles - mean) ** 2 + within)), 0.0))


def _tenths(reference: Floats, cells: Floats) -> Floats:
    """Cells summed into the groups that split the reference nearest to its tenths; fewer where a value fills more than one."""
    cumulative = np.cumsum(shares(reference))
    cuts = sorted({int(np.argmin(np.abs(cumulative - tenth / 10))) + 1 for tenth in range(1, 10)})
    return np.array([part.sum() for part in np.split(cells, [cut for cut in cuts if cut < len(cells)])])


def _with_unseen(side: Parts) -> Floats:
    return np.append(side.cells, side.unseen)
