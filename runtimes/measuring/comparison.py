"""Whether two results differ, how sure that is, and whether they may be compared at all.

A difference counts from 2 % on, either way (the margin): between two sessions of the same model a small bias remains
that no interval of one session shows, so that an interval that excludes 1 proves nothing. The decision is that of
equivalence testing (Schuirmann, "A comparison of the two one-sided tests procedure and the power approach for assessing
the equivalence of average bioavailability", Journal of Pharmacokinetics and Biopharmaceutics 15:6, 1987), read from an
interval of the ratio: inside [1 / 1.02, 1.02] "no difference"; wholly beyond "slower" or "faster"; else "unclear". Two
one-sided tests at 5 % would read a 90 % interval; the 95 % one that is printed asks for more.

What is compared:

- "isolated": the samples with no context switch, where both results are stable; of these the quiet ones alone (no
  other use of the core, `Launch.quiet`) where both have enough of them. Launches of one round ran side by side:
  the ratio is formed in each round and the rounds are what is resampled (paired). Against a stored result the launches
  of either side are resampled on their own (unpaired).
- "experienced": all samples, where one of the two is not stable. Its median moves with the load, so that it cannot show
  that two models are equal: "no difference" is never said, and "slower" or "faster" only where the whole interval is
  beyond twice the margin. Side by side both met the same load. Against a stored result they did not, and no resampling
  of either can tell load from model: the interval is then widened until it covers that of the few clean samples as well,
  and where there are none, the verdict is "unclear".
- "instructions", "cycles": counts under emulation and of a simulator, which do not vary; the interval is the ratio itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.runtimes.measuring import bootstrap, comparable, statistics
from mlpack_edge.runtimes.measuring.bootstrap import Interval
from mlpack_edge.runtimes.measuring.result import QUIET_LAUNCHES, BenchResult, Comparison, Difference, View

MARGIN = 0.02
UNDER_LOAD = 2  # times the margin
_LARGEST = 700.0  # whose exponential is a float

Block = NDArray[np.uint64]
Rounds = dict[int, list[Block]]
_Samples = Literal["experienced", "clean", "quiet"]


@dataclass(frozen=True, slots=True)
class _Estimate:
    """Of the logarithm of a ratio, from `rounds` rounds (unpaired: launches of the side with fewer)."""

    log_ratio: float
    interval: Interval
    rounds: int


def compare(a: BenchResult, b: BenchResult, *, paired: bool, margin: float = MARGIN) -> Comparison:
    """`b` against `a`. paired: both were measured in the same run, taking turns.

    The ratio is the geometric mean of those of the rounds' medians (unpaired: the ratio of the geometric means of the
    launches' medians). compare(b, a) gives the inverse of all of it. BadInput where a stored result is not comparable
    (`why_not_comparable`), or where one was timed and the other counted.
    """
    why = comparable.why_other_quantity(a, b) if paired else comparable.why_not_comparable(a, b)
    if why:
        raise BadInput(
            f"{b.model} cannot be compared with {a.model}",
            "measure both on the same machine, with the same options",
            why=why,
        )
    notes = comparable.notes(a, b)
    if a.counted is not None and b.counted is not None:
        counts = a.counted[1], b.counted[1]
        ratio = counts[1] / counts[0] if min(counts) > 0 else math.nan
        verdict = judge((ratio, ratio), margin)
        return Comparison(a.model, b.model, ratio, (ratio, ratio), verdict, a.counted[0], paired, 1, notes)
    view, found = _view_and_estimate(a, b, paired)
    interval = _exp(found.interval)
    verdict = judge(interval, margin)
    if view == "experienced":
        witness = found.interval if paired else _estimate(a, b, "clean", paired).interval
        interval = _exp(_hull(found.interval, witness))
        verdict = "unclear" if math.isnan(witness[0]) else _judge_under_load(interval, margin)
    ratio = math.exp(found.log_ratio)
    return Comparison(a.model, b.model, ratio, interval, verdict, view, paired, found.rounds, notes)


def _view_and_estimate(a: BenchResult, b: BenchResult, paired: bool) -> tuple[View, _Estimate]:
    """Isolated where both are stable and two rounds have clean samples of both; else as experienced."""
    if a.verdict == b.verdict == "stable":
        if a.isolation == b.isolation == "quiet":
            found = _estimate(a, b, "quiet", paired)
            if found.rounds >= min(QUIET_LAUNCHES, len(a.launches), len(b.launches)):
                return "isolated", found
        found = _estimate(a, b, "clean", paired)
        if found.rounds >= statistics.STABLE_LAUNCHES:
            return "isolated", found
    return "experienced", _estimate(a, b, "experienced", paired)


def judge(interval: Interval, margin: float = MARGIN) -> Difference:
    """The verdict on an interval of the ratio b over a; NaN is "unclear"."""
    low, high = interval
    if low > 1 + margin:
        return "slower"
    if high < 1 / (1 + margin):
        return "faster"
    return "no difference" if low >= 1 / (1 + margin) and high <= 1 + margin else "unclear"


def _judge_under_load(interval: Interval, margin: float) -> Difference:
    verdict = judge(interval, UNDER_LOAD * margin)
    return "unclear" if verdict == "no difference" else verdict


def _hull(one: Interval, other: Interval) -> Interval:
    """Of both; of `one` where the other does not exist."""
    return one if math.isnan(other[0]) else (min(one[0], other[0]), max(one[1], other[1]))


def _exp(interval: Interval) -> Interval:
    """Out of logarithms; two processes can leave an interval so wide that a float ends before it does."""
    low, high = interval
    return math.exp(min(low, _LARGEST)), math.exp(min(high, _LARGEST))


def _rounds(result: BenchResult, view: _Samples) -> Rounds:
    """The blocks of each round that has any sample, by the number of the round."""
    found: Rounds = {}
    launches = result.quiet_launches() if view == "quiet" else result.launches
    for launch in sorted(launches, key=lambda launch: launch.round):
        found.setdefault(launch.round, []).extend(launch.blocks(view))
    return {number: blocks for number, blocks in found.items() if any(block.size for block in blocks)}


def _estimate(a: BenchResult, b: BenchResult, view: _Samples, paired: bool) -> _Estimate:
    """Of b over a; computed from the faster to the slower, so that the two directions draw the same resamples."""
    of_a, of_b = _rounds(a, view), _rounds(b, view)
    both = sorted(of_a.keys() & of_b.keys())
    sides = [
        [of[number] for number in both] if paired else list(of.values())
        for of in (of_a, of_b)
    ]  # fmt: skip
    if not all(sides):
        return _Estimate(math.nan, bootstrap.NOTHING, 0)
    logs = [_log_medians(side) for side in sides]
    if logs[1].tolist() < logs[0].tolist():
        turned = (_paired if paired else _unpaired)(sides[::-1], logs[::-1])
        return _Estimate(-turned.log_ratio, (-turned.interval[1], -turned.interval[0]), turned.rounds)
    return (_paired if paired else _unpaired)(sides, logs)


def _log_medians(rounds: Sequence[Sequence[Block]]) -> NDArray[np.float64]:
    return bootstrap.log_each(np.array([np.median(np.concatenate(blocks)) for blocks in rounds]))


def _paired(sides: list[list[list[Block]]], logs: list[NDArray[np.float64]]) -> _Estimate:
    draw = bootstrap.generator()
    ratios = logs[1] - logs[0]
    resampled = np.stack([_resampled_ratio(draw, a, b) for a, b in zip(*sides, strict=True)])
    middle, error = float(ratios.mean()), bootstrap.standard_error(ratios)
    interval = bootstrap.expanded(bootstrap.means(draw, resampled), middle, error, ratios.size)
    return _Estimate(middle, interval, ratios.size)


def _resampled_ratio(draw: np.random.Generator, a: list[Block], b: list[Block]) -> NDArray[np.float64]:
    """Log ratios [m] of one round. Block i of both ran in the same turn, under the same load, and is drawn for both."""
    if len(a) == len(b) and all(block.size for block in (*a, *b)):
        times = bootstrap.picks(draw, len(a))
        return bootstrap.log_medians(b, times) - bootstrap.log_medians(a, times)
    of_a, of_b = _resampled(draw, a), _resampled(draw, b)
    return of_b - of_a


def _resampled(draw: np.random.Generator, blocks: list[Block]) -> NDArray[np.float64]:
    filled = [block for block in blocks if block.size]
    return bootstrap.log_medians(filled, bootstrap.picks(draw, len(filled)))


def _unpaired(sides: list[list[list[Block]]], logs: list[NDArray[np.float64]]) -> _Estimate:
    draw = bootstrap.generator()
    resampled = [np.stack([_resampled(draw, blocks) for blocks in side]) for side in sides]
    of_a, of_b = (bootstrap.means(draw, each) for each in resampled)
    middle = float(logs[1].mean() - logs[0].mean())
    error = math.hypot(*(bootstrap.standard_error(each) for each in logs))
    fewer = min(len(side) for side in sides)
    return _Estimate(middle, bootstrap.expanded(of_b - of_a, middle, error, fewer), fewer)
