"""What a comparison is, whatever the samples: symmetrical, free of scale, and defined at every edge."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.core.errors import BadInput
from mlpack_edge.runtimes.measuring.comparison import compare, judge
from mlpack_edge.runtimes.measuring.result import BenchResult, Launch
from tests.runtimes.measuring.simulated import BUSY, MACHINE, SWAMPED, Load, launch, result, side_by_side

LOADS = st.sampled_from([BUSY, SWAMPED])


def _pair(seed: int, load: Load, slower: float = 1.1, rounds: int = 4) -> list[BenchResult]:
    return side_by_side(np.random.default_rng(seed), (2e6, 2e6 * slower), load, rounds, turns=6, calls=4)


def _mapped(one: BenchResult, change: Any) -> BenchResult:
    """The same result with `change(samples, clean)` of every block."""
    launches = []
    for each in one.launches:
        blocks = [change(ns, clean) for ns, clean in zip(each.blocks_ns, each.clean, strict=True)]
        launches.append(launch([ns for ns, _ in blocks], [clean for _, clean in blocks], each.round))
    return result(launches, model=one.model)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), LOADS, st.floats(0.5, 2), st.booleans())
def test_b_over_a_is_the_inverse_of_a_over_b(seed: int, load: Load, slower: float, paired: bool) -> None:
    a, b = _pair(seed, load, slower)
    forth, back = compare(a, b, paired=paired), compare(b, a, paired=paired)
    assert forth.ratio == pytest.approx(1 / back.ratio)
    assert forth.ci95 == pytest.approx((1 / back.ci95[1], 1 / back.ci95[0]))
    turned = {"faster": "slower", "slower": "faster"}
    assert turned.get(back.verdict, back.verdict) == forth.verdict


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), LOADS, st.integers(2, 1000), st.booleans())
def test_the_unit_of_time_does_not_matter(seed: int, load: Load, factor: int, paired: bool) -> None:
    """A machine that is slower at everything gives the same comparison."""
    pair = _pair(seed, load)
    a, b = (_mapped(one, lambda ns, clean: (ns * factor, clean)) for one in pair)
    before, after = compare(*pair, paired=paired), compare(a, b, paired=paired)
    assert (after.ratio, *after.ci95) == pytest.approx((before.ratio, *before.ci95))
    assert after.verdict == before.verdict


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), LOADS, st.booleans())
def test_the_order_within_a_block_does_not_matter(seed: int, load: Load, paired: bool) -> None:
    pair = _pair(seed, load)
    draw = np.random.default_rng(seed)

    def shuffle(ns: Any, clean: Any) -> tuple[Any, Any]:
        order = draw.permutation(ns.size)
        return ns[order], clean[order]

    assert compare(*(_mapped(one, shuffle) for one in pair), paired=paired) == compare(*pair, paired=paired)


@given(st.integers(0, 10_000), LOADS, st.booleans())
@settings(deadline=None, max_examples=40)
def test_the_same_facts_give_the_same_interval_around_the_ratio(seed: int, load: Load, paired: bool) -> None:
    pair = _pair(seed, load)
    once = compare(*pair, paired=paired)
    reversed_launches = [result(one.launches[::-1], model=one.model) for one in pair]
    assert compare(*reversed_launches, paired=paired) == once
    assert once.ci95[0] <= once.ratio <= once.ci95[1]


def test_a_third_model_of_the_run_changes_nothing() -> None:
    a, b, c = side_by_side(np.random.default_rng(1), (2e6, 2.1e6, 9e6), BUSY, 4, turns=6, calls=4)
    assert compare(a, b, paired=True) == compare(*[one for one in (c, a, b) if one is not c], paired=True)


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((1 / 1.02, 1.02), "no difference"),
        ((0.999, 1.0201), "unclear"),
        ((0.97, 1.0), "unclear"),
        ((1.02, 1.2), "unclear"),
        ((1.0201, 1.2), "slower"),
        ((0.5, 0.9803), "faster"),
        ((0.5, 0.9804), "unclear"),
        ((0.5, 2.0), "unclear"),
        ((math.nan, math.nan), "unclear"),
        ((1.5, math.nan), "slower"),
    ],
)
def test_verdicts_on_intervals(interval: tuple[float, float], verdict: str) -> None:
    assert judge(interval) == verdict


def test_an_interval_without_an_end_is_no_equality() -> None:
    assert judge((1.0, math.nan)) == judge((math.nan, 1.0)) == "unclear"


def test_rounds_are_paired_by_their_number() -> None:
    """Machine twice as slow in round 1: side by side that cancels out, and round 2, which b lacks, is left out."""
    a = result([launch([[100, 101]], None, 0), launch([[200, 202]], None, 1), launch([[900, 901]], None, 2)])
    b = result([launch([[220, 222]], None, 1), launch([[110, 111]], None, 0)])
    found = compare(a, b, paired=True)
    assert found.ratio == pytest.approx(1.1, abs=0.001)
    assert (found.rounds, found.verdict) == (2, "slower")
    assert compare(a, b, paired=False).verdict == "unclear"


def test_turns_met_the_same_load_and_are_drawn_together() -> None:
    """Turns differ fourfold, in both models alike: that says nothing about their ratio."""
    turns = np.array([1000, 1500, 2500, 4000, 1200])[:, None] + np.arange(5)
    a = result([launch(list(turns), None, number) for number in range(5)])
    b = result([launch(list(turns * 2), None, number) for number in range(5)])
    low, high = compare(a, b, paired=True).ci95
    assert (low, high) == pytest.approx((2, 2))
    low, high = compare(a, b, paired=False).ci95
    assert high / low > 1.5


def test_rounds_that_agree_by_chance_do_not_hide_what_blocks_show() -> None:
    """Every round has the same median, from blocks that differ by a tenth: no certainty comes of that."""
    blocks = [[1000 + 25 * turn] * 3 for turn in range(5)]
    a = result([launch([[1050] * 3] * 5, None, number) for number in range(5)])
    b = result([launch(blocks, None, number) for number in range(5)])
    found = compare(a, b, paired=True)
    assert found.ratio == pytest.approx(1)
    assert found.ci95[1] / found.ci95[0] > 1.02


def test_the_isolated_view_is_compared_where_both_are_stable() -> None:
    """One call in three was interrupted and took ten times as long."""
    flags = [np.array([True, True, False] * 20)]
    slow = [launch([np.array([1000 + n, 1001, 10_000] * 20)], flags, n) for n in range(4)]
    fast = [launch([np.array([1000 + n, 1001, 1002] * 20)], flags, n) for n in range(4)]
    found = compare(result(fast), result(slow), paired=True)
    assert (found.view, found.verdict) == ("isolated", "no difference")


def test_an_unstable_result_is_compared_as_experienced_and_named() -> None:
    a, b = side_by_side(np.random.default_rng(0), (2e6, 2e6), SWAMPED, 4, turns=6, calls=4)
    found = compare(a, b, paired=True)
    assert found.view == "experienced"
    assert any("net-0.onnx is unstable: " in note for note in found.notes)


def _flat(ns: int, clean: bool, model: str = "net.onnx", launches: int = 4) -> BenchResult:
    """All but one of ten calls not clean, where `clean`; else all of them."""
    flags = np.arange(10) < (1 if clean else 0)
    samples = [np.where(flags, 1000 + 2 * n, ns + 2 * n) for n in range(launches)]
    return result([launch([one], [flags], number) for number, one in enumerate(samples)], model=model)


def test_under_load_a_difference_counts_from_twice_the_margin() -> None:
    assert compare(_flat(10_000, False), _flat(10_300, False), paired=True).verdict == "unclear"
    assert compare(_flat(10_000, False), _flat(10_500, False), paired=True).verdict == "slower"
    assert compare(_flat(10_000, False), _flat(10_000, False), paired=True).verdict == "unclear"


def test_against_a_stored_result_load_is_not_taken_for_the_model() -> None:
    """Three times the time, but the few clean samples are the same."""
    found = compare(_flat(10_000, True), _flat(30_000, True), paired=False)
    assert found.verdict == "unclear"
    assert found.ci95[0] < 1.01
    assert found.ci95[1] >= 3
    assert compare(_flat(10_000, False), _flat(30_000, False), paired=False).verdict == "unclear"


def test_instructions_are_compared_exactly() -> None:
    a, b = (result(instructions={"total": total}, target="emulated:pi4") for total in (1_000_000, 1_100_001))
    found = compare(a, b, paired=False)
    assert (found.ratio, found.ci95) == (1.100001, (1.100001, 1.100001))
    assert (found.verdict, found.view) == ("slower", "instructions")


def test_no_instruction_at_all_has_no_ratio() -> None:
    a, b = (result(instructions={"total": total}) for total in (0, 5))
    found = compare(a, b, paired=True)
    assert math.isnan(found.ratio)
    assert found.verdict == "unclear"


EDGES: dict[str, tuple[Launch, ...]] = {
    "no launch": (),
    "a launch without a block": (launch([]),),
    "a launch without a sample": (launch([[]]),),
    "one sample": (launch([[5]]),),
    "two launches in one round": (launch([[5]]), launch([[6]])),
    "calls that took no time": (launch([[0, 0]], None, 0), launch([[0]], None, 1)),
}


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("name", EDGES)
def test_at_the_edges_nothing_is_claimed(name: str, paired: bool) -> None:
    """No interval, therefore unclear; and no warning from arithmetic on nothing."""
    a = result([launch([[5, 6], [7]], None, 0), launch([[5]], None, 1)])
    for one, other in ((a, result(EDGES[name])), (result(EDGES[name]), a), (result(EDGES[name]), result(EDGES[name]))):
        found = compare(one, other, paired=paired)
        if paired or name != "two launches in one round":
            assert np.isnan(found.ci95).all()
        assert found.verdict == "unclear"


def test_two_launches_of_one_sample_are_compared() -> None:
    one = result([launch([[1000]], None, 0), launch([[1001]], None, 1)])
    assert compare(one, one, paired=True).verdict == "no difference"
    assert compare(one, one, paired=True).ratio == 1.0


def test_against_a_stored_result_the_side_with_fewer_launches_sets_the_width() -> None:
    """By Student with one degree of freedom: 12.7 standard errors. With seven: 2.4."""
    few, many = (
        result([launch([[1000 + 10 * (number % 2)] * 5], None, number) for number in range(count)]) for count in (2, 8)
    )
    spread = math.hypot(0.005, 0.005 / math.sqrt(7))
    low, high = compare(many, few, paired=False).ci95
    assert math.log(high) == pytest.approx(12.7 * spread, rel=0.02)
    low, high = compare(many, many, paired=False).ci95
    assert 0.005 < math.log(high) < 0.015
    assert low < 1 < high


def test_without_a_common_round_there_is_no_pair() -> None:
    a, b = (result([launch([[5]], None, first), launch([[5]], None, first + 1)]) for first in (0, 2))
    found = compare(a, b, paired=True)
    assert (found.rounds, found.verdict, math.isnan(found.ratio)) == (0, "unclear", True)


def test_launches_without_a_clean_sample_fall_back_to_what_was_experienced() -> None:
    """Stable by share, but all clean samples are in one round: no interval could come of them."""
    flags = [[True] * 10, [False] * 10]
    one = result([launch([[9] * 10], [flags[number]], number) for number in (0, 1)])
    assert one.verdict == "stable"
    assert compare(one, one, paired=True).view == "experienced"


def test_results_of_different_machines_are_refused() -> None:
    a = result([launch([[5]])])
    b = result([launch([[5]])], environment={**MACHINE, "machine_id": "77"})
    with pytest.raises(BadInput, match="cannot be compared") as refusal:
        compare(a, b, paired=False)
    assert refusal.value.why == "measured on different machines"


def test_a_time_is_not_compared_with_a_count_even_side_by_side() -> None:
    with pytest.raises(BadInput, match="cannot be compared"):
        compare(result([launch([[5]])]), result(instructions={"total": 5}), paired=True)
