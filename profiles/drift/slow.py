"""Small shifts that last: evidence gathered day by day, which may be looked at every day. numpy.

An e-value is what a fair bet against "nothing moved" has won; it reaches 1 / alpha with a probability of at most alpha over all
days together (Ville 1939; Waudby-Smith and Ramdas 2023; Grunwald, de Heide and Koolen 2024). The bet here is the ratio of the
normal likelihoods of the mean so far, with a shift and without (Robbins' mixture, 1970), where the reference's own mean is
known from its blocks only (the right Haar mixture, Perez-Ortiz et al. 2024), averaged over sizes of the shift and over the
day on which it began.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Sizes of the shift that are bet on, in standard deviations of a row.
SIZES = (0.03, 0.1, 0.3)
#: A shift may begin on any of every so many days.
EVERY = 14
#: The reference's own estimate of how much days move is uncertain, and too small where days hang together for long: it is taken
#: this much larger, and more where it is from few blocks.
CAUTION, CAUTION_BLOCKS = 1.1, 3.0
#: Standard deviations of a day beyond which its level says no more.
FARTHEST = 3.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """e: float64 `[days]`, e-values after each day. start: the place of the day on which the likeliest shift began; shift:
    its size, the mean since then."""

    e: Floats
    start: int
    shift: float


def cautious(level_sd: float, blocks: int) -> float:
    """The standard deviation to reckon with, from the one that `blocks` blocks showed."""
    return level_sd * (CAUTION + CAUTION_BLOCKS / math.sqrt(max(blocks, 1)))


def evidence(levels: Floats, variances: Floats, offset: float, sizes: Sequence[float] = SIZES) -> Evidence:
    """Against a mean of 0. levels: float64 `[days]`, each day's level less the reference's; variances: of each, long-run (of a sum of
    days their sum); offset: the variance of the reference's mean, and of all that is common to all days. sizes: standard
    deviations of the shifts that are bet on.

    A day is believed up to FARTHEST standard deviations: normal odds of a single row of an amount, a hundred times the usual, would be
    those of a miracle."""
    days = len(levels)
    far = FARTHEST * np.sqrt(variances + offset)
    believed = np.clip(levels, -far, far)
    starts = list(range(0, days, EVERY))
    weights = np.array([1 / ((k + 1) * (k + 2)) for k in range(len(starts))])
    bets = np.ones((len(starts), days))
    shifts = np.zeros(len(starts))
    for k, start in enumerate(starts):
        precision = np.cumsum(1 / variances[start:])
        mean = np.cumsum(believed[start:] / variances[start:]) / precision
        null = 1 / precision + offset
        each = [np.log(null / (null + size**2)) / 2 + mean**2 / 2 * (1 / null - 1 / (null + size**2)) for size in sizes]
        bets[k, start:] = np.exp(np.minimum(each, 600.0)).mean(axis=0)
        shifts[k] = float((levels[start:] / variances[start:]).sum() / precision[-1])
    # Shifts that have not begun, and may never, keep their stake.
    e = weights @ bets + (1 - weights.sum())
    best = int(np.argmax(weights * bets[:, -1])) if days else 0
    return Evidence(e, starts[best] if days else 0, float(shifts[best]) if days else 0.0)
