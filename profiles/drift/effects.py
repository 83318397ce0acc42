"""How far two count vectors of one feature lie apart, whatever the number of rows: effects without the bias of small samples.

All functions take stacks: counts int or float `[..., size]` of the feature's group (`layout`), and answer float64 `[...]`, so
that a year of blocks is one call. Counters with the noise of differential privacy are cut at 0. An effect is 0 where
either side has no row to say anything.

Two samples of one distribution never agree, and small ones less. Each effect is therefore freed of what chance alone would
add: numbers and missing in the square (the expectation of the square under equality is taken off), categories term by term.
Blocks of 200 and of 20,000 rows then have comparable effects; what chance may do is the matter of `significance`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlpack_edge.profiles.spec import Categorical, Feature, Numeric

Floats = NDArray[np.float64]

#: E[K^2] of the largest distance of a Brownian bridge from 0 (Kolmogorov 1933): pi^2 / 12.
_BRIDGE = np.pi**2 / 12
#: E|z| / E[b(z)] of a standard normal z, with b as in `_folded`: the corrected sum is then 0 on average where nothing moved.
_FOLD = 1 + np.sqrt(2)
#: How often noise may lift any category out of all (by the bound of the normal's tail), and the rows expected or seen of one that
#: does.
_STANDS_OUT, _FULL = 0.01, 5.0


@dataclass(frozen=True, slots=True)
class Effects:
    """Of one feature, float64 `[...]`: distribution: Kolmogorov-Smirnov distance of numbers, total variation of categories
    (the share of rows that changed cell), 0 for features of which only presence is counted; missing: |difference of the
    missing rate|; unseen: by how much the rate of unseen categories, or of values that are not numbers, rose."""

    distribution: Floats
    missing: Floats
    unseen: Floats


@dataclass(frozen=True, slots=True)
class Parts:
    """The counters of a group by meaning: cells float64 `[..., cells]`, the others and all rows `[...]`."""

    cells: Floats
    missing: Floats
    unseen: Floats
    rows: Floats


def parts(feature: Feature, counts: ArrayLike) -> Parts:
    """Split a group's counters. `unseen` holds the values that are not numbers of a numeric feature; no cells for presence."""
    return split(feature, np.maximum(np.asarray(counts, np.float64), 0.0))


def split(feature: Feature, given: Floats) -> Parts:
    """`parts` of counters as they are: negative ones of noise stay so."""
    rows = given.sum(axis=-1)
    if isinstance(feature, Numeric):
        return Parts(given[..., :-2], given[..., -2], given[..., -1], rows)
    if isinstance(feature, Categorical):
        return Parts(given[..., :-2], given[..., -1], given[..., -2], rows)
    return Parts(given[..., :0], given[..., -1], np.zeros_like(rows), rows)


def effects(feature: Feature, reference: ArrayLike, current: ArrayLike) -> Effects:
    """All effects of `current` against `reference`, counts `[..., feature.size]` that broadcast."""
    one, other = parts(feature, reference), parts(feature, current)
    distance = ks_effect if isinstance(feature, Numeric) else variation_effect
    return Effects(
        distance(one.cells, other.cells),
        rate_effect(one.missing, one.rows, other.missing, other.rows),
        np.maximum(rate_difference(one.unseen, one.rows, other.unseen, other.rows), 0.0),
    )


def ks_distance(reference: Floats, current: Floats) -> Floats:
    """max |F - G| over the edges of cells `[..., cells]` in order."""
    gap = np.abs(_cumulative(reference) - _cumulative(current))
    return np.asarray(np.where(both(reference, current), gap.max(axis=-1, initial=0.0), 0.0))


def ks_effect(reference: Floats, current: Floats) -> Floats:
    """sqrt(max(0, D^2 - E0[D^2])). E0 is pi^2/12 over the effective rows nm/(n+m); for few cells at most the sum of F(1-F)
    over the edges, which is what two cells have exactly."""
    expected = _bridge(reference + current) / effective_rows(reference, current)
    return np.asarray(np.sqrt(np.maximum(ks_distance(reference, current) ** 2 - expected, 0.0)))


def chance(feature: Feature, cells: Floats) -> Floats:
    """What chance alone makes of the square of the effect, times the effective rows, cells `[..., cells]`: E0[D^2] of numbers; of
    categories about the variance of the corrected total variation."""
    if isinstance(feature, Numeric):
        return _bridge(cells)
    share = shares(cells)
    held = (share > 0).sum(axis=-1)
    return np.asarray((share * (1 - share)).sum(axis=-1) / 4 * held / np.maximum(held - 1, 1))


def total_variation(reference: Floats, current: Floats) -> Floats:
    """Half the sum of |p - q| over cells `[..., cells]`."""
    gap = np.abs(shares(reference) - shares(current)).sum(axis=-1) / 2
    return np.asarray(np.where(both(reference, current), gap, 0.0))


def variation_effect(reference: Floats, current: Floats, noise: Floats | float = 0.0) -> Floats:
    """Total variation less what chance adds to it.

    |p - q| of a cell is folded normal: mean |d| + s b(d/s) with b(z) = 2 phi(z) - 2|z| Phi(-|z|) and s^2 = p(1-p)/effective
    rows. Each cell's bias is taken at its observed z and scaled so that the sum is 0 on average where nothing moved.
    What categories gained equals what others lost. Where one stands out on one side only (a category gains and all others lose a
    little), that side tells the amount; else it is the mean of both. noise: variance that is added to each share of `current`,
    which may then be negative.
    """
    rows = effective_rows(reference, current)[..., None]
    pooled = shares(reference + current)
    spread = np.sqrt(np.clip(pooled * (1 - pooled), 0.0, None) / rows + noise)
    gap = np.abs(shares(reference) - shares(current))
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(spread > 0, gap / spread, 0.0)
    freed = gap - _FOLD * spread * _folded(z)
    grew = shares(current) > shares(reference)
    gained, lost = (freed * grew).sum(axis=-1), (freed * ~grew).sum(axis=-1)
    beyond = np.sqrt(2 * np.log(np.maximum((pooled > 0).sum(axis=-1), 1) / _STANDS_OUT))
    # z is no normal number where a handful of rows is expected and seen.
    full = np.maximum(shares(reference), shares(current)) * np.minimum(*_sizes(reference, current)) >= _FULL
    rise, fall = ((z * (side & full)).max(axis=-1, initial=0.0) > beyond for side in (grew, ~grew))
    freed = np.where(rise & ~fall, gained, np.where(fall & ~rise, lost, (gained + lost) / 2))
    return np.asarray(np.where(both(reference, current), np.maximum(freed, 0.0), 0.0))


def rate_difference(reference: Floats, rows: Floats, current: Floats, current_rows: Floats) -> Floats:
    """Rate of `current` less rate of `reference`, 0 where one has no rows. Unbiased as it is."""
    there = (rows > 0) & (current_rows > 0)
    gap = current / np.maximum(current_rows, 1) - reference / np.maximum(rows, 1)
    return np.asarray(np.where(there, gap, 0.0))


def rate_effect(reference: Floats, rows: Floats, current: Floats, current_rows: Floats) -> Floats:
    """sqrt(max(0, d^2 - Var d)) for the difference d of two rates; the variance is the unbiased estimate of each side."""
    one, other = reference / np.maximum(rows, 1), current / np.maximum(current_rows, 1)
    variance = one * (1 - one) / np.maximum(rows - 1, 1) + other * (1 - other) / np.maximum(current_rows - 1, 1)
    gap = rate_difference(reference, rows, current, current_rows)
    return np.asarray(np.sqrt(np.maximum(gap**2 - variance, 0.0)))


def effective_rows(reference: Floats, current: Floats) -> Floats:
    """nm / (n + m) of cells `[..., cells]`, at least a tiny number so that it divides."""
    one, other = reference.sum(axis=-1), current.sum(axis=-1)
    return np.asarray(np.maximum(one * other / np.maximum(one + other, 1), 1e-9))


def _sizes(reference: Floats, current: Floats) -> tuple[Floats, Floats]:
    return reference.sum(axis=-1, keepdims=True), current.sum(axis=-1, keepdims=True)


def shares(cells: Floats) -> Floats:
    """Cells over their sum, zeros where there is none."""
    return np.asarray(cells / np.maximum(cells.sum(axis=-1, keepdims=True), 1))


def _cumulative(cells: Floats) -> Floats:
    return np.cumsum(shares(cells), axis=-1)[..., :-1]


def _bridge(cells: Floats) -> Floats:
    cumulative = _cumulative(cells)
    return np.asarray(np.minimum((cumulative * (1 - cumulative)).sum(axis=-1), _BRIDGE))


def both(reference: Floats, current: Floats) -> NDArray[np.bool_]:
    """Whether both of cells `[..., cells]` hold a row."""
    return np.asarray((reference.sum(axis=-1) > 0) & (current.sum(axis=-1) > 0))


def _folded(z: Floats) -> Floats:
    """b(z) = E|N(z, 1)| - |z|; the normal tail by Abramowitz and Stegun 26.2.17, which puts b off by less than 1e-6."""
    size = np.minimum(np.abs(z), 38.0)
    density = np.exp(-(size**2) / 2) / np.sqrt(2 * np.pi)
    t = 1 / (1 + 0.2316419 * size)
    series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    return np.asarray(2 * density - 2 * size * density * series)
