"""Which of the models that were made is taken, and why: rules over figures, nothing else. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlpack_edge.converters.quantization.values import Point, Quality
from mlpack_edge.runtimes.measuring.comparison import MARGIN
from mlpack_edge.runtimes.measuring.comparison import judge as judge_ratio
from mlpack_edge.runtimes.measuring.result import Difference

#: Files whose sizes differ by at most this factor are of one size: then the faster one is taken.
SAME_SIZE = 1.01
#: Points that are named where none fits.
NEAREST = 3


@dataclass(frozen=True, slots=True)
class Latency:
    """What a call takes on the target. ns: None where only counts are known. ratio: over the float model's (above 1: slower),
    None where the target does not run that; ci95: its interval. verdict: of the comparison (see
    `runtimes.measuring.comparison`), which knows how the interval was taken. refused: why the target does not run it. counted:
    what the ratio is of where nothing was timed ("instructions", "cycles")."""

    ns: float | None
    ratio: float | None = None
    ci95: tuple[float, float] | None = None
    verdict: Difference | None = None
    refused: str = ""
    counted: str = ""

    @property
    def slower(self) -> bool:
        """Beyond the margin of measurement."""
        if self.verdict is not None:
            return self.verdict == "slower"
        return self.ci95 is not None and judge_ratio(self.ci95) == "slower"

    @property
    def words(self) -> str:
        """`1.6 times as fast`, `slower (0.83 times as fast)`, `as fast`, `1.24 times the instructions`; nothing where no ratio is
        known."""
        if self.ratio is None or not self.ratio > 0:
            return ""
        if self.counted:
            return f"{self.ratio:.2f} times the {self.counted}"
        speed = f"{_figure(1 / self.ratio)} times as fast"
        if self.slower:
            return f"slower ({speed})"
        verdict = self.verdict or (judge_ratio(self.ci95) if self.ci95 is not None else "unclear")
        return "as fast" if verdict == "no difference" else speed if verdict == "faster" else f"{speed} (not sure)"


@dataclass(frozen=True, slots=True)
class Tried:
    """latency: None where it was not measured."""

    point: Point
    latency: Latency | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """max_drop: in the unit of `Quality.drop`. max_bytes: of the file; where it is given, a slower model may be taken.
    max_latency_ns: of a call on the target."""

    max_drop: float
    max_bytes: int | None = None
    max_latency_ns: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that a point breaks. excess: by what factor the figure is beyond the limit, above 1. text: for people."""

    name: str
    excess: float
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table of what was tried. broken: the rules it breaks, none where it fits. pareto: no other point is at
    least as good in size, loss and (where both were measured) latency, and better in one of them."""

    tried: Tried
    broken: tuple[Rule, ...]
    pareto: bool
    chosen: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """tried: None where nothing fits. why: one line. nearest: where nothing fits, those that break least, the nearest first.
    rows: all of them, in the order in which they came."""

    tried: Tried | None
    why: str
    nearest: tuple[Tried, ...]
    rows: tuple[Row, ...]

    @property
    def point(self) -> Point | None:
        return self.tried.point if self.tried else None


def choose(tried: Sequence[Tried], budget: Budget, baseline_bytes: int) -> Choice:
    """The smallest model that breaks no rule; of those within SAME_SIZE of it the fastest, then the one that loses least, then
    the smallest, then the first. baseline_bytes: of the float file."""
    broken = [broken_rules(one, budget, baseline_bytes) for one in tried]
    fitting = [one for one, rules in zip(tried, broken, strict=True) if not rules]
    best = _best(fitting)
    order = sorted(range(len(tried)), key=lambda at: (_distance(broken[at]), tried[at].point.bytes))
    rows = tuple(Row(one, rules, on_front(one, tried), one is best) for one, rules in zip(tried, broken, strict=True))
    if best is None:
        nearest = tuple(tried[at] for at in order[:NEAREST])
        return Choice(None, _why_none(nearest, rows, baseline_bytes), nearest, rows)
    return Choice(best, _why(best, rows, baseline_bytes), (), rows)


def _best(fitting: Sequence[Tried]) -> Tried | None:
    if not fitting:
        return None
    limit = SAME_SIZE * min(one.point.bytes for one in fitting)
    return min(
        (one for one in fitting if one.point.bytes <= limit),
        key=lambda one: (_ratio(one), one.point.quality.drop, one.point.bytes),
    )


def _ratio(one: Tried) -> float:
    """What was not measured is taken as being as fast as the float model."""
    latency = one.latency
    return latency.ratio if latency is not None and latency.ratio is not None else 1.0


def broken_rules(one: Tried, budget: Budget, baseline_bytes: int) -> tuple[Rule, ...]:
    """In the order: loss, size, speed. A figure that is no number breaks its rule."""
    point, latency = one.point, one.latency
    drop = point.quality.drop
    rules = []
    if not drop <= budget.max_drop:
        over = drop / budget.max_drop if budget.max_drop > 0 and not math.isnan(drop) else math.inf
        rules.append(Rule("max-drop", over, f"{loss_text(point.quality)}, and {budget.max_drop:g} may be lost"))
    if point.bytes >= baseline_bytes:
        text = f"{_share(point, baseline_bytes)} of the size: not smaller than the float model"
        rules.append(Rule("smaller", max(point.bytes / max(1, baseline_bytes), 1.0), text))
    if budget.max_bytes is not None and point.bytes > budget.max_bytes:
        text = f"{point.bytes:,} bytes, and --max-size is {budget.max_bytes:,}"
        rules.append(Rule("max-size", point.bytes / max(1, budget.max_bytes), text))
    if latency is not None and latency.refused:
        rules.append(Rule("runs", math.inf, f"the target does not run it: {latency.refused}"))
        return tuple(rules)
    if latency is not None and latency.slower and budget.max_bytes is None:
        rules.append(Rule("slower", latency.ratio or math.inf, latency.words or "slower"))
    if budget.max_latency_ns is not None:
        ns = latency.ns if latency is not None else None
        if ns is None:
            rules.append(Rule("max-latency", math.inf, "a call was not timed, and --max-latency is set"))
        elif not ns <= budget.max_latency_ns:
            text = f"{_time(ns)} a call, and --max-latency is {_time(budget.max_latency_ns)}"
            rules.append(
                Rule("max-latency", ns / budget.max_latency_ns if budget.max_latency_ns > 0 else math.inf, text)
            )
    return tuple(rules)


def on_front(one: Tried, others: Sequence[Tried]) -> bool:
    """Whether no other point dominates it, see `Row`."""
    return not any(_dominates(other, one) for other in others if other is not one)


def _dominates(a: Tried, b: Tried) -> bool:
    pairs = [(float(a.point.bytes), float(b.point.bytes)), (_loss(a), _loss(b))]
    if a.latency is not None and b.latency is not None:
        one, other = _speed(a.latency), _speed(b.latency)
        if one is not None and other is not None:
            pairs.append((one, other))
    return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)


def _loss(one: Tried) -> float:
    """A gain is chance as often as not: no loss is no loss."""
    drop = one.point.quality.drop
    return math.inf if math.isnan(drop) else max(0.0, drop)


def _speed(latency: Latency) -> float | None:
    """Infinite where the target does not run it."""
    return math.inf if latency.refused else latency.ratio if latency.ratio is not None else latency.ns


def _distance(rules: Sequence[Rule]) -> float:
    """By how much all limits together are passed: the sum of the logarithms of the factors."""
    return sum(math.log(max(rule.excess, 1.0 + 1e-9)) if rule.excess < math.inf else 1e9 for rule in rules)


def _why(best: Tried, rows: Sequence[Row], baseline_bytes: int) -> str:
    """`static U8S8: 0.29 of the size, 1.6 times as fast, accuracy 0.981 against 0.983; dynamic would be 0.31 and slower`."""
    parts = [f"{_share(best.point, baseline_bytes)} of the size"]
    if best.latency is None:
        parts.append("speed not measured")
    elif best.latency.words:
        parts.append(best.latency.words)
    parts.append(quality_text(best.point.quality))
    said = f"{best.point.label}: {', '.join(parts)}"
    rival = _rival(best, rows)
    return f"{said}; {_rival_text(rival, baseline_bytes)}" if rival is not None else said


def _rival(best: Tried, rows: Sequence[Row]) -> Row | None:
    """What a reader would ask after: the fastest that fits, where it is surely faster; else the smallest of the other schemes,
    whether it fits or not."""
    faster = [row for row in rows if not row.broken and _surely_faster(row.tried, best)]
    if faster:
        return min(faster, key=lambda row: (_ratio(row.tried), row.tried.point.bytes))
    other = [row for row in rows if row.tried.point.recipe.name != best.point.recipe.name]
    return min(other, key=lambda row: row.tried.point.bytes, default=None)


def _surely_faster(one: Tried, other: Tried) -> bool:
    """Beyond the margin of measurement, also where their intervals are nearest. Each was held against the float model."""
    if one.latency is None or other.latency is None or one.latency.ci95 is None or other.latency.ci95 is None:
        return False
    return one.latency.counted == other.latency.counted and one.latency.ci95[1] * (1 + MARGIN) < other.latency.ci95[0]


def _rival_text(row: Row, baseline_bytes: int) -> str:
    point, latency = row.tried.point, row.tried.latency
    said = f"{point.label} would be {_share(point, baseline_bytes)}"
    if row.broken:
        brief = {"smaller": "not smaller"} | ({} if latency is None or latency.counted else {"slower": "slower"})
        reasons = [brief.get(rule.name) or rule.text for rule in row.broken]
        return f"{said} and {reasons[0]}" if len(reasons) == 1 else f"{said}, and {', '.join(reasons)}"
    return f"{said} and {latency.words}" if latency is not None and latency.words else said


def _why_none(nearest: Sequence[Tried], rows: Sequence[Row], baseline_bytes: int) -> str:
    if not nearest:
        return "nothing was made"
    first = nearest[0]
    broken = next(row.broken for row in rows if row.tried is first)
    share = (
        f"{_share(first.point, baseline_bytes)} of the size, " if all(rule.name != "smaller" for rule in broken) else ""
    )
    return f"nothing fits; the nearest is {first.point.label}: {share}{'; '.join(rule.text for rule in broken)}"


def quality_text(quality: Quality) -> str:
    """`accuracy 0.981 against 0.983`; of agreement `0.2 % of labels changed, 31 dB above the noise`."""
    if quality.metric != "agreement":
        return f"{quality.metric} {quality.after:.4g} against {quality.before:.4g}"
    parts = [] if quality.flips is None else [f"{100 * quality.flips:.2g} % of labels changed"]
    if quality.slices:
        parts.append(noise_text(quality.slices[0].noise))
    return ", ".join(parts) or "the same answers"


def loss_text(quality: Quality) -> str:
    """What was lost: `accuracy 0.951 against 0.983`, `agreement: 3.1 % of labels changed, 17 dB above its noise`."""
    name = "agreement: " if quality.metric == "agreement" else ""
    lost = f", {quality.drop:.3g} lost" if math.isfinite(quality.drop) else ""
    return f"{name}{quality_text(quality)}{lost}"


def noise_text(noise: float) -> str:
    if not math.isfinite(noise):
        return "an output that is no number"
    return "no noise" if noise <= 0 else f"the worst output {10 * math.log10(1 / noise):.0f} dB above its noise"


def _share(point: Point, baseline_bytes: int) -> str:
    return f"{point.bytes / max(1, baseline_bytes):.2f}"


def _figure(value: float) -> str:
    return f"{value:.2f}" if value < 1.2 else f"{value:.1f}"


def _time(ns: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"
