"""Whether numbers look like the reference's in another unit: the mistakes that a pipeline makes again and again. numpy."""

from __future__ import annotations

import math

import numpy as np

from mlpack_edge.profiles.drift.effects import Floats, ks_distance, shares
from mlpack_edge.profiles.spec import Numeric

#: Factors between units in use, and what they are, nearest to 1 first among their like.
_FACTORS = (
    2.0,
    10.0,
    100.0,
    1_000.0,
    1e6,
    12.0,
    24.0,
    60.0,
    3_600.0,
    86_400.0,
    1.609344,
    3.28084,
    2.54,
    2.204623,
    0.4535924,
    3.6,
)
#: Numbers that are added: Celsius and Kelvin.
_OFFSETS = (273.15, -273.15)
#: A distance below which two distributions are taken as one, and the share of the distance as it was.
_NEAR, _BETTER = 0.02, 1 / 4


def resemblance(feature: Numeric, reference: Floats, current: Floats) -> str:
    """In words what turns the reference's values into the current ones, cells float64 `[cells]`; "" where nothing does.

    Each change is applied to the reference's distribution (rows lie evenly in their cells) and held against the current one at
    the edges. Where all rows lie beyond the cells larger factors fit as well, and the words say "or more".
    """
    n = float(current.sum())
    if not n or not reference.sum():
        return ""
    before = float(ks_distance(reference, current))
    limit = min(_NEAR + 1.36 / math.sqrt(n), before * _BETTER)
    fits = [
        (abs(math.log(scale)) if scale > 0 and not offset else 0.0, words)
        for scale, offset, words in _changes()
        if _distance(feature, reference, current, scale, offset) <= limit
    ]
    if not fits:
        return ""
    fits.sort()
    more = " or more" if fits[-1][0] > fits[0][0] * 1.2 and fits[0][0] > 0 else ""
    return fits[0][1].replace(" the reference's", f"{more} the reference's") if more else fits[0][1]


def _changes() -> list[tuple[float, float, str]]:
    found = [(-1.0, 0.0, "the reference's with the other sign")]
    for factor in _FACTORS:
        found.append((factor, 0.0, f"{factor:,.7g} times the reference's"))
        found.append((1 / factor, 0.0, f"1/{factor:,.7g} of the reference's"))
    found.append((1.8, 32.0, "1.8 times the reference's plus 32 (degrees Celsius as Fahrenheit)"))
    found.append((1 / 1.8, -32 / 1.8, "the reference's less 32, over 1.8 (degrees Fahrenheit as Celsius)"))
    return found + [(1.0, offset, f"the reference's {offset:+} (Kelvin and Celsius)") for offset in _OFFSETS]


def _distance(feature: Numeric, reference: Floats, current: Floats, scale: float, offset: float) -> float:
    edges = np.array(feature.edges)
    before, now = np.cumsum(shares(reference))[:-1], np.cumsum(shares(current))[:-1]
    moved = np.interp((edges - offset) / scale, edges, before, left=0.0, right=1.0)
    if scale < 0:
        moved = 1 - moved
    return float(np.abs(moved - now).max())
