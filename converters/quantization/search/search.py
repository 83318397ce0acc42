"""The smallest model within a budget of loss: quantize all, verify the whole, give the worst layers back to float."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from mlpack_edge.converters.quantization.search.sensitivity import Noises, measure
from mlpack_edge.converters.quantization.search.trials import OutOfTime, Trial, Trials
from mlpack_edge.converters.quantization.search.workbench import Judging, Workbench
from mlpack_edge.converters.quantization.values import Layer, LayerFacts, Method, Point, Recipe

#: The operators whose weights are most of a model; what lies between them then computes in float.
WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
#: Of the time that is left, what trying other operator sets and methods may take.
SHARE = 0.3
#: The share of the weights that may stay float before another order of giving layers back is tried.
SMALL = 0.02


@dataclass(frozen=True, slots=True)
class Found:
    """points: whatever was judged as a whole, in that order; what was sure to lose too much perhaps on fewer rows (see
    `Quality.rows`). best: the smallest within the budget (then the one that loses least), None where there is none.
    complete: whether the search came to its end before the deadline."""

    points: tuple[Point, ...]
    best: Point | None
    complete: bool


def _silent(*_: object) -> None:
    pass


def search(
    bench: Workbench, judge: Judging, start: Recipe, max_drop: float, *,
    clock: Callable[[], float], deadline: float, methods: Sequence[Method] = (), measured: bool = False,
    on_step: Callable[[str], None] = _silent, on_draft: Callable[[Recipe, bytes], None] = _silent,
) -> Found:  # fmt: skip
    """Candidates of the scheme of `start`, each judged as the whole it is.

    1. All layers quantized. 2. Where that loses too much, the other operator sets (all, then WEIGHTED alone) and
    calibration `methods` (both of the scheme "static" alone). 3. With the one that loses least: what each layer costs
    alone (`sensitivity.measure`), then the worst 1, 2, 4, ... layers float until the whole keeps the budget, and the least
    number of them by bisection. 4. What is float is tried as codes again, most bytes first, in halves, and stays
    so where the whole still keeps the budget. 5. Where more than SMALL of the weights stayed float, 3 and 4 once more,
    beginning with the layers that cost most a byte.

    What `start` keeps float stays so, and so do its exact sums. clock: seconds; at `deadline` the search stops with what it
    has, but the first candidate is always judged. measured: what layers cost alone is measured even where no layer has to
    go back. The same answers of the bench, the judge and the clock give the same points.
    """
    trials = Trials(bench, judge, clock, deadline, on_draft)
    alone: Noises = {}
    base = start
    complete = True
    try:
        base, fits = _configure(bench, trials, start, methods, max_drop, on_step)
        layers = [layer for layer in bench.layers(base) if layer.name not in base.kept_float]
        if not fits or measured:
            alone, bounds = measure(trials, base, layers, on_step)
        if not fits and layers:
            _descend(trials, base, sorted(layers, key=lambda layer: -bounds[layer.name]), max_drop, on_step)
            if _kept_bytes(trials, layers, max_drop) > SMALL * sum(layer.weight_bytes for layer in layers):
                cheapest = sorted(layers, key=lambda layer: -bounds[layer.name] / max(1, layer.weight_bytes))
                _descend(trials, base, cheapest, max_drop, on_step)
    except OutOfTime:
        complete = False
    points = tuple(_point(bench, one, start, base, alone) for one in trials.done)
    best = min(
        (point for point in points if point.quality.drop <= max_drop),
        key=lambda point: (point.bytes, point.quality.drop), default=None,
    )  # fmt: skip
    return Found(points, best, complete)


def _configure(
    bench: Workbench,
    trials: Trials,
    start: Recipe,
    methods: Sequence[Method],
    max_drop: float,
    on_step: Callable[[str], None],
) -> tuple[Recipe, bool]:
    """The recipe without further layers kept float that loses least, and whether it keeps the budget."""
    on_step(f"judging {start.name}")
    first = trials.whole(start)
    if first.quality.drop <= max_drop or start.scheme != "static":
        return start, first.quality.drop <= max_drop
    weighted = replace(start, operators=WEIGHTED)
    fewer = 0 < len(bench.layers(weighted)) < len(bench.layers(start)) and not start.operators
    sets = [start.operators, WEIGHTED] if fewer else [start.operators]
    until = trials.now() + SHARE * trials.left
    for method, operators in product(dict.fromkeys((start.method, *methods)), sets):
        recipe = replace(start, method=method, operators=operators)
        if recipe == start:
            continue
        if trials.now() + trials.longest > until:
            break
        on_step(f"judging {label_of(recipe, start)}")
        trials.whole(recipe)
    best = min(trials.done, key=_drop)  # the first of equals
    return best.recipe, best.quality.drop <= max_drop


def _drop(trial: Trial) -> float:
    drop = trial.quality.drop
    return math.inf if math.isnan(drop) else drop


def _descend(
    trials: Trials, base: Recipe, ordered: Sequence[Layer], max_drop: float, on_step: Callable[[str], None]
) -> None:
    """ordered: as layers go back to float; where they are equal, as in the graph."""
    _give_back(trials, base, _least_kept(trials, base, ordered, max_drop, on_step), max_drop, on_step)


def _kept_bytes(trials: Trials, layers: Sequence[Layer], max_drop: float) -> int:
    """Of the weights that the smallest candidate within the budget keeps float; all of them where there is none."""
    within = [one for one in trials.done if one.quality.drop <= max_drop]
    best = min(within, key=lambda one: one.bytes, default=None)
    return sum(layer.weight_bytes for layer in layers if best is None or layer.name in best.recipe.kept_float)


def _least_kept(
    trials: Trials, base: Recipe, ordered: Sequence[Layer], max_drop: float, on_step: Callable[[str], None]
) -> list[Layer]:
    """The shortest run from the head of `ordered` that the whole model can keep float and be within the budget, as far as
    doubling and halving find it. All of them is the float model, which needs no proof."""

    def fits(count: int) -> bool:
        on_step(f"judging {base.name} with {count} of {len(ordered)} layers float")
        trial = trials.whole(_keeping(base, ordered[:count]), max_drop)
        return trial.quality.drop <= max_drop

    failed, good = 0, max(1, len(ordered) >> max(1, trials.affordable - 1))  # steps as small as there is time for
    while good < len(ordered) and not fits(good):
        failed, good = good, min(2 * good, len(ordered))
    while good - failed > 1:
        middle = (failed + good) // 2
        failed, good = (failed, middle) if fits(middle) else (middle, good)
    return list(ordered[:good])


def _give_back(
    trials: Trials, base: Recipe, kept: Sequence[Layer], max_drop: float, on_step: Callable[[str], None]
) -> None:
    """Try the layers in `kept` as codes again: in halves, so that many harmless ones cost one candidate."""
    remaining = {layer.name: layer for layer in kept}

    def settle(group: Sequence[Layer], hopeless: bool) -> None:
        if not hopeless:
            rest = [layer for layer in remaining.values() if layer not in group]
            on_step(f"judging {base.name} with {len(rest)} layers float")
            if trials.whole(_keeping(base, rest), max_drop).quality.drop <= max_drop:
                for layer in group:
                    del remaining[layer.name]
                return
        if len(group) > 1:
            middle = len(group) // 2
            settle(group[:middle], False)
            settle(group[middle:], False)

    settle(sorted(kept, key=lambda layer: -layer.weight_bytes), True)


def _keeping(base: Recipe, layers: Sequence[Layer]) -> Recipe:
    return replace(base, kept_float=base.kept_float | frozenset(layer.name for layer in layers))


def label_of(recipe: Recipe, start: Recipe) -> str:
    """`static U8S8, weighted operators, entropy, 3 layers float`."""
    parts = [recipe.name]
    if recipe.operators != start.operators:
        parts.append("weighted operators" if recipe.operators == WEIGHTED else "all operators")
    if recipe.method != start.method:
        parts.append(recipe.method)
    kept = len(recipe.kept_float)
    if kept:
        parts.append(f"{kept} layer{'s' if kept > 1 else ''} float")
    return ", ".join(parts)


def _point(bench: Workbench, trial: Trial, start: Recipe, base: Recipe, alone: Noises) -> Point:
    """With what layers cost alone, where it was measured with the operators and the method of this recipe."""
    recipe = trial.recipe
    known = alone if (recipe.operators, recipe.method) == (base.operators, base.method) else {}
    facts = tuple(
        LayerFacts(layer, known.get(layer.name), layer.name in recipe.kept_float) for layer in bench.layers(recipe)
    )
    return Point(label_of(recipe, start), recipe, trial.bytes, trial.quality, facts)
