"""The indices that people know by name, from the counts of one feature: shown, never a trigger.

All take cells float64 `[..., cells]` of the reference and of the current rows (`effects.parts`), which broadcast, and answer float64
`[...]`, 0.0 where either has no rows. None is freed of what chance adds: over 10 groups the population stability index of equal samples of n rows is
about 18/n.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from mlpack_edge.profiles.drift.effects import Floats, Parts, both, ks_distance, parts, shares
from mlpack_edge.profiles.drift.significance import two_samples
from mlpack_edge.profiles.spec import Feature, Numeric, Presence

#: What an empty group counts as in the population stability index.
_EMPTY = 1e-4


def indices(feature: Feature, reference: ArrayLike, current: ArrayLike) -> Mapping[str, Floats]:
    """By name: "psi", "jensen_shannon", "chi_square", and for numbers "ks" and "wasserstein_sd", each float64 `[...]`. reference: counts
    int `[size]`; current `[..., size]`. Empty for features of which only presence is counted."""
    one, other = parts(feature, reference), parts(feature, current)
    if isinstance(feature, Presence):
        return {}
    if isinstance(feature, Numeric):
        return {
            "psi": population_stability(*(_tenths(one.cells, side.cells) for side in (one, other))),
            "jensen_shannon": jensen_shannon(one.cells, other.cells),
            "ks": ks_distance(one.cells, other.cells),
            "wasserstein_sd": wasserstein(feature, one.cells, other.cells),
            "chi_square": two_samples(one.cells, other.cells)[0],
        }
    before, now = _with_unseen(one), _with_unseen(other)
    return {
        "psi": population_stability(before, now),
        "jensen_shannon": jensen_shannon(before, now),
        "chi_square": two_samples(before, now)[0],
    }


def population_stability(reference: Floats, current: Floats) -> Floats:
    """Sum of (p - q) ln(p / q), the symmetrised Kullback-Leibler divergence (Jeffreys 1946; Siddiqi, Credit Risk Scorecards,
    2006). Empty groups count as 1 in 10,000. Usual words: under .1 stable, above .25 moved, whatever the rows."""
    p, q = (np.maximum(shares(side), _EMPTY) for side in (current, reference))
    return np.where(both(reference, current), ((p - q) * np.log(p / q)).sum(axis=-1), 0.0)


def jensen_shannon(reference: Floats, current: Floats) -> Floats:
    """Square root of the Jensen-Shannon divergence in bits (Endres and Schindelin 2003): a metric from 0 to 1."""
    p, q = shares(current), shares(reference)
    middle = (p + q) / 2
    divergence = np.zeros(middle.shape[:-1])
    for side in (p, q):
        with np.errstate(invalid="ignore", divide="ignore"):
            divergence += np.where(side > 0, side * np.log2(side / middle), 0.0).sum(axis=-1) / 2
    return np.where(both(reference, current), np.sqrt(np.clip(divergence, 0.0, 1.0)), 0.0)


def wasserstein(feature: Numeric, reference: Floats, current: Floats) -> Floats:
    """Integral of |F - G| (the distance of Vaserstein 1969 with p = 1), in standard deviations of the reference; rows lie evenly
    in their cells. What is in the two outermost cells counts as lying at the last edge, so it is a lower bound there. reference:
    `[cells]`."""
    spread = standard_deviation(feature, reference)
    if not spread:
        return np.zeros(current.shape[:-1])
    edges = np.array(feature.edges)
    gap = (np.cumsum(shares(current), axis=-1) - np.cumsum(shares(reference)))[..., :-1]
    start, end, width = gap[..., :-1], gap[..., 1:], np.diff(edges)
    with np.errstate(invalid="ignore", divide="ignore"):
        crossed = (start**2 + end**2) / (2 * (np.abs(start) + np.abs(end)))
    area = np.where(start * end < 0, crossed, (np.abs(start) + np.abs(end)) / 2)
    return np.where(both(reference, current), (area * width).sum(axis=-1) / spread, 0.0)


def standard_deviation(feature: Numeric, cells: Floats) -> float:
    """Of rows that lie evenly in their cells `[cells]`; those in the two outermost cells lie at the last edge."""
    # Squares of numbers such as 1e200 are beyond float64, those of 1e-200 are 0; a power of two changes no digit.
    unit = math.ldexp(1.0, math.frexp(max(abs(feature.edges[0]), abs(feature.edges[-1])))[1] - 1)
    edges = np.array(feature.edges) / unit
    middles = np.concatenate([edges[:1], (edges[:-1] + edges[1:]) / 2, edges[-1:]])
    within = np.concatenate([[0.0], np.diff(edges) ** 2 / 12, [0.0]])
    weights = shares(cells)
    mean = float(weights @ middles)
    return unit * math.sqrt(max(float(weights @ ((middles - mean) ** 2 + within)), 0.0))


def _tenths(reference: Floats, cells: Floats) -> Floats:
    """Cells `[..., cells]` summed into the groups that split the reference nearest to its tenths; fewer where a value fills more than one."""
    cumulative = np.cumsum(shares(reference))
    cuts = sorted({int(np.argmin(np.abs(cumulative - tenth / 10))) + 1 for tenth in range(1, 10)})
    return np.add.reduceat(cells, [0, *(cut for cut in cuts if cut < len(reference))], axis=-1)


def _with_unseen(side: Parts) -> Floats:
    return np.concatenate([side.cells, side.unseen[..., None]], axis=-1)
