"""Limits that come from the reference's own windows."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from mlpack_edge.profiles.drift import thresholds
from mlpack_edge.profiles.drift.effects import chance, effective_rows, ks_effect, variation_effect
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.spec import Categorical, Numeric, Source, Spec
from tests.profiles.drift.made import spec_of


@pytest.mark.parametrize("rows", [200, 2_000])
@pytest.mark.parametrize(
    ("cells", "numeric", "law"),
    [
        (50, True, thresholds.NUMBERS),
        (5, True, thresholds.NUMBERS),
        (2, True, thresholds.FEW_NUMBERS),
        (2, False, thresholds.CATEGORIES),
        (6, False, thresholds.CATEGORIES),
        (31, False, thresholds.CATEGORIES),
    ],
)
def test_the_laws_of_chance_are_what_simulation_gives(
    rows: int, cells: int, numeric: bool, law: thresholds.Law
) -> None:
    rng = np.random.default_rng(cells)
    share = rng.dirichlet(np.ones(cells) * 3)
    reference = rng.multinomial(100 * rows, share)[None].astype(float)
    current = rng.multinomial(rows, share, size=20_000).astype(float)
    source = Source("x", "input")
    feature = Numeric(source, (), 0, 1, 0, 1) if numeric else Categorical(source, (), ())
    effect = (ks_effect if numeric else variation_effect)(reference, current)
    scaled = effect**2 * effective_rows(reference, current) / chance(feature, reference)
    assert np.quantile(scaled, 0.98) < law.often * 1.15
    assert scaled.mean() < law.mean * 1.15 and scaled.std() < law.spread * 1.15
    beyond = np.maximum(scaled - law.often, 0.0)
    assert beyond.mean() < law.beyond * 1.15 and beyond.std() < law.beyond_spread * 1.15
    if cells != 5:  # numbers of few values are further from alarming
        assert scaled.mean() > law.mean * 0.8 and beyond.mean() > law.beyond * 0.4


def _spec(rng: np.random.Generator, apart: float, blocks: int = 120, rows: int = 400, unit: str = "day") -> Spec:
    of = np.repeat(np.arange(blocks), rows)
    levels = rng.normal(size=blocks) * apart
    kinds = np.searchsorted([-1.0, 0.0, 1.0], rng.normal(size=len(of)) + levels[of])
    return spec_of(
        {"x": rng.normal(size=len(of)) + levels[of], "kind": np.array(list("abcd"), object)[kinds]}, of, unit=unit
    )


def _limits(spec: Spec, length: float, rows: int) -> list[float]:
    return [thresholds.learned(spec, group, length, rows)["distribution"] for group in groups(spec)[:2]]


def test_blocks_of_one_distribution_set_no_limit() -> None:
    rng = np.random.default_rng(0)
    quiet = sum(limit == 0 for _ in range(10) for limit in _limits(_spec(rng, 0.0), 1, 400))
    assert quiet >= 19


def test_blocks_that_differ_a_little_set_one_though_no_single_block_shows_it() -> None:
    """.1 sd: a fifth of what the largest of 120 blocks of 400 rows reaches by chance comes on top of it."""
    rng = np.random.default_rng(1)
    assert sum(limit > 0 for _ in range(10) for limit in _limits(_spec(rng, 0.1), 1, 400)) >= 19


def test_a_few_days_that_stand_out_of_a_quiet_year_set_one() -> None:
    """Four of 365 days lie .7 sd off, which moves the mean over all days by less than chance does; four of .1 do not show."""

    def limits_of(apart: float, seed: int) -> list[float]:
        rng = np.random.default_rng(seed)
        of = np.repeat(np.arange(365), 100)
        levels = np.where(np.arange(365) % 120 == 4, apart, 0.0)[of]
        kinds = np.searchsorted([-1.0, 0.0, 1.0], rng.normal(size=len(of)) + levels)
        return _limits(
            spec_of({"x": rng.normal(size=len(of)) + levels, "kind": np.array(list("abcd"), object)[kinds]}, of), 1, 100
        )

    assert sum(limit > 0 for seed in range(4) for limit in limits_of(0.7, seed)) >= 7
    assert sum(limit > 0 for seed in range(4) for limit in limits_of(0.1, seed)) <= 1


def test_the_limit_of_blocks_that_differ_covers_windows_with_more_rows() -> None:
    """Days differ by .3 sd; a window of one day has 20,000 rows where the blocks had 400."""
    rng = np.random.default_rng(2)
    for limit in _limits(_spec(rng, 0.3), 1, 20_000):
        assert 0.2 < limit < 0.5


def test_few_windows_are_stretched_and_no_limit_reaches_one() -> None:
    rng = np.random.default_rng(3)
    spec = _spec(rng, 0.3)
    week = spec.reference.learned["x"].thresholds[7]
    assert week.windows == 17
    assert _limits(spec, 7, 2_800)[0] == pytest.approx(week.distribution * np.sqrt(np.log(100) / np.log(17)), rel=0.01)
    wild = replace(week, windows=2, distribution=0.7)
    taught = {"x": replace(spec.reference.learned["x"], thresholds={7: wild}), "kind": spec.reference.learned["kind"]}
    spec = replace(spec, reference=replace(spec.reference, learned=taught))
    assert _limits(spec, 7, 2_800)[0] == pytest.approx(0.85)


def test_a_window_is_as_long_as_its_days_or_its_rows() -> None:
    rng = np.random.default_rng(4)
    assert thresholds.blocks_in(_spec(rng, 0, unit="day"), 7, 10) == 7
    assert thresholds.blocks_in(_spec(rng, 0, unit="hour"), 7, 10) == 7 * 24
    assert thresholds.blocks_in(_spec(rng, 0, unit="rows"), 7, 1_200) == 3
    assert thresholds.blocks_in(_spec(rng, 0, unit="day"), None, 1_200) == 3


def _dated(spec: Spec, rows: tuple[int, ...] | None = None, span: int | None = None) -> Spec:
    blocks = spec.reference.blocks
    last = str(date(2026, 1, 1) + timedelta((span or len(blocks.rows)) - 1))
    blocks = replace(blocks, first="2026-01-01", last=last, rows=rows or blocks.rows)
    return replace(spec, reference=replace(spec.reference, blocks=blocks))


def test_a_week_of_which_two_days_have_rows_may_lie_further_away() -> None:
    """Judged by the limit of a week, which whole weeks set, two days that are as they were would alarm."""
    spec = _dated(_spec(np.random.default_rng(5), 0.3))
    gaps = [thresholds.gap(spec, 7, held) for held in (None, 7.0, 6.1, 3.5, 1.0)]
    assert gaps == [0, 0, 0, 0.5, pytest.approx(6 / 7)]
    for group in groups(spec)[:2]:
        limits = thresholds.limits(spec, group)
        day, week = (limits.of(length, 400)["distribution"] for length in (1, 7))
        assert limits.of(7, 400, 7, 0.5)["distribution"] == pytest.approx(min(day, week + day / 2))
        assert limits.of(7, 400, 7, 6 / 7)["distribution"] == pytest.approx(day) and day > 1.3 * week


def test_weekends_that_the_reference_leaves_out_are_no_gap() -> None:
    spec = _spec(np.random.default_rng(5), 0.3, blocks=100)
    assert thresholds.gap(_dated(spec, span=140), 7, 5.0) == 0
    quiet_weekends = _dated(spec, tuple([400] * 5 + [30] * 2)[:7] * 14 + (400, 400))
    assert thresholds.gap(quiet_weekends, 7, 5.2) == 0
    assert thresholds.gap(quiet_weekends, 7, 2.0) > 0.5


def test_a_window_of_few_rows_has_the_chance_of_few_rows() -> None:
    """Days of 2,000 rows that differ: half an hour of one of them is no better known than its rows allow."""
    spec = _spec(np.random.default_rng(6), 0.3, rows=1_000)
    for group in groups(spec)[:2]:
        limits = thresholds.limits(spec, group)
        small, same = limits.of(1, 60)["distribution"], limits.of(1, 1_000)["distribution"]
        assert small**2 - same**2 == pytest.approx(limits.often * limits.chance * (1 / 60 - 1 / 1_000), rel=0.01)


def test_what_small_blocks_cannot_show_is_the_limit_of_large_windows() -> None:
    """Days differ by .05 sd, of which blocks of 30 rows show nothing; windows of 20,000 rows see it every day."""
    rng = np.random.default_rng(7)
    spec = _spec(rng, 0.05, rows=30)
    for group in groups(spec)[:2]:
        limits = thresholds.limits(spec, group)
        assert limits.alike and limits.of(1, 30)["distribution"] == 0
        assert 0.05 < limits.of(1, 20_000)["distribution"] < 0.25
    blocks = _spec(rng, 0.0, rows=500)
    assert max(_limits(blocks, 1, 1_000)) < 0.03, "windows twice as large hardly"
