"""Probabilities of what was seen if nothing had moved, without scipy. Each answers a two-sided p-value unless it says so.

Special functions after Press et al., Numerical Recipes (3rd edition), 6.2 and 6.4: series and Lentz's continued fractions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: A continued fraction or series is done when a term changes it by less.
_SMALL = 1e-15
_TINY = 1e-300


def kolmogorov(distance: float, rows: float) -> float:
    """P(D >= distance) for `rows` effective rows nm/(n+m): Kolmogorov's limit with Stephens' (1970) correction for few rows.
    Too large, so on the safe side, where values repeat or are counted in cells."""
    root = math.sqrt(max(rows, 0.0))
    x = float((root + 0.12 + 0.11 / root) * distance) if root > 0 else 0.0
    if x < 0.2:  # the series does not converge, and the answer is 1 to 12 digits
        return 1.0
    if x < 1.18:  # the theta function turned round (Jacobi): converges where the other does not
        sums = sum(math.exp(-((2 * j - 1) ** 2) * math.pi**2 / (8 * x * x)) for j in range(1, 8))
        return min(1.0, max(0.0, 1 - math.sqrt(2 * math.pi) / x * sums))
    return min(1.0, 2 * sum((1 if j % 2 else -1) * math.exp(-2 * j * j * x * x) for j in range(1, 8)))


def normal(z: float) -> float:
    """P(|Z| >= |z|)."""
    return math.erfc(abs(z) / math.sqrt(2))


def chi_square(statistic: float, degrees: float) -> float:
    """P(chi-square of `degrees` >= statistic), the regularised upper incomplete gamma function. One-sided as the test is."""
    if degrees <= 0 or statistic <= _TINY:
        return 1.0
    a, x = degrees / 2, statistic / 2
    scale = math.exp(max(-x + a * math.log(x) - math.lgamma(a), -745.0))
    if x < a + 1:
        term = total = 1 / a
        n = a
        while abs(term) > abs(total) * _SMALL:
            n += 1
            term *= x / n
            total += term
        return min(1.0, max(0.0, 1 - total * scale))
    return min(1.0, scale * _gamma_fraction(a, x))


def student(t: float, degrees: float) -> float:
    """P(|T| >= |t|), Student's t with `degrees`, which need not be whole."""
    if degrees <= 0 or math.isnan(t):
        return 1.0
    if math.isinf(t):
        return 0.0
    if abs(t) < 1:  # the complement, of which nothing is lost
        return 1 - incomplete_beta(0.5, degrees / 2, t * t / (degrees + t * t))
    return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    turned = x > (a + 1) / (a + b + 2)  # the fraction converges on the near side of the mean only
    if turned:
        a, b, x = b, a, 1 - x
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    found = min(1.0, math.exp(max(log, -745.0)) * _beta_fraction(a, b, x) / a)
    return 1 - found if turned else found


def two_rates(reference: int, reference_rows: int, current: int, current_rows: int) -> float:
    """Fisher's exact test of two rates with the mid-p correction (Lancaster 1961), doubled: what is rare needs no normal
    approximation. Terms of the hypergeometric distribution are summed outwards from the one seen."""
    middle = _middle(reference, reference_rows, current, current_rows)
    beyond = _tail(reference, reference_rows, current, current_rows, 1 if current >= middle else -1)
    return min(1.0, 2 * min(beyond, 1 - beyond))


def rate_rose(reference: int, reference_rows: int, current: int, current_rows: int) -> float:
    """As `two_rates`, one-sided: the probability of as many or more in `current`."""
    return min(1.0, _tail(reference, reference_rows, current, current_rows, 1))


def two_samples(reference: Floats, current: Floats, expected: float = 5.0) -> tuple[Floats, Ints]:
    """Pearson's chi-square of count vectors `[..., cells]` that broadcast and its degrees of freedom, each `[...]`; 0.0 and 0 where
    nothing can be said.

    Cells that either sample is expected to hold fewer than `expected` times are counted together (Cochran 1954), or the tail
    of the distribution would be too heavy.
    """
    rows, others = reference.sum(axis=-1)[..., None], current.sum(axis=-1)[..., None]
    all_rows = np.maximum(rows + others, 1)
    pooled = reference + current
    few = pooled * np.minimum(rows, others) / all_rows < expected
    whole = _joined(pooled, few)
    statistic = np.zeros(pooled.shape[:-1])
    for side, size in ((reference, rows), (current, others)):
        wanted = whole * size / all_rows
        with np.errstate(invalid="ignore", divide="ignore"):
            statistic += np.where(whole > 0, (_joined(side, few) - wanted) ** 2 / wanted, 0.0).sum(axis=-1)
    held = ((rows > 0) & (others > 0))[..., 0]
    return np.where(held, statistic, 0.0), np.where(held, (whole > 0).sum(axis=-1) - 1, 0)


def rank_sum(reference: Floats, current: Floats) -> Floats:
    """z `[...]` of the Wilcoxon-Mann-Whitney test on ordered cells `[..., cells]` that broadcast, with the exact variance of ties
    (Lehmann 1975, 1.4); positive where `current` is larger, 0.0 where nothing can be said. A shift of the middle shows here with a
    fraction of the rows that the largest distance needs."""
    n, m = reference.sum(axis=-1), current.sum(axis=-1)
    pooled = reference + current
    total = n + m
    ranks = np.cumsum(pooled, axis=-1) - (pooled - 1) / 2
    excess = (current * ranks).sum(axis=-1) - m * (total + 1) / 2
    ties = (pooled**3 - pooled).sum(axis=-1) / np.maximum(total * (total - 1), 1)
    variance = np.where(total >= 2, n * m / 12 * (total + 1 - ties), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(variance > 0, excess / np.sqrt(variance), 0.0)


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Adjusted p-values (Benjamini and Hochberg 1995): at most q means rejected with the false discovery rate held at q."""
    order = sorted(range(len(p)), key=lambda i: p[i], reverse=True)
    adjusted = [1.0] * len(p)
    least = 1.0
    for place, i in enumerate(order):
        least = min(least, p[i] * len(p) / (len(p) - place))
        adjusted[i] = least
    return adjusted


def _joined(cells: Floats, few: NDArray[np.bool_]) -> Floats:
    """Cells with the few taken out, and behind them the sum of the few."""
    return np.concatenate([np.where(few, 0.0, cells), np.where(few, cells, 0.0).sum(axis=-1)[..., None]], axis=-1)


def _middle(reference: int, reference_rows: int, current: int, current_rows: int) -> int:
    """The likeliest count of `current`, both rates being one."""
    return (reference + current + 1) * (current_rows + 1) // (reference_rows + current_rows + 2)


def _tail(reference: int, reference_rows: int, current: int, current_rows: int, step: int) -> float:
    """Half the probability of `current` and all of what lies beyond it in the direction of `step`, both rates being one."""
    total, marked = reference_rows + current_rows, reference + current
    if not reference_rows or not current_rows or not marked:
        return 0.5

    def choose(n: int, k: int) -> float:
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

    least, most = max(0, marked - reference_rows), min(marked, current_rows)
    middle = _middle(reference, reference_rows, current, current_rows)
    x = current
    # From a place on the near side of the middle, what lies beyond is nearly everything: sum the smaller side.
    if (x - middle) * step < 0:
        return 1 - _tail(reference, reference_rows, current, current_rows, -step)
    log = choose(marked, x) + choose(total - marked, current_rows - x) - choose(total, current_rows)
    here = math.exp(max(log, -745.0))
    probability, term = here / 2, here
    while least <= x + step <= most:
        if step > 0:
            term *= (marked - x) * (current_rows - x) / ((x + 1) * (reference_rows - marked + x + 1))
        else:
            term *= x * (reference_rows - marked + x) / ((marked - x + 1) * (current_rows - x + 1))
        x += step
        probability += term
        if term < probability * _SMALL:
            break
    return probability


def _gamma_fraction(a: float, x: float) -> float:
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    result = d
    for i in range(1, 10_000):
        term = -i * (i - a)
        b += 2
        d = 1 / _away(term * d + b)
        c = _away(b + term / c)
        result *= c * d
        if abs(c * d - 1) < _SMALL:
            break
    return result


def _beta_fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            change = c * d
            result *= change
        if abs(change - 1) < _SMALL:
            break
    return result


def _away(number: float) -> float:
    """Not 0, so that it divides."""
    return number if abs(number) > _TINY else _TINY
