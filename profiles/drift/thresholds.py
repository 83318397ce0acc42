"""What the reference's own windows say an effect must exceed. numpy."""

from __future__ import annotations

import math

import numpy as np

from mlpack_edge.profiles.drift.effects import chance, parts
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, MISSING, SUFFICIENT, UNSEEN
from mlpack_edge.profiles.layout import Group
from mlpack_edge.profiles.spec import Numeric, Spec, Threshold

_DAYS = {"day": 1.0, "hour": 24.0}
#: Of the square of an effect where only chance is at work, times the effective rows and over `effects.chance`: what it exceeds once
#: in fifty, its mean and its standard deviation, by simulation (tests/profiles/drift/test_thresholds.py): of numbers, of numbers
#: of two or three values, of categories.
NUMBERS, FEW_NUMBERS, CATEGORIES = (1.5, 0.17, 0.42), (4.4, 0.5, 1.2), (6.0, 0.72, 1.6)
_FEW = 3
#: The same of a rate once in fifty: the normal's 2.326^2 - 1.
_RATE = 4.41


def blocks_in(spec: Spec, days: int | None, rows: float) -> float:
    """How many blocks of the reference a window is as long as: by its days where blocks are days or hours, else by its rows."""
    blocks = spec.reference.blocks
    if days is not None and blocks.unit in _DAYS:
        return days * _DAYS[blocks.unit]
    return rows * len(blocks.rows) / max(sum(blocks.rows), 1)


def learned(spec: Spec, group: Group, length: float, rows: int) -> dict[str, float]:
    """By kind of drift, what windows as long as `length` blocks must exceed, by the reference's own; empty where the reference was
    not cut. Between two lengths the shorter is taken: shorter windows differ more.

    Fewer than SUFFICIENT windows have not yet shown what is rare. Their largest effect is stretched by
    sqrt(ln SUFFICIENT / ln windows), the growth of the largest of so many normal numbers (Leadbetter, Lindgren and Rootzen
    1983, 1.5): 1.3 for 13 windows, 2.6 for two. The largest effect of small blocks is partly chance: where the window has more
    rows, in the square, the chance of the blocks' rows is exchanged for that of the window's. Blocks that on average lie no
    further apart than chance has them set no limit to windows of their length: the floor is enough, the p-value knows chance.
    """
    taught = spec.reference.learned.get(group.name)
    if taught is None or not taught.thresholds:
        return {}
    fitting = [known for known in sorted(taught.thresholds) if known <= length * 1.001]
    blocks = fitting[-1] if fitting else min(taught.thresholds)
    threshold: Threshold = taught.thresholds[blocks]
    stretch = math.sqrt(math.log(SUFFICIENT) / math.log(min(max(threshold.windows, 2), SUFFICIENT)))
    of_blocks = blocks * spec.reference.rows / max(len(spec.reference.blocks.rows), 1)
    less = max(1 / max(of_blocks, 1) - 1 / max(rows, 1), 0.0)
    distribution, missing = _chance(spec, group)
    law = _law(spec, group)
    if blocks == 1 and exchangeable(spec, taught.effects, distribution, law):
        largest = 0.0
    else:
        largest = math.sqrt(max(threshold.distribution**2 - law[0] * distribution * less, 0.0))
    found = {
        DISTRIBUTION: largest,
        MISSING: math.sqrt(max(threshold.missing**2 - _RATE * missing * less, 0.0)),
        UNSEEN: threshold.unseen,
    }
    # Never so far that a feature of which nothing is left as it was could not alarm.
    return {kind: min(effect * stretch, (1 + effect) / 2) for kind, effect in found.items()}


def exchangeable(spec: Spec, effects: bytes, chance_of_a_row: float, law: tuple[float, float, float]) -> bool:
    """Whether the blocks' effects (`Learned.effects`) are together no larger than chance makes them: their mean square within three
    standard errors. Sharper than the largest one: it sees differences that no single block shows."""
    sizes = np.array(spec.reference.blocks.rows, np.float64)
    if len(effects) != len(sizes) or len(sizes) < SUFFICIENT or not chance_of_a_row:
        return False
    squares = (np.frombuffer(effects, np.uint8) / 255.0) ** 4
    rest = np.maximum(sizes.sum() - sizes, 1)
    scaled = squares * sizes * rest / (sizes + rest) / chance_of_a_row
    return bool(scaled.mean() <= law[1] + 3 * law[2] / math.sqrt(len(sizes)))


def _law(spec: Spec, group: Group) -> tuple[float, float, float]:
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
