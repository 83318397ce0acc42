"""What the reference's own windows say an effect must exceed. numpy."""

from __future__ import annotations

import math

import numpy as np

from mlpack_edge.profiles.drift.effects import chance, parts
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, MISSING, SUFFICIENT, UNSEEN
from mlpack_edge.profiles.layout import Group
from mlpack_edge.profiles.spec import Spec, Threshold

_DAYS = {"day": 1.0, "hour": 24.0}
#: What two windows of one distribution exceed once in fifty: a square of the effect over what `effects` takes off it. Kolmogorov's
#: 98 % quantile 1.517, and the normal's for rates and the total variation.
_KOLMOGOROV, _NORMAL = 1.517**2 * 12 / math.pi**2 - 1, 2.326**2 - 1


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
    rows, in the square, the chance of the blocks' rows is exchanged for that of the window's.
    """
    taught = spec.reference.learned.get(group.name)
    if taught is None or not taught.thresholds:
        return {}
    fitting = [known for known in sorted(taught.thresholds) if known <= length * 1.001]
    blocks = fitting[-1] if fitting else min(taught.thresholds)
    threshold: Threshold = taught.thresholds[blocks]
    stretch = math.sqrt(math.log(SUFFICIENT) / math.log(min(max(threshold.windows, 2), SUFFICIENT)))
    of_blocks = blocks * spec.reference.rows / max(len(spec.reference.blocks.rows), 1)
    distribution, missing = _chance_of_a_row(spec, group)
    less = max(1 / max(of_blocks, 1) - 1 / max(rows, 1), 0.0)
    largest = {
        DISTRIBUTION: math.sqrt(max(threshold.distribution**2 - distribution * less, 0.0)),
        MISSING: math.sqrt(max(threshold.missing**2 - missing * less, 0.0)),
        UNSEEN: threshold.unseen,
    }
    # Never so far that a feature of which nothing is left as it was could not alarm.
    return {kind: min(effect * stretch, (1 + effect) / 2) for kind, effect in largest.items()}


def _chance_of_a_row(spec: Spec, group: Group) -> tuple[float, float]:
    """The square of the effect that chance exceeds once in fifty, times the rows: of the distribution and of missing."""
    feature = group.feature
    assert feature is not None
    counts = parts(feature, np.array(spec.reference.counts[group.start : group.stop], np.int64))
    rate = float(counts.missing / counts.rows) if counts.rows else 0.0
    if not counts.cells.shape[-1] or not counts.cells.sum():
        return 0.0, _NORMAL * rate * (1 - rate)
    numeric = hasattr(feature, "edges")
    return (_KOLMOGOROV if numeric else _NORMAL) * float(chance(feature, counts.cells)), _NORMAL * rate * (1 - rate)
