"""A spec of 50 numbers and 20 categories with about 50 cells a number, and profiles of rows drawn from its reference."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.arrays.counting import Coded, Column, ColumnTally
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.spec import INPUT, OUTPUT, Categorical, Feature, Numeric, Source, Spec
from tests.profiles.strategies import DEVICE, DIGEST, spec_of

NUMBERS, TEXTS = 50, 20
_SHAPES = ("normal", "lognormal", "uniform", "poisson", "standard_t")


def drawn(number: int, rows: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Values of the feature: one of five shapes."""
    shape = _SHAPES[number % len(_SHAPES)]
    arguments = {"poisson": (4,), "standard_t": (3,)}.get(shape, ())
    values: NDArray[np.float64] = getattr(generator, shape)(*arguments, size=rows) * 1.0
    return values


def shares(number: int) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.sort(np.random.default_rng(number).dirichlet(np.full(12, 0.7)))[::-1]
    return found


def _edges(values: NDArray[np.float64]) -> tuple[float, ...]:
    quantiles = np.unique(np.quantile(values, np.arange(1, 20) / 20))
    low, high = np.quantile(values, [0.001, 0.999])
    equal = np.linspace(low, high, 33)
    kept = [edge for edge in equal if np.abs(quantiles - edge).min() > (high - low) / 64]
    tails = (high - low) * np.array([0.25, 1, 4, 16])
    every = np.concatenate([low - tails, quantiles, kept, [low, high], high + tails])
    return tuple(np.unique([float(f"{edge:.7g}") for edge in every]).tolist())


@cache
def large_spec() -> Spec:
    """With a label, confidence, and a reference of 50,000 rows."""
    generator = np.random.default_rng(0)
    features: list[Feature] = []
    for number in range(NUMBERS):
        values = drawn(number, 50_000, generator)
        edges = _edges(values)
        low, high = edges[4], edges[-5]
        step = 2.0 ** math.floor(math.log2((high - low) / 1024))
        features.append(Numeric(Source(f"x{number}", INPUT), edges, low, high, (low + high) / 2, step))
    for number in range(TEXTS):
        features.append(Categorical(Source(f"t{number}", INPUT), tuple(f"c{place}" for place in range(12)), ("rare",)))
    features.append(Categorical(Source("label", OUTPUT), ("no", "yes"), ()))
    bare = spec_of(features, confidence=True)
    return spec_of(features, confidence=True, counts=large_profile(bare, 50_000, 0, generator).counts)


def large_profile(spec: Spec, rows: int, shift: float, generator: np.random.Generator, sequence: int = 0) -> Profile:
    """Rows of the reference; shift: how many standard deviations every number is off, and by which share categories are
    mixed otherwise."""
    columns: list[Column] = []
    for number in range(NUMBERS):
        values = drawn(number, rows, generator)
        columns.append(values + shift * _deviation(number))
    for number in range(TEXTS):
        mixed = shares(number) * (1 - min(shift, 2) / 2) + min(shift, 2) / 24
        columns.append(Coded(generator.choice(12, rows, p=mixed), [f"c{place}" for place in range(12)]))
    sure = generator.beta(5, 2, rows)
    tally = ColumnTally(spec)
    tally.add(
        columns,
        [Coded((sure > 0.6).astype(int), ["no", "yes"])],
        rows=rows,
        probabilities=np.stack([sure, 1 - sure], axis=1),
        latency=(generator.lognormal(15, 0.3, rows)).astype(np.int64),
    )
    return tally.profile(DIGEST, Window(sequence, 1_700_000_000, 1_700_086_400), device=DEVICE, cohort="canary")


@cache
def _deviation(number: int) -> float:
    return float(drawn(number, 50_000, np.random.default_rng(9)).std())


def counters(spec: Spec) -> int:
    return groups(spec)[-1].stop
