"""Every probability is scipy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from mlpack_edge.profiles.drift import significance as s


@given(st.floats(0, 1_500), st.floats(0.5, 500))
def test_chi_square_is_scipys(statistic: float, degrees: float) -> None:
    assert s.chi_square(statistic, degrees) == pytest.approx(stats.chi2.sf(statistic, degrees), rel=1e-9, abs=1e-14)


@given(st.floats(-60, 60), st.floats(1, 2_000))
def test_student_is_scipys(t: float, degrees: float) -> None:
    assert s.student(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), rel=1e-8, abs=1e-14)


@given(st.floats(0.1, 200), st.floats(0.1, 200), st.floats(0, 1))
def test_the_incomplete_beta_function_is_scipys(a: float, b: float, x: float) -> None:
    assert s.incomplete_beta(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-8, abs=1e-13)


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 1), st.floats(30, 3_000))
def test_kolmogorov_is_the_exact_distribution_within_a_hundredth(distance: float, rows: float) -> None:
    exact = stats.kstwo.sf(distance, round(rows))
    assert s.kolmogorov(distance, round(rows)) == pytest.approx(exact, rel=0.05, abs=0.008)


@given(st.floats(0.3, 6))
def test_kolmogorov_with_many_rows_is_scipys_limit(x: float) -> None:
    assert s.kolmogorov(x / 1e8, 1e16) == pytest.approx(special.kolmogorov(x), rel=1e-6, abs=1e-13)


@given(st.floats(-38, 38))
def test_normal_is_scipys(z: float) -> None:
    assert s.normal(z) == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-11)


@settings(deadline=None)
@given(st.integers(1, 3_000), st.integers(1, 3_000), st.floats(0, 1), st.floats(0, 1))
def test_two_rates_is_the_doubled_mid_p_of_the_hypergeometric_distribution(
    n: int, m: int, one: float, two: float
) -> None:
    a, b = round(one * n), round(two * m)
    law = stats.hypergeom(n + m, a + b, m)
    up, down = law.sf(b) + law.pmf(b) / 2, law.cdf(b) - law.pmf(b) / 2
    assert s.two_rates(a, n, b, m) == pytest.approx(min(1, 2 * min(up, down)), rel=1e-6, abs=1e-10)
    assert s.rate_rose(a, n, b, m) == pytest.approx(min(1, up), rel=1e-6, abs=1e-10)


def test_two_rates_of_millions_of_rows_take_no_time_and_stay_near_the_normal_limit() -> None:
    n, m, a, b = 30_000_000, 2_000_000, 3_000_000, 201_000
    pooled = (a + b) / (n + m)
    z = (b / m - a / n) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    assert s.two_rates(a, n, b, m) == pytest.approx(2 * stats.norm.sf(z), rel=0.01)


def test_a_category_that_the_reference_never_held_is_as_likely_as_its_share_of_the_rows() -> None:
    """Three of a thousand, none of 99,000 before: (1,000 / 100,000)^3, half of it for the mid-p."""
    assert s.rate_rose(0, 99_000, 3, 1_000) == pytest.approx(0.01**3 / 2, rel=0.01)


@given(st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 4_000)), min_size=2, max_size=60))
def test_the_rank_sum_is_scipys_on_the_rows(cells: list[tuple[int, int]]) -> None:
    reference, current = (np.array(side, float) // 40 for side in zip(*cells, strict=True))
    if min(reference.sum(), current.sum()) < 2 or (reference + current > 0).sum() < 2:
        assert abs(s.rank_sum(reference, current)) < 1e6
        return
    rows = [np.repeat(np.arange(len(cells)), side.astype(int)) for side in (reference, current)]
    wanted = stats.mannwhitneyu(rows[1], rows[0], method="asymptotic", use_continuity=False).pvalue
    assert s.normal(s.rank_sum(reference, current)) == pytest.approx(wanted, rel=1e-6, abs=1e-12)


def test_chi_square_of_two_samples_is_scipys_where_all_cells_are_full() -> None:
    reference, current = np.array([300.0, 200, 120, 90]), np.array([110.0, 95, 60, 20])
    wanted = stats.chi2_contingency(np.stack([reference, current]), correction=False)
    statistic, degrees = s.two_samples(reference, current)
    assert (statistic, degrees) == (pytest.approx(wanted.statistic), wanted.dof)


def test_rare_cells_do_not_make_the_chi_square_alarm() -> None:
    """Forty categories, most of them rare: p-values below 1 in 1,000 are about as frequent as they should be."""
    rng = np.random.default_rng(0)
    share = 0.6 ** np.arange(40)
    share /= share.sum()
    reference = rng.multinomial(50_000, share).astype(float)
    p = [s.chi_square(*s.two_samples(reference, rng.multinomial(200, share).astype(float))) for _ in range(6_000)]
    assert np.mean(np.array(p) < 1e-3) < 3e-3


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_benjamini_hochberg_is_scipys(p: list[float]) -> None:
    assert s.benjamini_hochberg(p) == pytest.approx(list(stats.false_discovery_control(p)), rel=1e-12)


def test_nothing_to_compare_is_no_evidence() -> None:
    none = np.zeros(4)
    assert s.two_samples(none, np.ones(4)) == (0.0, 0)
    assert s.chi_square(0.0, 0) == s.kolmogorov(0.4, 0) == s.two_rates(0, 0, 3, 10) == s.student(3.0, 0) == 1.0
    assert s.rank_sum(none, np.ones(4)) == 0.0
