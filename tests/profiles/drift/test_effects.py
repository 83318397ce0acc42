"""Effects say what moved, not how many rows there were."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlpack_edge.profiles.drift import effects
from mlpack_edge.profiles.spec import Categorical, Numeric, Presence, Source

EDGES = stats.norm.ppf(np.arange(1, 50) / 50)
NUMBER = Numeric(Source("x", "input"), tuple(EDGES), float(EDGES[0]), float(EDGES[-1]), 0.0, 2**-8)
KIND = Categorical(Source("k", "input"), ("a", "b", "c", "d"), ())


def _normal(rng: np.random.Generator, shift: float, rows: int, times: int) -> np.ndarray:
    cumulative = np.concatenate([[0], stats.norm.cdf(EDGES - shift), [1]])
    return rng.multinomial(rows, np.diff(cumulative), size=times).astype(float)


@pytest.mark.parametrize("rows", [200, 1_000, 5_000])
@pytest.mark.parametrize("shift", [0.2, 0.3, 0.5])
def test_the_distance_of_numbers_is_that_of_the_populations_whatever_the_rows(rows: int, shift: float) -> None:
    rng = np.random.default_rng(rows)
    reference = _normal(rng, 0, 100_000, 1)
    true = 2 * stats.norm.cdf(shift / 2) - 1
    assert effects.ks_effect(reference, _normal(rng, shift, rows, 1_000)).mean() == pytest.approx(true, abs=0.012)


@pytest.mark.parametrize("rows", [200, 1_000, 5_000])
@pytest.mark.parametrize("mix", [0.05, 0.1, 0.3])
def test_the_variation_of_categories_is_that_of_the_populations_whatever_the_rows(rows: int, mix: float) -> None:
    rng = np.random.default_rng(rows)
    before = np.array([0.35, *[0.05] * 13])
    after = before.copy()
    after[0] -= mix
    after[1] += mix
    reference = rng.multinomial(100_000, before)[None].astype(float)
    current = rng.multinomial(rows, after, size=1_000).astype(float)
    assert effects.variation_effect(reference, current).mean() == pytest.approx(mix, abs=0.006)
    raw = effects.total_variation(reference, current).mean() - mix
    assert raw > 0.01 * (rows < 5_000)  # what is taken off is there


@pytest.mark.parametrize("rows", [200, 1_000, 5_000])
def test_samples_of_one_distribution_have_small_effects(rows: int) -> None:
    rng = np.random.default_rng(rows)
    reference, current = _normal(rng, 0, 100_000, 1), _normal(rng, 0, rows, 2_000)
    chance = effects.ks_distance(reference, current).mean()
    assert effects.ks_effect(reference, current).mean() < chance / 3
    chance = effects.total_variation(reference, current).mean()
    assert effects.variation_effect(reference, current).mean() < chance / 3


def test_two_cells_are_freed_of_exactly_their_chance() -> None:
    """The square of the distance is unbiased: its mean over samples of one coin is 0 before it is cut."""
    rng = np.random.default_rng(0)
    heads = rng.binomial(500, 0.3, size=20_000)
    current = np.stack([heads, 500 - heads], axis=-1).astype(float)
    reference = np.array([[3e8, 7e8]])
    distance = effects.ks_distance(reference, current)
    pooled = 0.3 * 0.7 / effects.effective_rows(reference, current)
    assert (distance**2 - pooled).mean() == pytest.approx(0, abs=2e-5)


def test_the_rate_of_missing_is_unbiased_in_the_square() -> None:
    rng = np.random.default_rng(0)
    rows = np.full(20_000, 1_000.0)
    effect = effects.rate_effect(rows * 4, rows * 100, rng.binomial(1_000, 0.07, size=20_000) * 1.0, rows)
    assert (effect**2).mean() == pytest.approx(0.03**2, rel=0.02)


def test_effects_are_split_by_what_the_counters_mean() -> None:
    reference = [*[100] * 50, 0, 0]
    found = effects.effects(NUMBER, reference, [*[100] * 50, 500, 50])
    assert (found.distribution, found.unseen) == (0, pytest.approx(50 / 5_550))
    assert found.missing == pytest.approx(500 / 5_550, abs=1e-3)
    found = effects.effects(KIND, [400, 300, 200, 100, 0, 0, 0], [400, 300, 200, 100, 0, 250, 0])
    assert (found.distribution, found.missing, found.unseen) == (0, 0, 0.2)
    found = effects.effects(Presence(Source("id", "input"), "an identifier"), [1_000, 0], [500, 500])
    assert (found.distribution, found.unseen) == (0, 0) and found.missing == pytest.approx(0.5, abs=1e-3)


def test_fewer_unseen_than_before_is_no_effect() -> None:
    assert effects.effects(KIND, [500, 0, 0, 0, 0, 500, 0], [1_000, 0, 0, 0, 0, 0, 0]).unseen == 0


def test_stacks_of_windows_are_answered_at_once() -> None:
    rng = np.random.default_rng(0)
    blocks = np.concatenate([_normal(rng, 0, 300, 12), np.zeros((12, 2))], axis=-1)
    at_once = effects.effects(NUMBER, blocks.sum(axis=0) - blocks, blocks)
    one = effects.effects(NUMBER, blocks.sum(axis=0) - blocks[3], blocks[3])
    assert at_once.distribution.shape == (12,)
    assert at_once.distribution[3] == one.distribution


counts = st.lists(st.integers(0, 1_000), min_size=7, max_size=7)


@given(counts, counts)
def test_effects_lie_between_0_and_1_and_equal_counts_have_none(one: list[int], other: list[int]) -> None:
    for pair in ((one, other), (one, one)):
        found = effects.effects(KIND, *pair)
        every = np.array([found.distribution, found.missing, found.unseen])
        assert ((every >= 0) & (every <= 1)).all()
    assert not every.any()
