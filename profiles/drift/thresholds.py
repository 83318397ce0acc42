"""What the reference's own windows say an effect must exceed. numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlpack_edge.profiles.drift.calendar import span_of
from mlpack_edge.profiles.drift.effects import chance, parts
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, MISSING, SUFFICIENT, UNSEEN
from mlpack_edge.profiles.drift.windows import held_days
from mlpack_edge.profiles.layout import Group
from mlpack_edge.profiles.spec import Learned, Numeric, Spec

_DAYS = {"day": 1.0, "hour": 24.0}
#: From this share of its days on a window is taken to have rows of all of them.
_WHOLE = 0.85


@dataclass(frozen=True, slots=True)
class Law:
    """Of the square of an effect where only chance is at work, times the effective rows and over `effects.chance`, by simulation
    (tests/profiles/drift/test_thresholds.py). often: what it exceeds once in fifty; mean and spread (standard deviation): its own;
    beyond, beyond_spread: those of what lies above `often`, 0 where it does not reach it."""

    often: float
    mean: float
    spread: float
    beyond: float
    beyond_spread: float


NUMBERS = Law(1.5, 0.17, 0.42, 0.014, 0.13)
#: Numbers of two or three values.
FEW_NUMBERS = Law(4.4, 0.5, 1.2, 0.035, 0.4)
CATEGORIES = Law(6.0, 0.72, 1.6, 0.048, 0.5)
_FEW = 3
#: What the square of a normal number exceeds once in a hundred, over its mean.
_LARGEST = 6.6
#: The same of a rate once in fifty: the normal's 2.326^2 - 1.
_RATE = 4.41


def blocks_in(spec: Spec, days: int | None, rows: float) -> float:
    """How many blocks of the reference a window is as long as: by its days where blocks are days or hours, else by its rows."""
    blocks = spec.reference.blocks
    if days is not None and blocks.unit in _DAYS:
        return days * _DAYS[blocks.unit]
    return rows * len(blocks.rows) / max(sum(blocks.rows), 1)


def gap(spec: Spec, days: int | None, held: float | None) -> float:
    """The share of its days that a window has no rows of, 0.0 where it has hardly more gaps than the reference itself, whose days may leave
    out weekends. held: `windows.held_days`, None where it is not known."""
    if days is None or not held:  # without rows there is nothing to judge
        return 0.0
    blocks, span = spec.reference.blocks, span_of(spec.reference.blocks)
    usual = 1.0
    if blocks.unit == "day" and span is not None and span[1] > span[0]:
        usual = min(held_days((at, at, rows) for at, rows in enumerate(blocks.rows)) / (span[1] - span[0] + 1), 1.0)
    told = held / max(usual * days, 1.0)
    return 0.0 if told >= _WHOLE else 1 - max(told, 1 / days)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the reference says of one feature, worked out once for windows of any length and any rows.

    often: of the law of chance, what the square of an effect exceeds once in fifty. chance: `effects.chance` of the reference;
    missing: the variance of a row of missing. alike: whether its blocks are `exchangeable`; hidden: the square of the effect that they
    may have all the same, in `chance` over the rows of a block. mean_rows: of a block.
    """

    taught: Learned | None
    often: float
    chance: float
    missing: float
    alike: bool
    hidden: float
    mean_rows: float

    def of(self, length: float, rows: int, days: int | None = None, gap: float = 0.0) -> dict[str, float]:
        """`learned` of windows of `length` blocks and `rows` rows. days: that they are; gap: the share of them that has no rows. The
        others lie no further from all than `gap` times their distance from the missing ones, which is taken to be a day's, and in all no
        further than a day may."""
        whole = self._of(length, rows)
        if not gap or not days:
            return whole
        day = self._of(length / days, rows)
        return {kind: min(day[kind], effect + gap * day[kind]) for kind, effect in whole.items()}

    def _of(self, length: float, rows: int) -> dict[str, float]:
        if self.taught is None or not self.taught.thresholds:
            return {}
        lengths = sorted(self.taught.thresholds)
        blocks = max((known for known in lengths if known <= length * 1.001), default=lengths[0])
        threshold = self.taught.thresholds[blocks]
        stretch = math.sqrt(math.log(SUFFICIENT) / math.log(min(max(threshold.windows, 2), SUFFICIENT)))
        less = 1 / max(blocks * self.mean_rows, 1) - 1 / max(rows, 1)
        if blocks == 1 and self.alike:
            largest = math.sqrt(_LARGEST * self.hidden * self.chance * max(less, 0.0))
        else:
            largest = math.sqrt(max(threshold.distribution**2 - self.often * self.chance * less, 0.0))
        found = {
            DISTRIBUTION: largest,
            MISSING: math.sqrt(max(threshold.missing**2 - _RATE * self.missing * less, 0.0)),
            UNSEEN: threshold.unseen,
        }
        # Never so far that a feature of which nothing is left as it was could not alarm.
        return {kind: min(effect * stretch, (1 + effect) / 2) for kind, effect in found.items()}


def limits(spec: Spec, group: Group) -> Limits:
    """Of the feature of a group."""
    taught = spec.reference.learned.get(group.name)
    law, (of_row, of_missing) = _law(spec, group), _chance(spec, group)
    alike = taught is not None and exchangeable(spec, taught.effects, of_row, law)
    blocks = max(len(spec.reference.blocks.rows), 1)
    hidden = _scaled(spec, taught.effects, of_row, law)[2] if taught is not None and alike else 0.0
    return Limits(taught, law.often, of_row, of_missing, alike, hidden, spec.reference.rows / blocks)


def learned(spec: Spec, group: Group, length: float, rows: int) -> dict[str, float]:
    """By kind of drift, what windows as long as `length` blocks must exceed, by the reference's own; empty where the reference was
    not cut. Between two lengths the shorter is taken: shorter windows differ more.

    Fewer than SUFFICIENT windows have not yet shown what is rare. Their largest effect is stretched by
    sqrt(ln SUFFICIENT / ln windows), the growth of the largest of so many normal numbers (Leadbetter, Lindgren and Rootzen
    1983, 1.5): 1.3 for 13 windows, 2.6 for two. The largest effect of small blocks is partly chance: in the square, the chance
    of the blocks' rows is exchanged for that of the window's, which may have more rows or fewer. Blocks that on average lie no
    further apart than chance has them set no limit to windows of their length: the floor is enough, the p-value knows chance.
    A window of many more rows sees what such blocks may hide: that is its limit.
    """
    return limits(spec, group).of(length, rows)


def exchangeable(spec: Spec, effects: bytes, chance_of_a_row: float, law: Law) -> bool:
    """Whether the blocks' effects (`Learned.effects`) are together no larger than chance makes them: within three standard errors the
    mean of their squares, and the mean of what of them lies beyond the once-in-fifty value.

    Sharper than the largest one: the first sees differences that no single block shows, the second a few days that stand out of many
    quiet ones, which are lost in the first (peaks over a threshold, Leadbetter 1991; how many there are and how far they reach in one number).
    """
    sizes = spec.reference.blocks.rows
    if len(effects) != len(sizes) or len(sizes) < SUFFICIENT or not chance_of_a_row:
        return False
    mean, beyond, _ = _scaled(spec, effects, chance_of_a_row, law)
    errors = 3 / math.sqrt(len(sizes))
    return mean <= law.mean + errors * law.spread and beyond <= law.beyond + errors * law.beyond_spread


def _scaled(spec: Spec, effects: bytes, chance_of_a_row: float, law: Law) -> tuple[float, float, float]:
    """Of the squares of the blocks' effects in units of `Law`: their mean, the mean of what lies beyond the once-in-fifty value, and by how
    much their mean may lie above that of chance without being seen (three standard errors)."""
    sizes = np.array(spec.reference.blocks.rows, np.float64)
    squares = (np.frombuffer(effects, np.uint8) / 255.0) ** 4
    rest = np.maximum(sizes.sum() - sizes, 1)
    scaled = squares * sizes * rest / (sizes + rest) / chance_of_a_row
    mean = float(scaled.mean())
    hidden = max(mean - law.mean + 3 / math.sqrt(len(sizes)) * law.spread, 0.0)
    return mean, float(np.maximum(scaled - law.often, 0.0).mean()), hidden


def _law(spec: Spec, group: Group) -> Law:
    if not isinstance(group.feature, Numeric):
        return CATEGORIES
    held = sum(count > 0 for count in spec.reference.counts[group.start : group.stop - 2])
    return NUMBERS if held > _FEW else FEW_NUMBERS


def _chance(spec: Spec, group: Group) -> tuple[float, float]:
    """`effects.chance` of the reference, and the variance of a row of missing."""
    feature = group.feature
    assert feature is not None
    counts = parts(feature, np.array(spec.reference.counts[group.start : group.stop], np.int64))
    rate = float(counts.missing / counts.rows) if counts.rows else 0.0
    if not counts.cells.shape[-1] or not counts.cells.sum():
        return 0.0, rate * (1 - rate)
    return float(chance(feature, counts.cells)), rate * (1 - rate)
