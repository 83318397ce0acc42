"""The named indices are those of the raw data, as scipy and plain numpy have them."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance

from mlpack_edge.profiles.drift.indices import indices, population_stability, standard_deviation
from mlpack_edge.profiles.reference.edges import cut
from mlpack_edge.profiles.spec import Categorical, Numeric, Presence, Source


def _feature(values: np.ndarray) -> Numeric:
    made = cut(values)
    assert made is not None
    return Numeric(Source("x", "input"), made.edges, made.low, made.high, made.centre, made.step)


def _counts(feature: Numeric, values: np.ndarray) -> np.ndarray:
    cells = np.searchsorted(feature.edges, values, side="right")
    return np.append(np.bincount(cells, minlength=feature.size - 2), [0, 0])


LAWS = {
    "normal": lambda rng, rows: rng.normal(size=rows),
    "gamma": lambda rng, rows: rng.gamma(1.5, size=rows),
    "two humps": lambda rng, rows: rng.normal(size=rows) + 6 * (rng.random(rows) < 0.3),
}


@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_numbers_whose_squares_are_beyond_float64_have_their_spread(size: float) -> None:
    rng = np.random.default_rng(3)
    plain, current = rng.normal(size=4_000), rng.normal(size=1_000) + 0.5
    wanted = indices(_feature(plain), _counts(_feature(plain), plain), _counts(_feature(plain), current))
    feature = _feature(plain * size)
    counts = _counts(feature, plain * size)
    assert standard_deviation(feature, counts[:-2] * 1.0) == pytest.approx(size, rel=0.05)
    found = indices(feature, counts, _counts(feature, current * size))
    assert found["wasserstein_sd"] == pytest.approx(wanted["wasserstein_sd"], rel=1e-3)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.3, 1.0), (0.0, 1.5), (1.0, 0.5)])
def test_numbers(law: str, shift: float, scale: float) -> None:
    rng = np.random.default_rng(3)
    reference, current = LAWS[law](rng, 40_000), LAWS[law](rng, 10_000) * scale + shift
    feature = _feature(reference)
    found = indices(feature, _counts(feature, reference), _counts(feature, current))
    spread = reference.std()
    assert standard_deviation(feature, _counts(feature, reference)[:-2] * 1.0) == pytest.approx(spread, rel=0.02)
    assert found["ks"] == pytest.approx(stats.ks_2samp(reference, current).statistic, abs=0.012)
    wanted = stats.wasserstein_distance(reference, current) / spread
    # Beyond the range of the reference cells are wide, and rows only lie somewhere in them.
    assert found["wasserstein_sd"] == pytest.approx(wanted, abs=0.02, rel=0.08)
    tenths = [-np.inf, *np.quantile(reference, np.arange(1, 10) / 10), np.inf]
    p, q = (np.histogram(side, tenths)[0] / len(side) for side in (current, reference))
    p = np.maximum(p, 1e-4)
    assert found["psi"] == pytest.approx(((p - q) * np.log(p / q)).sum(), abs=0.01, rel=0.05)
    p, q = (_counts(feature, side)[:-2] for side in (current, reference))
    assert found["jensen_shannon"] == pytest.approx(distance.jensenshannon(p, q, base=2), abs=1e-9)


def test_categories() -> None:
    feature = Categorical(Source("k", "input"), ("a", "b", "c"), ())
    reference, current = [500, 300, 200, 0, 0, 7], [400, 250, 250, 0, 100, 3]
    found = indices(feature, [*reference[:4], 0, 7], current)
    p, q = np.array([400, 250, 250, 0, 100]), np.array([500, 300, 200, 0, 0])
    assert found["jensen_shannon"] == pytest.approx(distance.jensenshannon(p, q, base=2))
    there = p + q > 0
    wanted = stats.chi2_contingency(np.stack([p[there], q[there]]), correction=False).statistic
    assert found["chi_square"] == pytest.approx(wanted)


def test_the_population_stability_index_is_its_formula_and_finite_where_a_group_is_empty() -> None:
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    assert population_stability(q * 100, p * 100) == pytest.approx(0.3 * np.log(2.5) * 2)
    assert np.isfinite(population_stability(np.array([1.0, 1.0]), np.array([1.0, 0.0])))


def test_nothing_counted_gives_zeros_and_presence_gives_none() -> None:
    feature = _feature(np.random.default_rng(0).normal(size=1_000))
    empty = np.zeros(feature.size, int)
    assert {float(value) for value in indices(feature, empty, empty).values()} == {0.0}
    assert indices(Presence(Source("id", "input"), "an identifier"), [3, 1], [2, 2]) == {}
