"""How accurate a classifier may be, by its own confidence: a proxy that never alarms.

Confidence-based performance estimation: the rows of a cell of confidence are taken to be right as often as the reference's
were. It assumes that the meaning of the answers did not change (no concept drift) and was seen to move the wrong way in two
months of twelve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlpack_edge.profiles.drift.facts import Accuracy
from mlpack_edge.profiles.spec import CONFIDENCE_CELLS, Reference

#: Labelled rows that a cell of the reference should have; a cell with fewer borrows from its neighbours.
_ENOUGH = 30


def estimate(reference: Reference, confidence: Sequence[int]) -> Accuracy | None:
    """confidence: counts `[CONFIDENCE_CELLS]`. None where the reference has no labels or nothing was predicted."""
    now = np.maximum(np.asarray(confidence, np.float64), 0.0)
    labelled, right = (np.array([pair[side] for pair in reference.right], np.float64) for side in (0, 1))
    if not len(labelled) or not labelled.sum() or not now.sum():
        return None
    rates, rows = zip(*(_rate(labelled, right, cell) for cell in range(CONFIDENCE_CELLS)), strict=True)
    rate, weight = np.array(rates), now / now.sum()
    # Of the cells' rates from their labelled rows, and of the answers themselves.
    variance = float(
        (weight**2 * rate * (1 - rate) / np.array(rows)).sum() + (weight * rate * (1 - rate)).sum() / now.sum()
    )
    return Accuracy(
        estimate=float(weight @ rate),
        reference=float(right.sum() / labelled.sum()),
        error=math.sqrt(variance),
        rows=int(now.sum()),
        labelled=int(labelled.sum()),
    )


def _rate(labelled: np.ndarray, right: np.ndarray, cell: int) -> tuple[float, float]:
    """The share of right answers around a cell and the rows it is from: the smallest neighbourhood with enough of them."""
    for reach in range(CONFIDENCE_CELLS):
        near = slice(max(cell - reach, 0), cell + reach + 1)
        rows = float(labelled[near].sum())
        if rows >= min(_ENOUGH, labelled.sum()):
            break
    return float(right[near].sum() / rows), rows
