"""The verdict in words: who is faster, by how much, how sure; or what is unstable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlpack_edge.cli.bench_page.models import Model
from mlpack_edge.cli.bench_page.units import (
    GAP,
    count_text,
    known,
    ratio_span_text,
    ratio_text,
    share_text,
    span_text,
    time_text,
    whole_text,
)
from mlpack_edge.cli.outcome import printable

Json = dict[str, Any]

MARGIN = 0.02
VIEWS = {"isolated": "isolated median", "experienced": "median as experienced", "instructions": "instructions"}
LEAST_CLEAN = 0.2


@dataclass(frozen=True, slots=True)
class Pair:
    """One comparison: `b` against `a`; ratio > 1 where b costs more. None where not known."""

    a: str
    b: str
    ratio: float | None
    low: float | None
    high: float | None
    verdict: str
    view: str

    @property
    def exact(self) -> bool:
        """Counted, not sampled: there is no interval to give."""
        return self.view == "instructions"


def pairs_of(comparison: Sequence[Json], models: Sequence[Model]) -> list[Pair]:
    """The comparisons with the names that the page uses; a model that is not among the results is a stored baseline."""
    counted = Counter(model.name for model in models)
    labels = {model.name: f"{model.key}{GAP}{model.label}" for model in models if counted[model.name] == 1}
    pairs = []
    for record in comparison:
        names = [printable(str(record.get(side) or "unnamed")).replace("\n", " ") for side in ("a", "b")]
        first, second = (labels.get(name, name) for name in names)
        if not counted[names[0]] or (names[0] == names[1] and counted[names[0]] == 1):
            first = f"{names[0]} (stored baseline)"
        low, high = (*(record.get("ci95") or ()), None, None)[:2]
        pairs.append(
            Pair(first, second, known(record.get("ratio")), known(low), known(high), str(record.get("verdict") or "unclear"),
                 str(record.get("view") or "isolated"))
        )  # fmt: skip
    return pairs


def headline(models: Sequence[Model], pairs: Sequence[Pair], refused: int) -> tuple[str, list[str]]:
    """The sentence at the head of the page, and those that follow it."""
    if not models:
        return "Nothing was measured", [f"{_count(refused, 'model was', 'models were')} refused."]
    after = [_unstable(models)] if any(model.timed and not model.stable for model in models) else []
    if refused:
        after.append(f"{_count(refused, 'model was', 'models were')} refused; see below.")
    if len(models) == 1 and not pairs:
        head, detail = _alone(models[0])
        return head, [*detail, *after]
    if not pairs:
        return f"{len(models)} models, not compared", after
    if len(pairs) == 1:
        head, detail = sentence(pairs[0])
        return head, [detail, *after]
    head, detail = _of_many(pairs)
    return head, [*detail, *after]


def sentence(pair: Pair) -> tuple[str, str]:
    """One comparison in words: what, and how sure."""
    sure = _sure(pair)
    if pair.ratio is None:
        return f"{pair.b} could not be compared with {pair.a}", sure
    if pair.verdict == "no difference":
        margin = share_text(MARGIN)
        return f"No difference between {pair.b} and {pair.a}", f"{sure} It lies inside the margin of {margin}."
    if pair.verdict in ("faster", "slower"):
        return f"{pair.b} {_cost(pair)} {pair.a}", sure
    return f"Unclear whether {pair.b} and {pair.a} differ", sure


def _of_many(pairs: Sequence[Pair]) -> tuple[str, list[str]]:
    reference = Counter(pair.a for pair in pairs).most_common(1)[0][0]
    against = [pair for pair in pairs if pair.a == reference]
    counts = Counter(pair.verdict for pair in against)
    words = ["faster", "slower", "no difference", "unclear"]
    tally = f"Against {reference}: " + ", ".join(f"{counts[word]} {word}" for word in words if counts[word]) + "."
    faster = [pair for pair in against if pair.verdict == "faster" and pair.ratio is not None]
    if faster:
        best = min(faster, key=lambda pair: pair.ratio or 0.0)
        rivals = [pair for pair in faster if pair is not best and _overlap(pair, best)]
        head, sure = sentence(best)
        near = f"Its interval overlaps that of {', '.join(pair.b for pair in rivals)}." if rivals else ""
        return head, [text for text in (sure, near, tally) if text]
    return f"No model is clearly faster than {reference}", [tally]


def _overlap(one: Pair, other: Pair) -> bool:
    if None in (one.low, one.high, other.low, other.high):
        return not one.exact
    return bool(one.low <= other.high and other.low <= one.high)  # type: ignore[operator]


def _cost(pair: Pair) -> str:
    ratio = pair.ratio or 0.0
    change = share_text(abs(ratio - 1), 1)
    if pair.exact:
        if 0.5 < ratio < 2:
            return f"executes {change} {'fewer' if ratio < 1 else 'more'} instructions than"
        return f"executes {ratio_text(ratio)} times the instructions of"
    if 0.5 < ratio < 2:
        return f"takes {change} {'less' if ratio < 1 else 'more'} time than"
    if ratio >= 2:
        return f"takes {ratio_text(ratio)} times as long as"
    return f"is {ratio_text(1 / ratio) if ratio > 0 else 'infinitely many'} times as fast as"


def _sure(pair: Pair) -> str:
    view = VIEWS.get(pair.view, pair.view)
    if pair.ratio is None:
        return f"There is no ratio of their {view}."
    spread = None if pair.low is None or pair.high is None else pair.high - pair.low
    figure = f"Ratio of {view} {ratio_text(pair.ratio, spread)}"
    if pair.exact:
        return f"{figure}; counted, not sampled."
    if spread is None:
        return f"{figure}, without an interval."
    return f"{figure}, 95{GAP}% interval {ratio_span_text(pair.low, pair.high)}."


def _alone(model: Model) -> tuple[str, list[str]]:
    if not model.timed:
        total = model.number("instructions", "total")
        return f"{model.label}: {count_text(total, 4)} instructions per inference", [
            "Counted under emulation, which says nothing about time."
        ]
    processes = _count(int(model.number("processes") or len(model.launches)), "process", "processes")
    samples = whole_text(model.number("samples"))
    if not model.stable:
        return f"{model.label}: unstable", [
            f"{samples} calls in {processes}, as experienced: median {time_text(model.number('latency_ns', 'p50'))}."
        ]
    interval = model.facts.get("ci95_ns") or (None, None)
    low, high = known(interval[0]), known(interval[1])
    sure = f"95{GAP}% interval {span_text(low, high)}" if low is not None and high is not None else "no interval"
    return f"{model.label} takes {time_text(model.p50)} per call", [
        f"Isolated median of {samples} calls in {processes}; {sure}. "
        f"As experienced: {time_text(model.number('latency_ns', 'p50'))}."
    ]


def _unstable(models: Sequence[Model]) -> str:
    shaky = [model for model in models if model.timed and not model.stable]
    reasons = "; ".join(f"{model.key}{GAP}{model.label} ({why_unstable(model)})" for model in shaky)
    return f"Unstable, not figures to act on: {reasons}."


def why_unstable(model: Model) -> str:
    """Why the verdict of a model is not "stable", by the rules of `mlpack bench`."""
    share = model.number("clean_share")
    if share is not None and share < LEAST_CLEAN:
        return f"{share_text(share, 1)} of calls undisturbed, {share_text(LEAST_CLEAN)} needed"
    if (model.number("processes") or len(model.launches)) < 2:
        return "a single process"
    return "verdict of the run"


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"
