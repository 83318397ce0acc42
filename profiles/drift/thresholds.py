"""What the reference's own windows say an effect must exceed."""

from __future__ import annotations

import math

from mlpack_edge.profiles.drift.facts import DISTRIBUTION, MISSING, SUFFICIENT, UNSEEN
from mlpack_edge.profiles.spec import Spec, Threshold

_DAYS = {"day": 1.0, "hour": 24.0}


def blocks_in(spec: Spec, days: int | None, rows: float) -> float:
    """How many blocks of the reference a window is as long as: by its days where blocks are days or hours, else by its rows."""
    blocks = spec.reference.blocks
    if days is not None and blocks.unit in _DAYS:
        return days * _DAYS[blocks.unit]
    return rows * len(blocks.rows) / max(sum(blocks.rows), 1)


def learned(spec: Spec, name: str, length: float) -> dict[str, float]:
    """By kind of drift, the largest effect of the reference's own windows as long as `length` blocks; empty where the reference
    was not cut. Between two lengths the shorter is taken: shorter windows differ more.

    Fewer than SUFFICIENT windows have not yet shown what is rare. Their largest effect is stretched by
    sqrt(ln SUFFICIENT / ln windows), the growth of the largest of so many normal numbers (Leadbetter, Lindgren and Rootzen
    1983, 1.5): 1.3 for 13 windows, 2.6 for two.
    """
    found = spec.reference.learned.get(name)
    if found is None or not found.thresholds:
        return {}
    fitting = [known for known in sorted(found.thresholds) if known <= length * 1.001]
    threshold: Threshold = found.thresholds[fitting[-1] if fitting else min(found.thresholds)]
    stretch = math.sqrt(math.log(SUFFICIENT) / math.log(min(max(threshold.windows, 2), SUFFICIENT)))
    largest = {DISTRIBUTION: threshold.distribution, MISSING: threshold.missing, UNSEEN: threshold.unseen}
    # Never so far that a feature of which nothing is left as it was could not alarm.
    return {kind: min(effect * stretch, (1 + effect) / 2) for kind, effect in largest.items()}
