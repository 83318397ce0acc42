"""The smallest model within a budget of loss: quantize all, verify the whole, give the worst layers back to float."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from mlpack_edge.converters.quantization.search.descent import Descent, Keeping
from mlpack_edge.converters.quantization.search.labels import told_apart
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
    `Quality.rows`). best: the first by `Point.order` within the budget (then the one that loses least), None where there is none.
    complete: whether the search came to its end before the deadline."""

    points: tuple[Point, ...]
    best: Point | None
    complete: bool


def _silent(*_: object) -> None:
    pass


def search(
    bench: Workbench, judge: Judging, start: Recipe, max_drop: float, *,
    clock: Callable[[], float], deadline: float, methods: Sequence[Method] = (),
    by_channel: bool = False, faster: bool = False, measured: bool = False,
    on_step: Callable[[str], None] = _silent, on_draft: Callable[[Recipe, bytes], None] = _silent,
) -> Found:  # fmt: skip
    """Candidates of the scheme of `start`, each judged as the whole it is.

    1. All layers quantized. 2. Where that loses too much, the other operator sets (all, then WEIGHTED alone) and
    calibration `methods` (both of the scheme "static" alone), and with `by_channel` the last set and the best of all so. 3. With the one that loses least: what each layer costs
    alone (`sensitivity.measure`), then the worst 1, 2, 4, ... layers float until the whole keeps the budget, and the least
    number of them by bisection. 4. What is float is tried as codes again, most bytes first, in halves, and stays
    so where the whole still keeps the budget. 5. Where more than SMALL of the weights stayed float, 3 and 4 once more,
    beginning with the layers that cost most a byte.

    With `start.stored` a layer that goes back in 3 to 5 computes in float and its weights stay codes in the file: that costs
    no bytes. Where even all layers like that lose too much, layers go back as a whole, weights too, among them those that
    never compute on codes (gates, tables); at last the weights of what went back are tried as codes again.

    What `start` keeps float stays so, and so do its exact sums. clock: seconds; at `deadline` the search stops with what it
    has, but the first candidate is always judged. faster: where all layers keep the budget, WEIGHTED alone is a candidate
    still: it takes as many bytes, and depthwise convolutions may be slower on codes. measured: what layers cost alone is measured even where no layer has to
    go back. The same answers of the bench, the judge and the clock give the same points.
    """
    trials = Trials(bench, judge, clock, deadline, on_draft)
    alone: Noises = {}
    base = start
    complete = True
    try:
        base, fits = _configure(bench, trials, start, methods, by_channel, max_drop, on_step)
        if fits and faster and _has_fewer(bench, start):
            on_step(f"judging {label_of(_weighted(start), start)}")
            trials.whole(_weighted(start))
        every = _free(base, bench)
        computed = {layer.name for layer in bench.layers(base)}
        layers = [layer for layer in every if layer.name in computed] if base.stored else every
        keeping: Keeping = _keeping
        if not fits and base.stored and not _stored_fit(trials, base, layers, max_drop, on_step):
            layers, keeping = every, _keeping_whole
        if not fits or measured:
            alone, bounds = measure(trials, base, every, on_step, _keeping_whole if base.stored else _keeping)
        if not fits and layers:
            descent = Descent(trials, base, keeping, max_drop, on_step)
            descent.go(sorted(layers, key=lambda layer: -bounds[layer.name]))
            if descent.kept_bytes(layers) > SMALL * sum(layer.weight_bytes for layer in layers):
                descent.go(sorted(layers, key=lambda layer: -bounds[layer.name] / max(1, layer.weight_bytes)))
    except OutOfTime:
        complete = False
    points = told_apart([_point(bench, one, start, base, alone) for one in trials.done])
    best = min(
        (point for point in points if point.quality.drop <= max_drop),
        key=lambda point: (*point.order, point.quality.drop), default=None,
    )  # fmt: skip
    return Found(points, best, complete)


def _configure(
    bench: Workbench,
    trials: Trials,
    start: Recipe,
    methods: Sequence[Method],
    by_channel: bool,
    max_drop: float,
    on_step: Callable[[str], None],
) -> tuple[Recipe, bool]:
    """The recipe without further layers kept float that loses least, and whether it keeps the budget."""
    on_step(f"judging {start.name}")
    first = trials.whole(start)
    if first.quality.drop <= max_drop or start.scheme != "static":
        return start, first.quality.drop <= max_drop
    sets = [start, _weighted(start)] if _has_fewer(bench, start) else [start]
    until = trials.now() + SHARE * trials.left

    def best() -> Trial:
        return min(trials.done, key=_drop)  # the first of equals

    def candidates() -> Iterator[Recipe]:
        for method in dict.fromkeys((start.method, *methods)):
            yield from (replace(one, method=method) for one in sets)
            if by_channel and method == start.method:
                yield replace(sets[-1], by_channel=True)  # grids by channel lie before convolutions in float
        if by_channel:
            yield replace(best().recipe, by_channel=True)

    for recipe in candidates():
        if trials.now() + trials.longest > until:
            break
        on_step(f"judging {label_of(recipe, start)}")
        trials.whole(recipe)
    return best().recipe, best().quality.drop <= max_drop


def _weighted(start: Recipe) -> Recipe:
    return replace(start, operators=WEIGHTED)


def _has_fewer(bench: Workbench, start: Recipe) -> bool:
    """Whether WEIGHTED alone leaves some of the layers of `start` float, and not all."""
    if start.scheme != "static" or start.operators:
        return False
    return 0 < len(bench.layers(_weighted(start))) < len(bench.layers(start))


def _drop(trial: Trial) -> float:
    drop = trial.quality.drop
    return math.inf if math.isnan(drop) else drop


def _free(base: Recipe, bench: Workbench) -> list[Layer]:
    """The layers that may go back to float as a whole: those that compute on codes, and those that are stored so."""
    found = {layer.name: layer for layer in (*bench.layers(base), *bench.stored(base))}
    return [layer for layer in found.values() if layer.name not in base.kept_float]


def _stored_fit(
    trials: Trials, base: Recipe, layers: Sequence[Layer], max_drop: float, on_step: Callable[[str], None]
) -> bool:
    """Whether the model keeps the budget that computes in float with weights stored as codes."""
    on_step(f"judging {base.name} with all layers float, their weights stored")
    return trials.whole(_keeping(base, layers)).quality.drop <= max_drop


def _keeping(base: Recipe, layers: Sequence[Layer]) -> Recipe:
    return replace(base, kept_float=base.kept_float | frozenset(layer.name for layer in layers))


def _keeping_whole(base: Recipe, layers: Sequence[Layer]) -> Recipe:
    """Their weights stay float in the file, too."""
    names = frozenset(layer.name for layer in layers)
    return replace(base, kept_float=base.kept_float | names, float_weights=base.float_weights | names)


def label_of(recipe: Recipe, start: Recipe) -> str:
    """`static U8S8, weighted operators, entropy, 3 layers float`."""
    parts = [recipe.name]
    if recipe.operators != start.operators:
        parts.append("weighted operators" if recipe.operators == WEIGHTED else "all operators")
    if recipe.by_channel != start.by_channel:
        parts.append("by channel")
    if recipe.method != start.method:
        parts.append(recipe.method)
    kept = len(recipe.kept_float)
    whole = len(recipe.float_weights - start.float_weights)
    if kept:
        stored = f" ({whole} with float32 weights)" if whole else ""
        parts.append(f"{kept} layer{'s' if kept > 1 else ''} float{stored}")
    return ", ".join(parts)


def _point(bench: Workbench, trial: Trial, start: Recipe, base: Recipe, alone: Noises) -> Point:
    """With what layers cost alone, where it was measured with the operators and the method of this recipe."""
    recipe = trial.recipe
    alike = replace(recipe, kept_float=base.kept_float, float_weights=base.float_weights) == base
    known = alone if alike else {}
    computed = {layer.name: layer for layer in bench.layers(recipe)}
    stored = {layer.name: layer for layer in bench.stored(recipe) if layer.name not in recipe.float_weights}
    facts = tuple(
        LayerFacts(
            layer,
            known.get(name),
            kept_float=name in recipe.kept_float,
            stored=name in stored and (name in recipe.kept_float or name not in computed),
        )
        for name, layer in {**computed, **{layer.name: layer for layer in bench.stored(recipe)}}.items()
    )
    return Point(label_of(recipe, start), recipe, trial.bytes, trial.quality, facts)
