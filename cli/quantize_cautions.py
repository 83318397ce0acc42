"""What the figures of a quantization are worth: rows that nobody gave, models that are no good, metrics that see nothing."""

from __future__ import annotations

import math

from mlpack_edge.cli.quantize_request import QuantizeRequest
from mlpack_edge.converters.quantization.choosing import Choice
from mlpack_edge.converters.quantization.values import Quality

#: Metric -> what chance alone reaches, and how.
_CHANCE = {"r2": (0.0, "the mean of the labels does better"), "auc": (0.5, "guessing does better")}
#: A metric stays where it is when it changes by at most this share of what it may lose.
_STILL = 0.1


def cautions(request: QuantizeRequest, choice: Choice) -> list[str]:
    """Notes for people; none where there is nothing to warn of."""
    found = []
    if request.data is None and request.evaluation is None:
        found.append(
            "judged on rows that were made from the signature; yours may lose more: give some with --eval or --data"
        )
    if choice.rows:  # the float model's own figure is that of the most rows
        found += _worthless(max((row.tried.point.quality for row in choice.rows), key=lambda one: one.rows))
    if choice.point is not None:
        found += _unseen(choice.point.quality, request.max_drop)
    return found


def varies_little(quality: Quality) -> bool:
    """Whether the rows say little of what was lost: noise is held against what the outputs vary from row to row, which one row does
    not, and which is less than the noise where rows are much alike."""
    return quality.metric == "agreement" and quality.drop > 0 and (quality.rows < 2 or 1 < quality.drop < math.inf)


def _worthless(quality: Quality) -> list[str]:
    least, why = _CHANCE.get(quality.metric, (-math.inf, ""))
    if not quality.before < least:
        return []
    return [
        (
            f"the float model itself has {quality.metric} {quality.before:.3g} on these rows, {why}: what is lost of that says "
            "little; are the rows and --label those it was trained for?"
        )
    ]


def _unseen(quality: Quality, max_drop: float) -> list[str]:
    """Where the labels do not see what the outputs do."""
    if quality.metric == "agreement" or not quality.slices or not max_drop > 0:
        return []
    worst = quality.slices[0]
    if not (math.isfinite(worst.noise) and worst.noise > max_drop and abs(quality.drop) <= _STILL * max_drop):
        return []
    where = worst.output if worst.index is None else f"{worst.output}[{worst.index}]"
    return [
        (
            f"{quality.metric} stays at {quality.after:.4g}, yet {100 * worst.noise:.2g} % of what {where} varies is noise now "
            f"(more than --max-drop {max_drop:g}): where you use those numbers themselves, judge without --label"
        )
    ]
