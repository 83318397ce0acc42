"""Whether numbers look like the reference's in another unit: the mistakes that a pipeline makes again and again. numpy."""

from __future__ import annotations

import math

import numpy as np

from mlpack_edge.profiles.drift.effects import Floats, ks_distance, shares
from mlpack_edge.profiles.spec import INPUT, Feature, Numeric

#: Factors between units in use; each is tried the other way round too.
_FACTORS = (
    2.0, 10.0, 100.0, 1_000.0, 1e6, 12.0, 24.0, 60.0, 3_600.0, 86_400.0, 1.609344, 3.28084, 2.54, 2.204623, 3.6,
)  # fmt: skip
#: Numbers that are added: Celsius and Kelvin.
_OFFSETS = (273.15, -273.15)
#: A distance below which two distributions are taken as one, and the share of the distance as it was.
_NEAR, _BETTER = 0.02, 1 / 4
#: Between a factor and "more" or "less": the cells leave open how much.
_OPEN = " or "
#: The share of rows in one cell from which on they are one value.
_STUCK = 0.98
#: Changes whose distances differ by less cannot be told apart; the second is divided by the root of the rows.
_ALIKE, _ALIKE_BY_CHANCE = 0.003, 0.5


def looks(feature: Feature, reference: Floats, current: Floats) -> str:
    """What is said of the values of a feature ("look like ..."), "" for nothing. What a model answers has no unit of its own."""
    if not isinstance(feature, Numeric):
        return ""
    found = resemblance(feature, reference, current) if feature.source.role == INPUT else ""
    if stuck(feature, reference, current) and (not found or _OPEN in found):
        return "are nearly all the same: a sensor that stands still, or a value that stands for missing?"
    return found and f"look like {found}: another unit?"


def resemblance(feature: Numeric, reference: Floats, current: Floats) -> str:
    """In words what turns the reference's values into the current ones, cells float64 `[cells]`; "" where nothing does.

    Each change is applied to the reference's distribution (rows lie evenly in their cells) and held against the current one at
    the edges; the nearest counts. Where all rows lie beyond the cells many are as near: then the smallest factor is told with
    "or more" ("or less"), and what is no factor beside it.
    """
    n = float(current.sum())
    if not n or not reference.sum():
        return ""
    before = float(ks_distance(reference, current))
    limit = min(_NEAR + 1.36 / math.sqrt(n), before * _BETTER)
    distances = _distances(feature, reference, current)
    nearest = float(distances.min())
    if nearest > limit:
        return ""
    alike = nearest + _ALIKE + _ALIKE_BY_CHANCE / math.sqrt(n)
    fits = [each for each, distance in zip(_CHANGES, distances.tolist(), strict=True) if distance <= alike]
    factors = sorted((abs(math.log(scale)), scale, words) for scale, offset, words in fits if scale > 0 and not offset)
    told = [words for scale, offset, words in fits if scale < 0 or offset]
    if factors:
        size, scale, words = factors[0]
        several = factors[-1][0] > size * 1.2
        told.insert(0, words + (_OPEN + ("more" if scale > 1 else "less") if several else ""))
    return ", or ".join(told)


def stuck(feature: Numeric, reference: Floats, current: Floats) -> bool:
    """Whether nearly all numbers now lie in one cell within the reference's range that held less than half of them: a sensor that
    stands still, a value that stands for missing. The cells outside are too wide to say so. Cells float64 `[cells]`."""
    if not current.sum() or not reference.sum():
        return False
    now = shares(current)
    place = int(np.argmax(now))
    inside = (
        0 < place < len(feature.edges)
        and feature.low <= feature.edges[place - 1]
        and feature.edges[place] <= feature.high
    )
    return bool(inside and now[place] >= _STUCK and shares(reference)[place] < 0.5)


def _changes() -> list[tuple[float, float, str]]:
    found = [(-1.0, 0.0, "the reference's with the other sign")]
    for factor in _FACTORS:
        found.append((factor, 0.0, f"{factor:,.7g} times the reference's"))
        found.append((1 / factor, 0.0, f"1/{factor:,.7g} of the reference's"))
    found.append((1.8, 32.0, "1.8 times the reference's plus 32 (degrees Celsius as Fahrenheit)"))
    found.append((1 / 1.8, -32 / 1.8, "the reference's less 32, over 1.8 (degrees Fahrenheit as Celsius)"))
    return found + [(1.0, offset, f"the reference's {offset:+} (Kelvin and Celsius)") for offset in _OFFSETS]


#: What is tried: a factor, what is added, and how it is called.
_CHANGES = _changes()
_SCALES = np.array([scale for scale, _, _ in _CHANGES])
_ADDED = np.array([offset for _, offset, _ in _CHANGES])


def _distances(feature: Numeric, reference: Floats, current: Floats) -> Floats:
    """Of each change of the reference from the current distribution, float64 `[changes]`."""
    edges = np.array(feature.edges)
    before, now = np.cumsum(shares(reference))[:-1], np.cumsum(shares(current))[:-1]
    places = (edges - _ADDED[:, None]) / _SCALES[:, None]
    moved = np.interp(places.ravel(), edges, before, left=0.0, right=1.0).reshape(places.shape)
    moved[_SCALES < 0] = 1 - moved[_SCALES < 0]
    return np.asarray(np.abs(moved - now).max(axis=1))
