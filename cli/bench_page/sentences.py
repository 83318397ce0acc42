"""The verdict in words: who is faster, by how much, how sure; or what is unstable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlpack_edge.cli.bench_page.labels import NAME_ROOM, short_names, shortened
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
from mlpack_edge.runtimes.measuring.comparison import MARGIN
from mlpack_edge.runtimes.measuring.statistics import STABLE_LAUNCHES, STABLE_SHARE

Json = dict[str, Any]

VIEWS = {"isolated": "isolated medians", "experienced": "medians as experienced"}
#: Views that are counts -> what a model does so many of.
COUNTS = {"instructions": "executes", "cycles": "is estimated at"}


@dataclass(frozen=True, slots=True)
class Pair:
    """One comparison: `b` against `a`; ratio > 1 where b costs more. None where not known; a key is 0 for a model that is not
    among the results."""

    a: str
    b: str
    a_key: int
    b_key: int
    ratio: float | None
    low: float | None
    high: float | None
    verdict: str
    view: str

    @property
    def first(self) -> str:
        """`a` with its number."""
        return f"{self.a_key}{GAP}{self.a}" if self.a_key else self.a

    @property
    def second(self) -> str:
        return f"{self.b_key}{GAP}{self.b}" if self.b_key else self.b

    @property
    def exact(self) -> bool:
        """Counted or estimated, not sampled: there is no interval to give."""
        return self.view in COUNTS

    @property
    def said(self) -> str:
        """The verdict; of counts it does not speak of speed."""
        return {"faster": "fewer", "slower": "more"}.get(self.verdict, self.verdict) if self.exact else self.verdict

    @property
    def spread(self) -> float | None:
        return None if self.low is None or self.high is None or self.exact else self.high - self.low


def pairs_of(comparison: Sequence[Json], models: Sequence[Model]) -> list[Pair]:
    """The comparisons, with the names and numbers that the page uses."""
    counted = Counter(model.name for model in models)
    keys = {model.name: model.key for model in models if counted[model.name] == 1}
    labels = {model.name: model.label for model in models}
    pairs = []
    for record in comparison:
        names = [printable(str(record.get(side) or "unnamed")).replace("\n", " ") for side in ("a", "b")]
        a, b = (labels.get(name) or shortened(short_names([name])[0], NAME_ROOM, 13) for name in names)
        low, high = (*(record.get("ci95") or ()), None, None)[:2]
        pairs.append(
            Pair(a, b, keys.get(names[0], 0), keys.get(names[1], 0), known(record.get("ratio")), known(low), known(high),
                 str(record.get("verdict") or "unclear"), str(record.get("view") or "isolated"))
        )  # fmt: skip
    return pairs


def headline(models: Sequence[Model], pairs: Sequence[Pair], refused: int) -> tuple[str, list[str]]:
    """The sentence at the head of the page, and those that follow it."""
    if not models:
        return "Nothing was measured", [f"{_count(refused, 'model was', 'models were')} refused."]
    if len(pairs) > 1:
        head, after = _of_many(pairs)
    elif pairs:
        head, sure = sentence(pairs[0])
        after = [sure]
    elif len(models) == 1:
        head, after = _alone(models[0])
    else:
        head, after = f"{len(models)} models, not compared", []
    shaky = [model for model in models if model.timed and not model.stable]
    if shaky:
        reasons = "; ".join(f"{model.label} ({why_unstable(model)})" for model in shaky)
        after.append(f"Unstable, no figure to act on: {reasons}.")
    if refused:
        after.append(f"{_count(refused, 'model was', 'models were')} refused; see below.")
    return head, after


def sentence(pair: Pair) -> tuple[str, str]:
    """One comparison in words: what, and how sure."""
    a, b, sure = pair.a, pair.b, _sure(pair)
    if pair.ratio is None:
        return f"{b} could not be compared with {a}", sure
    if pair.verdict == "no difference":
        inside = "The interval lies" if not pair.exact else "It lies"
        return f"No difference between {b} and {a}", f"{sure} {inside} inside the margin of {share_text(MARGIN)}."
    if pair.verdict in ("faster", "slower"):
        return f"{b} {_cost(pair)} {a}", sure
    return f"Unclear whether {b} and {a} differ", sure


def why_unstable(model: Model) -> str:
    """Why the verdict of a model is not "stable"."""
    share = model.number("clean_share")
    if model.facts.get("verdict_why"):
        return printable(str(model.facts["verdict_why"]))
    if share is not None and share < STABLE_SHARE:
        return f"{share_text(share, 1)} of calls clean, {share_text(STABLE_SHARE)} needed"
    if (model.number("processes") or len(model.launches)) < STABLE_LAUNCHES:
        return "a single process"
    return "verdict of the run"


def _of_many(pairs: Sequence[Pair]) -> tuple[str, list[str]]:
    reference = Counter((pair.a_key, pair.a) for pair in pairs).most_common(1)[0][0]
    against = [pair for pair in pairs if (pair.a_key, pair.a) == reference]
    counts = Counter(pair.said for pair in against)
    words = ["faster", "slower", "fewer", "more", "no difference", "unclear"]
    name = reference[1]
    tally = f"Against {name}: " + ", ".join(f"{counts[word]} {word}" for word in words if counts[word]) + "."
    faster = [pair for pair in against if pair.verdict == "faster" and pair.ratio is not None]
    if not faster:
        return (
            f"No model {f'needs clearly fewer {against[0].view}' if against[0].exact else 'is clearly faster'} than {name}",
            [tally],
        )
    best = min(faster, key=lambda pair: pair.ratio or 0.0)
    rivals = [pair for pair in faster if pair is not best and _overlap(pair, best)]
    head, sure = sentence(best)
    near = [f"Its interval overlaps that of {', '.join(pair.b for pair in rivals)}."] if rivals else []
    return head, [sure, *near, tally]


def _overlap(one: Pair, other: Pair) -> bool:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return True
    return one.low <= other.high and other.low <= one.high


def _cost(pair: Pair) -> str:
    ratio = pair.ratio or 0.0
    near = 0.5 < ratio < 2
    if pair.exact:
        if near:
            return f"{COUNTS[pair.view]} {share_text(abs(ratio - 1), 1)} {'fewer' if ratio < 1 else 'more'} {pair.view} than"
        return f"{COUNTS[pair.view]} {ratio_text(ratio)} times the {pair.view} of"
    if near:
        return f"takes {share_text(abs(ratio - 1), 1)} {'less' if ratio < 1 else 'more'} time than"
    if ratio >= 2:
        return f"takes {ratio:,.3g} times as long as"
    return f"is {1 / ratio:,.3g} times as fast as" if ratio > 0 else "takes no time beside"


def _sure(pair: Pair) -> str:
    view = VIEWS.get(pair.view, pair.view)
    if pair.ratio is None:
        return f"There is no ratio of their {view}."
    figure = f"Ratio of {view}: {ratio_text(pair.ratio, pair.spread)}"
    if pair.exact:
        return f"{figure}; {'counted' if pair.view == 'instructions' else 'estimated'}, not sampled."
    if pair.spread is None:
        return f"{figure}, without an interval."
    return f"{figure}, 95{GAP}% interval {ratio_span_text(pair.low, pair.high)}."


def _alone(model: Model) -> tuple[str, list[str]]:
    name = model.label
    if model.kind == "instructions":
        total = count_text(model.cost, 4)
        said = "Counted under emulation, which says nothing about time."
        return f"{name} executes {total} instructions per inference", [said]
    if model.kind == "cycles":
        return f"{name}: {count_text(model.cost, 4)} cycles per inference", ["Estimated by a simulator, not measured."]
    processes = _count(int(model.number("processes") or len(model.launches)), "process", "processes")
    calls = whole_text(model.number("samples"))
    seen = time_text(model.number("latency_ns", "p50"))
    if not model.stable:
        return f"{name}: unstable", [f"{calls} calls in {processes}; median as experienced {seen}."]
    interval = model.facts.get("ci95_ns") or (None, None)
    low, high = known(interval[0]), known(interval[1])
    sure = f"95{GAP}% interval {span_text(low, high)}" if low is not None and high is not None else "no interval"
    said = f"Isolated median of {calls} calls in {processes}, {sure}. As experienced: {seen}."
    return f"{name} takes {time_text(model.p50)} per call", [said]


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"
