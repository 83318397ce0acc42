"""The search on benches whose answers are known: what it ends with, what it costs, when it stops."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.converters.quantization.search.search import WEIGHTED, Found, search
from mlpack_edge.converters.quantization.values import Quality, Recipe
from mlpack_edge.core.errors import Unsupported
from tests.converters.quantization.search.benches import Losing, ScriptedBench, layers, sums

STATIC, STORED = Recipe("static"), Recipe("weights")


def found(bench: ScriptedBench, start: Recipe = STORED, max_drop: float = 0.01, **options: object) -> Found:
    settled = {"clock": bench.clock, "deadline": math.inf, **options}
    return search(bench, bench, start, max_drop, **settled)  # type: ignore[arg-type]


def kept(result: Found) -> set[str]:
    assert result.best is not None
    return set(result.best.recipe.kept_float)


def test_a_model_that_bears_it_all_is_judged_once() -> None:
    bench = ScriptedBench(layers(40), sums({}))
    result = found(bench)
    assert result.complete
    assert [point.label for point in result.points] == ["weights int8"]
    assert result.best is result.points[0]
    assert bench.measured == []


def test_the_one_layer_that_loses_goes_back_to_float_and_no_other() -> None:
    bench = ScriptedBench(layers(40), sums({"layer17": 0.3, "layer3": 0.004, "layer20": 0.005}))
    result = found(bench)
    assert kept(result) == {"layer17"}
    assert result.best is not None
    assert result.best.label == "weights int8, 1 layer float"
    assert result.best.quality.drop <= 0.01
    assert len(bench.judged) == 2


def test_layers_that_are_harmless_alone_and_ruin_the_model_together_are_caught() -> None:
    """Each alone loses a tenth of the budget; layers 5 and 11 together lose everything. Only judging the whole shows it."""

    def losing(quantized: frozenset[str], _: Recipe) -> float:
        return 0.001 * min(len(quantized), 5) + (0.5 if {"layer5", "layer11"} <= quantized else 0.0)

    bench = ScriptedBench(layers(16), losing)
    result = found(bench)
    assert all(facts.noise is not None and facts.noise < 0.01 for facts in result.points[-1].layers)
    assert len(kept(result)) == 1
    assert kept(result) <= {"layer5", "layer11"}


def test_many_small_losses_are_added_up_by_the_verification_of_the_whole() -> None:
    """Thirty layers of 0.001 each fit one by one, and lose 0.03 together."""
    bench = ScriptedBench(layers(30), sums({f"layer{at}": 0.00099 for at in range(30)}))
    result = found(bench)
    assert result.best is not None
    assert len(kept(result)) == 20
    assert result.best.quality.drop == pytest.approx(0.0099)


def test_the_largest_layers_are_tried_again_first() -> None:
    """Two layers lose the same and one of them may stay quantized: that with more bytes."""
    big = layers(8, lambda at: 40_000 if at == 6 else 400)
    bench = ScriptedBench(big, sums({"layer1": 0.008, "layer6": 0.008, "layer4": 0.02}))
    assert kept(found(bench)) == {"layer1", "layer4"}


def test_where_much_stays_float_the_layers_that_cost_most_a_byte_are_tried_first() -> None:
    """One huge layer loses most; eight small ones together lose as much, and cost a fiftieth to keep."""
    each = {"layer8": 0.02} | {f"layer{at}": 0.012 for at in range(8)}
    bench = ScriptedBench(layers(9, lambda at: 160_000 if at == 8 else 400), sums(each))
    result = found(bench, max_drop=0.03)
    assert kept(result) == {f"layer{at}" for at in range(8)}


def test_operator_sets_and_methods_come_before_layers() -> None:
    """Additions ruin it: with the weighted operators alone no layer has to go back."""

    def losing(quantized: frozenset[str], recipe: Recipe) -> float:
        return 0.2 if any(name in quantized for name in ("layer2", "layer5")) else 0.001

    bench = ScriptedBench(layers(8, kind=lambda at: "Add" if at in (2, 5) else "Conv"), losing)
    result = found(bench, STATIC)
    assert result.best is not None
    assert result.best.recipe == Recipe("static", operators=WEIGHTED)
    assert result.best.label == "static U8S8, weighted operators"
    assert bench.measured == []


def test_scales_by_channel_are_tried_where_all_layers_lose_too_much_and_kept_while_layers_go_back() -> None:
    def losing(quantized: frozenset[str], recipe: Recipe) -> float:
        return 0.05 * (not recipe.by_channel) + 0.02 * ("layer1" in quantized)

    result = found(ScriptedBench(layers(6), losing), STATIC, by_channel=True)
    assert result.best is not None
    assert (result.best.recipe.by_channel, kept(result)) == (True, {"layer1"})
    assert result.best.label == "static U8S8, by channel, 1 layer float"

    # ... also with the method that loses least
    def by_method(quantized: frozenset[str], recipe: Recipe) -> float:
        return 0.05 * (recipe.method != "mse") + 0.02 * (not recipe.by_channel)

    best = found(ScriptedBench(layers(6), by_method), STATIC, by_channel=True, methods=("minmax", "mse")).best
    assert best is not None and best.recipe == Recipe("static", method="mse", by_channel=True)


def test_a_model_that_bears_codes_by_channel_is_not_made_so_where_it_bears_them_plainly() -> None:
    bench = ScriptedBench(layers(6), sums({}))
    found(bench, STATIC, by_channel=True)
    assert bench.files == [STATIC]


def test_where_speed_counts_depthwise_convolutions_in_float_are_a_candidate() -> None:
    """They may be slower on codes; weights take as many bytes either way, so the choice is by latency."""
    bench = ScriptedBench(layers(6, kind=lambda at: "DepthwiseConv" if at % 2 else "Conv"), sums({}))
    weighted = Recipe("static", operators=WEIGHTED)
    assert [point.recipe for point in found(bench, STATIC, faster=True).points] == [STATIC, weighted]
    assert [point.recipe for point in found(bench, STATIC).points] == [STATIC]
    alike = ScriptedBench(layers(6), sums({}))
    assert [point.recipe for point in found(alike, STATIC, faster=True).points] == [STATIC]


def test_the_method_that_loses_least_is_gone_on_with() -> None:
    def losing(quantized: frozenset[str], recipe: Recipe) -> float:
        return (0.1 if "layer1" in quantized else 0) + {"minmax": 0.05, "entropy": 0.001, "mse": 0.02}[recipe.method]

    result = found(ScriptedBench(layers(6), losing), STATIC, methods=("minmax", "entropy", "mse"))
    assert result.best is not None
    assert (result.best.recipe.method, kept(result)) == ("entropy", {"layer1"})
    assert "entropy, 1 layer float" in result.best.label


def test_operator_sets_that_come_to_the_same_layers_are_one() -> None:
    bench = ScriptedBench(layers(6), sums({"layer1": 0.1}))
    found(bench, STATIC, methods=("minmax", "mse"))
    assert {recipe.operators for recipe in bench.files} == {frozenset()}


def test_trying_methods_leaves_time_for_layers() -> None:
    """A hundred seconds, ten a candidate: not all eight of operators and methods are tried, and the layer is still found."""
    mixed = layers(8, kind=lambda at: "Add" if at == 5 else "Conv")
    bench = ScriptedBench(mixed, sums({"layer2": 0.5}), seconds=10.0, few=1.0)
    result = found(bench, STATIC, methods=("minmax", "percentile", "entropy", "mse"), deadline=100.0)
    assert kept(result) == {"layer2"}
    assert bench.now <= 100


def test_what_the_user_keeps_float_stays_and_sums_stay_exact() -> None:
    bench = ScriptedBench(layers(12), sums({"layer4": 0.5, "layer9": 0.002}))
    start = Recipe("static", kept_float=frozenset({"layer0"}), exact_sums=True)
    result = found(bench, start)
    assert kept(result) == {"layer0", "layer4"}
    assert all(recipe.exact_sums and "layer0" in recipe.kept_float for recipe in bench.files)


def test_a_model_of_which_nothing_can_be_quantized_ends_without_a_point_in_the_budget() -> None:
    result = found(ScriptedBench(layers(5), lambda quantized, _: 0.5 if quantized else 0.0))
    # all layers float is the float model itself
    assert result.best is None or result.best.bytes >= 5 * 400
    assert result.complete


def test_a_candidate_that_gives_no_numbers_keeps_no_budget() -> None:
    bench = ScriptedBench(layers(4), lambda quantized, _: math.nan if "layer2" in quantized else 0.0)
    result = found(bench)
    assert kept(result) == {"layer2"}
    assert [facts.noise for facts in result.points[-1].layers] == [0.0, 0.0, math.inf, 0.0]


class _NeverInPart(ScriptedBench):
    """Layers that can only be quantized together with the last one, as int8 borders need it."""

    def build(self, recipe: Recipe) -> bytes:
        if self.layer_list[-1].name in recipe.kept_float:
            raise Unsupported("the output cannot be int8", "keep real numbers at the border")
        return super().build(recipe)


def test_what_cannot_be_made_with_a_layer_float_is_no_candidate_and_no_end() -> None:
    bench = _NeverInPart(layers(12), sums({"layer2": 0.3, "layer11": 0.02}))
    result = found(bench, max_drop=0.05)
    assert kept(result) == {"layer2"}
    assert all("layer11" not in point.recipe.kept_float for point in result.points)
    hopeless = found(_NeverInPart(layers(12), sums({"layer11": 0.3})), max_drop=0.05)
    assert hopeless.best is None and hopeless.complete and hopeless.points


def test_a_model_that_cannot_be_made_at_all_says_why() -> None:
    with pytest.raises(Unsupported, match="cannot be int8"):
        found(_NeverInPart(layers(3), sums({})), start=replace(STORED, kept_float=frozenset({"layer2"})))


def test_the_first_candidate_is_judged_even_where_there_is_no_time_at_all() -> None:
    bench = ScriptedBench(layers(9), sums({"layer1": 1.0}), seconds=5.0)
    result = found(bench, deadline=0.0)
    assert len(result.points) == 1
    assert not result.complete
    assert result.best is None


@pytest.mark.parametrize("deadline", [3.0, 8.0, 15.0, 40.0, 90.0])
def test_the_search_never_runs_into_a_candidate_that_it_knows_not_to_fit(deadline: float) -> None:
    bench = ScriptedBench(layers(30), sums({f"layer{at}": 0.001 for at in range(30)}), seconds=2.0, few=0.5)
    result = found(bench, deadline=deadline)
    assert bench.now <= max(2.0, deadline)
    if not result.complete:
        assert bench.now + 2.0 > deadline


def test_little_time_ends_with_a_model_and_more_time_with_a_smaller_one() -> None:
    """Where there is time for five candidates, layers go back in large steps; later in small ones."""
    sizes = []
    for deadline in (10.0, 40.0, 80.0, 1e9):
        bench = ScriptedBench(layers(30), sums({f"layer{at}": 0.001 for at in range(30)}), seconds=2.0, few=0.1)
        best = found(bench, deadline=deadline).best
        sizes.append(best.bytes if best else math.inf)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] < math.inf


def test_many_layers_are_measured_in_groups_and_the_noisiest_are_split() -> None:
    """300 layers, two of which lose: 60 measurements find both."""
    bench = ScriptedBench(layers(300), sums({"layer77": 0.2, "layer250": 0.1}))
    result = found(bench)
    assert kept(result) == {"layer77", "layer250"}
    assert len(bench.measured) <= 60
    assert len(bench.judged) <= 8
    noises = {facts.layer.name: facts.noise for facts in result.points[-1].layers}
    assert (noises["layer77"], noises["layer250"]) == (0.2, 0.1)
    assert noises["layer150"] is None  # only in a group


def test_measuring_takes_less_than_half_of_the_time() -> None:
    bench = ScriptedBench(layers(50), sums({f"layer{at}": 0.1 for at in (3, 30)}), seconds=1.0, few=1.0)
    result = found(bench, deadline=41.0)
    assert len(bench.measured) <= 16
    assert kept(result) == {"layer3", "layer30"}


def test_slow_models_are_measured_on_fewer_rows() -> None:
    asked = []

    class Slow(ScriptedBench):
        def judge(self, candidate: Any, most_rows: int | None = None, enough: float | None = None) -> Quality:
            asked.append(most_rows)
            self.now += (1000 if most_rows is None else most_rows) * 0.1
            return super().judge(candidate, most_rows, enough)

    found(Slow(layers(40), sums({"layer3": 0.5})), deadline=200.0)
    assert {rows for rows in asked if rows is not None} == {12}  # of the 100 seconds left 40, for 32 measurements


def test_what_layers_cost_can_be_asked_for_where_none_goes_back() -> None:
    bench = ScriptedBench(layers(5), sums({"layer2": 0.003}))
    result = found(bench, measured=True)
    assert [facts.noise for facts in result.points[0].layers] == [0, 0, 0.003, 0, 0]


def test_every_draft_is_given_out_with_its_file_once() -> None:
    bench, drafts = ScriptedBench(layers(10), sums({"layer4": 0.5})), []
    result = found(bench, on_draft=lambda recipe, file: drafts.append((recipe, len(file))))
    assert drafts == [(point.recipe, point.bytes) for point in result.points]
    assert len({recipe for recipe, _ in drafts}) == len(drafts)


names = [f"layer{at}" for at in range(9)]
monotone = st.tuples(
    st.dictionaries(st.sampled_from(names), st.floats(0, 0.02)),
    st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names), st.floats(0, 0.05)), max_size=4),
)


def losing_of(singles: dict[str, float], pairs: list[tuple[str, str, float]]) -> Losing:
    return lambda quantized, _: (
        sum(singles.get(name, 0.0) for name in quantized)
        + sum(amount for one, other, amount in pairs if one in quantized and other in quantized)
    )


@settings(deadline=None)
@given(monotone, st.lists(st.integers(0, 5000), min_size=9, max_size=9))
def test_the_end_is_within_the_budget_and_no_layer_more_could_be_quantized(
    amounts: tuple[dict[str, float], list[tuple[str, str, float]]], sizes: list[int]
) -> None:
    """Where quantizing more never loses less, whatever layers do alone and in pairs."""
    losing = losing_of(*amounts)
    bench = ScriptedBench(layers(9, lambda at: 4 * sizes[at]), losing)
    result = found(bench)
    every = frozenset(names)
    within = [one for one in bench.judged if losing(every - one.kept_float, one) <= 0.01]
    assert bool(within) == (result.best is not None)
    last = min(within, key=lambda one: len(one.kept_float), default=STORED)
    stays = last.kept_float if within else every
    for name in stays:
        assert losing(every - stays | {name}, STORED) > 0.01


@settings(deadline=None)
@given(monotone, st.floats(0, 60))
def test_the_same_answers_give_the_same_points(
    amounts: tuple[dict[str, float], list[tuple[str, str, float]]], deadline: float
) -> None:
    runs = [ScriptedBench(layers(9), losing_of(*amounts), seconds=1.0, few=0.2) for _ in range(2)]
    assert found(runs[0], deadline=deadline) == found(runs[1], deadline=deadline)
    assert runs[0].files == runs[1].files


def test_a_layer_back_in_float_keeps_its_weights_stored() -> None:
    """It costs no bytes, and no layer more computes in float than has to."""
    bench = ScriptedBench(layers(20), sums({"layer3": 0.3, "layer9": 0.002}))
    result = found(bench, Recipe("static", stored=True))
    assert result.best is not None
    assert (kept(result), result.best.recipe.float_weights) == ({"layer3"}, frozenset())
    assert result.best.bytes == result.points[0].bytes
    told = {facts.layer.name: (facts.kept_float, facts.stored) for facts in result.best.layers}
    assert told.pop("layer3") == (True, True) and set(told.values()) == {(False, False)}


def test_weights_that_may_not_be_codes_in_the_file_are_found() -> None:
    """Layer 5 loses by its weights whatever computes with them, layer 2 by its activations alone."""
    bench: ScriptedBench

    def losing(quantized: frozenset[str], recipe: Recipe) -> float:
        return (0.2 if "layer5" in bench.held(recipe) else 0.0) + (0.1 if "layer2" in quantized else 0.0)

    bench = ScriptedBench(layers(12), losing)
    result = found(bench, Recipe("static", stored=True))
    assert result.best is not None
    assert (kept(result), result.best.recipe.float_weights) == ({"layer2", "layer5"}, {"layer5"})
    assert result.best.label.startswith("static U8S8, 2 layers float (1 with float32 weights)")


def test_a_table_that_never_computes_on_codes_goes_back_where_its_codes_lose() -> None:
    bench: ScriptedBench

    def losing(quantized: frozenset[str], recipe: Recipe) -> float:
        return 0.2 if "layer4" in bench.held(recipe) else 0.0

    bench = ScriptedBench(layers(8, kind=lambda at: "Gather" if at == 4 else "Conv"), losing)
    result = found(bench, Recipe("static", stored=True, operators=WEIGHTED))
    assert result.best is not None
    assert result.best.recipe.float_weights == {"layer4"}
    assert not [facts for facts in result.best.layers if facts.stored]


def test_what_the_user_keeps_float_is_float_in_the_file_too() -> None:
    own = frozenset({"layer1"})
    bench = ScriptedBench(layers(6), sums({"layer4": 0.5}))
    found(bench, Recipe("static", stored=True, kept_float=own, float_weights=own))
    assert all("layer1" in recipe.kept_float & recipe.float_weights for recipe in bench.files)
