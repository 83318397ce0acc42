"""Noise of a slice: the mean square of its error over what it says, its variance in the float model. Streamed.

The signal-to-noise ratio in dB is `10 * log10(1 / noise)`. Error and variance are taken over rows and all axes but the
slice's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Of a slice's own mean: deviations below it are no signal. A column that is 300 in every row may be 300.03.
OF_MEAN = 1e-3
#: Of the largest deviation among the slices of one output: what is that quiet says nothing (a channel that is switched off).
OF_LOUDEST = 1e-4
#: Of a proportion, whose scale is 1: a class whose score hardly ever leaves 0 is held against this deviation.
OF_PROPORTION = 0.01
#: Where nothing says what an output means: so many slices in 0..1, one of them beyond REACHED, are taken for scores of
#: classes. Fewer may be quantities of some small unit, which the floor of proportions would silence.
MANY, REACHED = 10, 0.05
#: Where an output is 0 in every row; any error that is not rounding then counts.
LEAST = 1e-6


@dataclass(slots=True)
class Moments:
    """Of every slice along one axis: numbers seen, mean, sum of squared deviations, extremes; float64 `[slices]`.

    Merged batch by batch as in Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979), so that a large mean costs no digits.
    """

    count: Floats
    mean: Floats
    squares: Floats
    low: Floats
    high: Floats

    @classmethod
    def of(cls, slices: int) -> Moments:
        return cls(
            np.zeros(slices), np.zeros(slices), np.zeros(slices), np.full(slices, np.inf), np.full(slices, -np.inf)
        )

    def add(self, values: Floats) -> None:
        """values: float64 `[slices, numbers]`; what is not finite is left out."""
        good = np.isfinite(values)
        counts = good.sum(axis=1).astype(np.float64)
        if not counts.any():
            return
        known = np.where(good, values, 0.0)
        some = np.maximum(counts, 1.0)
        mean = known.sum(axis=1) / some
        squares = (np.where(good, values - mean[:, None], 0.0) ** 2).sum(axis=1)
        total = np.maximum(self.count + counts, 1.0)
        apart = np.where(counts > 0, mean - self.mean, 0.0)
        self.squares += squares + apart**2 * self.count * counts / total
        self.mean += apart * counts / total
        self.count += counts
        self.low = np.minimum(self.low, np.where(good, values, np.inf).min(axis=1))
        self.high = np.maximum(self.high, np.where(good, values, -np.inf).max(axis=1))

    @property
    def variance(self) -> Floats:
        return self.squares / np.maximum(self.count, 1.0)


def signals(moments: Moments, *, role: str, classes: bool) -> Floats:
    """The variance that errors of each slice are held against, float64 `[slices]`, never 0.

    The slice's own, but at least that of a floor, which is the largest of

    - OF_MEAN times the slice's mean;
    - proportions (in 0..1 throughout, in an output that the signature calls probabilities or proportions, or with MANY
      such slices): OF_PROPORTION;
    - other numbers: OF_LOUDEST times the largest deviation among them, but for a regression's values (role "value"),
      which may have a unit each;
    - classes (the columns are classes of one question, so of one unit): the largest deviation among the columns, since a class
      that hardly occurs in the rows would else be judged on one row;
    - LEAST.

    So a score in 0..1 beside boxes in 0..640 counts for itself, and a channel that is always off blocks nothing unless it
    gets as loud as the floor of those that are not.
    """
    variance = moments.variance
    deviation = np.sqrt(variance)
    floor = np.maximum(OF_MEAN * np.abs(moments.mean), LEAST)
    share = proportions(moments, role)
    floor = np.where(share, np.maximum(floor, OF_PROPORTION), floor)
    if not share.all() and role != "value":
        floor = np.where(share, floor, np.maximum(floor, OF_LOUDEST * deviation[~share].max()))
    if classes:
        floor = np.maximum(floor, deviation.max(initial=0.0))
    return np.asarray(np.maximum(variance, floor**2))


def proportions(moments: Moments, role: str) -> NDArray[np.bool_]:
    """Which slices are shares of 1, see `signals`. bool `[slices]`."""
    within = (moments.low >= -1e-6) & (moments.high <= 1 + 1e-6)
    if role in ("probabilities", "proportions"):
        return np.asarray(within)
    many = role == "" and int(within.sum()) >= MANY and bool((moments.high[within] > REACHED).any())
    return np.asarray(within & many)


def squared_errors(reference: Floats, candidate: Floats) -> Floats:
    """The sum of squared errors of each slice `[slices]`, of `[slices, numbers]` each. Infinite where the candidate gives no
    number where the float model does; where the float model gives none, nothing counts."""
    good = np.isfinite(reference)
    with np.errstate(over="ignore", invalid="ignore"):
        errors = np.where(good, (np.where(good, candidate, 0.0) - np.where(good, reference, 0.0)) ** 2, 0.0)
        sums = np.asarray(errors.sum(axis=1))
    return np.where(np.isnan(sums), np.inf, sums)
