"""Reports with noise: the distribution is the formula's, one feature is told and nothing else, sums of many are right."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.counting import Tally
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.noise import LEAST, MILLION, MOST, discrete_laplace, variance, with_noise
from mlpack_edge.profiles.profile import LIMIT, Profile, faults, merge
from mlpack_edge.profiles.spec import INPUT, Categorical, Numeric, Presence, Source
from mlpack_edge.profiles.wire.frame import read_frame
from mlpack_edge.profiles.wire.report import ReportFormat
from tests.profiles.strategies import DEVICE, DIGEST, WINDOW, spec_of

SPEC = spec_of(
    [
        Numeric(Source("x", INPUT), (-1.0, 0.0, 1.0, 2.0), -1.0, 1.0, 0.0, 2.0**-10),
        Categorical(Source("t", INPUT), ("a", "b"), ("c",)),
        Presence(Source("id", INPUT), "free text"),
    ],
    confidence=False,
)
FORM = ReportFormat(SPEC, DIGEST)


def counted(rows: int, seed: int = 0) -> Profile:
    tally, generator = Tally(SPEC), random.Random(seed)
    for _ in range(rows):
        tally.add([generator.gauss(0, 1), generator.choice("aab"), generator.choice([None, "u"])], [], latency=5000)
    return tally.profile(DIGEST, WINDOW, device=DEVICE, cohort="blue")


@pytest.mark.parametrize("epsilon", [LEAST * 5, 300_000, MILLION, 1_234_567, 4 * MILLION])
def test_noise_has_the_distribution_of_the_formula(epsilon: int) -> None:
    """Chi-square over the integers (tails joined), against (1 - q)/(1 + q) q^|x|; it fails once in 10,000 seeds."""
    draws, below = 20_000, random.Random(epsilon).randrange
    found = np.array([discrete_laplace(epsilon, below) for _ in range(draws)])
    q = math.exp(-epsilon / MILLION)
    far = max(int(math.log(40 * (1 + q) / draws) / math.log(q)), 1)
    inside = np.arange(1 - far, far)
    shares = (1 - q) / (1 + q) * q ** np.abs(inside)
    tail = q**far / (1 + q)
    expected = draws * np.array([tail, *shares, tail])
    seen = np.array([(found <= -far).sum(), *((found == x).sum() for x in inside), (found >= far).sum()])
    assert expected.sum() == pytest.approx(draws)
    kept = expected > 1
    statistic, degrees = float(((seen - expected) ** 2 / expected)[kept].sum()), int(kept.sum()) - 1
    assert statistic < degrees + 3.8 * math.sqrt(2 * degrees) + 10
    assert found.var() == pytest.approx(variance(epsilon), rel=0.12)


def test_the_chi_square_would_see_another_epsilon() -> None:
    """The spread of 20,000 draws tells 1 from 1.1: what the test above holds is this close."""
    below = random.Random(4).randrange
    found = np.array([discrete_laplace(1_100_000, below) for _ in range(20_000)])
    assert abs(found.var() / variance(MILLION) - 1) > 0.1


@given(st.integers(1, LIMIT - 1))
def test_without_noise_there_is_no_variance_and_more_epsilon_gives_less(epsilon: int) -> None:
    assert variance(0) == 0.0
    assert variance(min(max(epsilon, LEAST), MOST - 1)) > variance(MOST)


def test_a_report_tells_one_feature_and_nothing_else() -> None:
    """Of every counter, total and sum of the others nothing is left; the draw is even over features, and of features alone."""
    below, exact, drawn = random.Random(1).randrange, counted(200), [0] * 3
    for _ in range(600):
        noisy = with_noise(SPEC, exact, MILLION, below)
        assert faults(SPEC, noisy) == []
        assert (noisy.rows, noisy.predictions, noisy.timed, set(noisy.sums)) == (0, 0, 0, {0})
        [place] = [place for place, reports in enumerate(noisy.carried) if reports]
        drawn[place] += 1
        told = groups(SPEC)[place]
        assert not any(noisy.counts[: told.start]) and not any(noisy.counts[told.stop :])
        assert (noisy.device, noisy.window, noisy.cohort) == (exact.device, exact.window, exact.cohort)
    assert min(drawn) > 150


def test_a_report_is_the_same_whatever_the_other_features_and_the_number_of_rows() -> None:
    """With the same draws, windows that agree in one feature's counters give the same bytes where that feature is told."""
    rows, more = counted(50), counted(50)
    x = groups(SPEC)[0]
    other = replace(
        more, rows=70, predictions=60, timed=3, sums=(99,), counts=(*more.counts[: x.stop], *(7,) * (len(more.counts) - x.stop))
    )  # fmt: skip
    seed = next(seed for seed in range(50) if random.Random(seed).randrange(3) == 0)
    one, two = (with_noise(SPEC, part, MILLION, random.Random(seed).randrange) for part in (rows, other))
    assert FORM.encode(one) == FORM.encode(two)


def test_one_row_more_changes_the_probability_of_a_report_by_no_more_than_e_to_the_epsilon() -> None:
    """The promise itself, by the frequencies of a counter that the row is in, at epsilon .5."""
    epsilon, draws = 500_000, 40_000
    frequencies = []
    for count in (3, 4):
        below = random.Random(count).randrange
        values, seen = np.unique([count + discrete_laplace(epsilon, below) for _ in range(draws)], return_counts=True)
        frequencies.append(dict(zip(values.tolist(), seen.tolist(), strict=True)))
    common = [x for x in frequencies[0] if min(part.get(x, 0) for part in frequencies) > 800]
    ratios = [math.log(frequencies[0][x] / frequencies[1][x]) for x in common]
    assert len(common) >= 8
    assert max(map(abs, ratios)) < 0.5 + 4 * math.sqrt(2 / 800)
    assert max(map(abs, ratios)) > 0.4, "and by no less: noise is not wasted"


def test_shares_from_many_reports_are_those_of_the_rows() -> None:
    """Noise has no mean: over 3,000 reports each estimate lies within four of its standard errors."""
    exact, below, epsilon = counted(100, 7), random.Random(9).randrange, MILLION
    merged = merge([with_noise(SPEC, exact, epsilon, below) for _ in range(3000)])
    assert faults(SPEC, merged) == []
    assert sum(merged.carried) == 3000
    for part, reports in zip(groups(SPEC)[:3], merged.carried, strict=False):
        told, known = (np.array(each.counts[part.start : part.stop], float) for each in (merged, exact))
        error = math.sqrt(variance(epsilon) * reports)
        assert (np.abs(told - reports * known) < 4 * error).all()
        assert (np.abs(told / told.sum() - known / known.sum()) < 5 * error / (reports * 100)).all()


def test_merging_reports_with_noise_adds_them_and_says_of_how_many_they_are() -> None:
    below = random.Random(2).randrange
    parts = [with_noise(SPEC, counted(20, seed), MILLION, below) for seed in range(5)]
    merged = merge(parts)
    assert merged.counts == tuple(map(sum, zip(*(part.counts for part in parts), strict=True)))
    assert merge([merge(parts[:2]), merge(parts[2:])]) == merged
    assert FORM.decode(FORM.encode(merged)) == merged
    for other in (counted(20), with_noise(SPEC, counted(20), 2 * MILLION)):
        with pytest.raises(BadInput, match="epsilon"):
            merge([*parts, other])


def test_a_report_with_noise_is_small_and_comes_back() -> None:
    noisy = with_noise(SPEC, counted(200), MILLION)
    report = FORM.encode(noisy)
    assert FORM.decode(report) == noisy
    assert read_frame(report).epsilon == MILLION
    assert len(report) < len(FORM.encode(counted(200))) + 10


@pytest.mark.parametrize("epsilon", [0, -MILLION, 1, LEAST - 1, MOST + 1, 10**12])
def test_an_epsilon_that_promises_nothing_or_leaves_nothing_is_refused(epsilon: int) -> None:
    with pytest.raises(BadInput, match="refused"):
        with_noise(SPEC, counted(1), epsilon)


def test_noise_is_given_once_and_only_where_there_is_a_feature() -> None:
    with pytest.raises(BadInput, match="has noise"):
        with_noise(SPEC, with_noise(SPEC, counted(1), MILLION), MILLION)
    bare = spec_of([], confidence=False)
    with pytest.raises(BadInput, match="no feature"):
        with_noise(bare, Tally(bare).profile(DIGEST, WINDOW), MILLION)


def test_counters_near_the_limit_stay_below_it() -> None:
    """Cut at the limit after the noise, which takes nothing from the promise: the report can always be sent."""
    largest = replace(counted(1), counts=(LIMIT - 1,) * len(counted(1).counts))
    for seed in range(20):
        FORM.encode(with_noise(SPEC, largest, LEAST, random.Random(seed).randrange))
