"""Which of the models that were made is taken: pure rules, held against what they promise for any figures."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.converters.quantization.choosing import Budget, Choice, Latency, Tried, choose
from mlpack_edge.converters.quantization.values import Point, Quality, Recipe, SliceFacts

FLOAT = 1000
STATIC, DYNAMIC, STORED, HALF = Recipe("static"), Recipe("dynamic"), Recipe("weights"), Recipe("fp16")
FAST = Latency(5e5, 0.625, (0.6, 0.65), "faster")
SLOW = Latency(1.2e6, 1.5, (1.4, 1.6), "slower")


def accuracy(drop: float, before: float = 0.983) -> Quality:
    return Quality("accuracy", before, before - drop, drop, 500, 0.01, ())


def tried(size: int, drop: float = 0.002, latency: Latency | None = FAST, recipe: Recipe = STATIC) -> Tried:
    return Tried(Point(recipe.name, recipe, size, accuracy(drop)), latency)


def names(choice: Choice) -> list[list[str]]:
    return [[rule.name for rule in row.broken] for row in choice.rows]


def test_the_smallest_that_keeps_the_budget_is_taken_and_the_line_says_why() -> None:
    choice = choose(
        [tried(290), tried(310, latency=SLOW, recipe=DYNAMIC), tried(500, recipe=HALF)], Budget(0.01), FLOAT
    )
    assert choice.point is not None
    assert choice.why == (
        "static U8S8: 0.29 of the size, 1.6 times as fast, accuracy 0.981 against 0.983; "
        "dynamic would be 0.31 and slower"
    )
    assert choice.nearest == ()
    assert [row.chosen for row in choice.rows] == [True, False, False]


def test_the_line_names_the_fastest_that_fits_where_it_is_surely_faster_than_the_smallest() -> None:
    quick = tried(310, latency=Latency(4e5, 0.45, (0.44, 0.46), "faster"), recipe=DYNAMIC)
    others = [tried(300, recipe=STORED), quick, tried(500, recipe=HALF)]
    why = choose([tried(290), *others], Budget(0.01), FLOAT).why
    assert why.endswith("; dynamic would be 0.31 and 2.2 times as fast")
    # Where it loses too much, or intervals touch within the margin, the smallest is named as ever.
    lossy = replace(quick, point=replace(quick.point, quality=accuracy(0.1)))
    unsure = replace(quick, latency=Latency(4e5, 0.45, (0.3, 0.595), "faster"))
    for one in (lossy, unsure):
        why = choose([tried(290), others[0], one], Budget(0.01), FLOAT).why
        assert why.endswith("; weights int8 would be 0.30 and 1.6 times as fast")


def test_a_model_that_is_not_smaller_is_refused_whatever_its_speed() -> None:
    choice = choose([tried(FLOAT)], Budget(0.01), FLOAT)
    assert choice.point is None
    assert names(choice) == [["smaller"]]
    assert "not smaller than the float model" in choice.why


def test_a_slower_model_is_taken_only_where_a_size_is_asked_for() -> None:
    only = [tried(290, latency=SLOW)]
    refused = choose(only, Budget(0.01), FLOAT)
    assert refused.point is None
    assert names(refused) == [["slower"]]
    assert refused.why == "nothing fits; the nearest is static U8S8: 0.29 of the size, slower (0.67 times as fast)"
    assert choose(only, Budget(0.01, max_bytes=300), FLOAT).tried is only[0]


def test_what_was_counted_is_never_told_as_time() -> None:
    more = Latency(None, 1.24, (1.24, 1.24), "slower", counted="instructions")
    refused = choose([tried(290, latency=more)], Budget(0.01), FLOAT)
    assert refused.why == "nothing fits; the nearest is static U8S8: 0.29 of the size, 1.24 times the instructions"
    same = Latency(None, 1.0, (1.0, 1.0), "no difference", counted="instructions")
    choice = choose([tried(290, latency=same), tried(280, latency=more, recipe=DYNAMIC)], Budget(0.01), FLOAT)
    assert "1.00 times the instructions" in choice.why
    assert "fast" not in choice.why and "slower" not in choice.why


@pytest.mark.parametrize(
    ("interval", "taken"),
    [((1.005, 1.3), True), ((0.9, 1.2), True), ((1.021, 1.3), False), ((1.4, 1.6), False)],
    ids=["touches the margin", "unclear", "beyond the margin", "far beyond"],
)
def test_slower_means_that_the_whole_interval_lies_beyond_the_margin_of_measurement(
    interval: tuple[float, float], taken: bool
) -> None:
    one = tried(290, latency=Latency(1e6, sum(interval) / 2, interval))
    assert (choose([one], Budget(0.01), FLOAT).tried is one) == taken


def test_the_verdict_of_the_measurement_goes_before_the_interval() -> None:
    """On a busy machine the bench asks for twice the margin, and knows why."""
    one = tried(290, latency=Latency(1e6, 1.03, (1.025, 1.035), "unclear"))
    assert choose([one], Budget(0.01), FLOAT).tried is one


def test_what_the_target_does_not_run_is_refused() -> None:
    choice = choose([tried(100, latency=Latency(None, refused="no such operator")), tried(400)], Budget(0.01), FLOAT)
    assert names(choice) == [["runs"], []]
    assert choice.point is not None
    assert choice.point.bytes == 400


def test_a_latency_budget_needs_a_time() -> None:
    choice = choose([tried(300), tried(290, latency=None), tried(280, latency=SLOW)], Budget(0.01, None, 6e5), FLOAT)
    assert names(choice) == [[], ["max-latency"], ["slower", "max-latency"]]
    assert "1.2 ms a call, and --max-latency is 600 us" in choice.rows[2].broken[1].text


def test_of_files_of_one_size_the_fastest_is_taken() -> None:
    """A hundredth of the size is not worth half the speed."""
    a, b = tried(290, latency=Latency(9e5, 0.98, (0.97, 0.99), "no difference")), tried(292)
    assert choose([a, b], Budget(0.01), FLOAT).tried is b
    assert choose([a, tried(294)], Budget(0.01), FLOAT).tried is a


def test_a_loss_that_is_no_number_keeps_no_budget() -> None:
    broken = Tried(Point("x", STATIC, 200, Quality("agreement", 1.0, math.nan, math.nan, 9, None, ())))
    assert names(choose([broken], Budget(math.inf), FLOAT)) == [["max-drop"]]


def test_where_nothing_fits_the_three_nearest_are_named_the_nearest_first() -> None:
    points = [tried(200, drop=0.2), tried(700, drop=0.011), tried(1500, drop=0.3), tried(260, drop=0.02)]
    choice = choose(points, Budget(0.01), FLOAT)
    assert [one.point.bytes for one in choice.nearest] == [700, 260, 200]
    assert choice.why == (
        "nothing fits; the nearest is static U8S8: 0.70 of the size, "
        "accuracy 0.972 against 0.983, 0.011 lost, and 0.01 may be lost"
    )


def test_nothing_made_is_said() -> None:
    assert choose([], Budget(0.01), FLOAT) == Choice(None, "nothing was made", (), ())


def test_agreement_is_told_as_labels_and_decibels() -> None:
    quality = Quality("agreement", 1.0, 0.998, 0.002, 500, 0.002, (SliceFacts("scores", 3, 1e-3, 1),))
    one = Tried(Point("dynamic", DYNAMIC, 300, quality))
    assert choose([one], Budget(0.01), FLOAT).why == (
        "dynamic: 0.30 of the size, speed not measured, 0.2 % of labels changed, the worst output 30 dB above its noise"
    )


latencies = st.none() | st.builds(
    lambda ratio, width: Latency(1e6 * ratio, ratio, (ratio / width, ratio * width)),
    st.floats(0.2, 4), st.floats(1, 1.5),
)  # fmt: skip
candidates = st.lists(
    st.builds(
        tried, st.integers(1, 2000), st.floats(-0.01, 0.5) | st.just(math.inf) | st.just(math.nan), latencies,
        st.sampled_from([STATIC, DYNAMIC, STORED, HALF]),
    ),
    max_size=8,
)  # fmt: skip
budgets = st.builds(
    Budget, st.floats(0, 0.5), st.none() | st.integers(1, 2000), st.none() | st.floats(1e5, 4e6)
)  # fmt: skip


@given(candidates, budgets)
def test_what_is_taken_breaks_no_rule_and_nothing_is_refused_while_something_fits(
    points: list[Tried], budget: Budget
) -> None:
    choice = choose(points, budget, FLOAT)
    fitting = [row.tried for row in choice.rows if not row.broken]
    if choice.tried is None:
        assert not fitting
        assert len(choice.nearest) == min(3, len(points))
        return
    assert choice.tried in fitting
    point, latency = choice.tried.point, choice.tried.latency
    assert point.quality.drop <= budget.max_drop
    assert point.bytes < FLOAT
    assert budget.max_bytes is None or point.bytes <= budget.max_bytes
    assert budget.max_bytes is not None or latency is None or not latency.slower
    assert budget.max_latency_ns is None or (latency is not None and latency.ns is not None)
    assert point.bytes <= 1.01 * min(one.point.bytes for one in fitting)


@given(candidates)
def test_the_front_is_never_empty_and_without_latencies_it_is_a_staircase(points: list[Tried]) -> None:
    rows = choose(points, Budget(0.1), FLOAT).rows
    assert any(row.pareto for row in rows) == bool(points)
    timeless = [replace(one, latency=None) for one in points if not math.isnan(one.point.quality.drop)]
    front = [row.tried.point for row in choose(timeless, Budget(0.1), FLOAT).rows if row.pareto]
    stairs = sorted({(one.bytes, max(0.0, one.quality.drop)) for one in front})
    assert [loss for _, loss in stairs] == sorted((loss for _, loss in stairs), reverse=True)
    assert len({size for size, _ in stairs}) == len(stairs) == len({loss for _, loss in stairs})
    for one in timeless:
        assert any(size <= one.point.bytes and loss <= max(0.0, one.point.quality.drop) for size, loss in stairs)


@given(candidates, budgets, st.randoms())
def test_the_order_of_the_points_changes_nothing_but_ties(points: list[Tried], budget: Budget, random) -> None:  # type: ignore[no-untyped-def]
    moved = list(points)
    random.shuffle(moved)
    first, second = choose(points, budget, FLOAT).point, choose(moved, budget, FLOAT).point
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        assert (first.bytes, first.quality.drop) == (second.bytes, second.quality.drop)
