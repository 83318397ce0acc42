"""Candidates that are one file but for what it says of how it was made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from mlpack_edge.converters.quantization.values import Point, Recipe

#: A point, and its file where it keeps the budget.
Made = tuple[Point, Path | None]
#: Of two that are one file the one that promises least says what it is.
_PROMISES = {"weights": 0, "fp16": 0, "dynamic": 1, "static": 2}


def without_copies(
    points: Sequence[Made], content: Callable[[Recipe], bytes]
) -> tuple[list[Made], list[tuple[Point, Point]]]:
    """(the points, each content once, in their order; those left out, whose files are removed, each with the one that stays).

    content: what a recipe makes, without its lineage. It is asked for only where two points were judged to be the
    same in every figure.
    """
    digests: dict[Recipe, str] = {}

    def digest(point: Point) -> str:
        if point.recipe not in digests:
            digests[point.recipe] = hashlib.sha256(content(point.recipe)).hexdigest()
        return digests[point.recipe]

    kept: list[Made] = []
    copies: list[tuple[Point, Point]] = []
    for one in sorted(points, key=lambda made: _PROMISES[made[0].recipe.scheme]):
        point, file = one
        alike = (other for other, _ in kept if other.quality == point.quality)
        same = next((other for other in alike if digest(other) == digest(point)), None)
        if same is None:
            kept.append(one)
            continue
        copies.append((point, same))
        if file is not None:
            file.unlink()
    return [one for one in points if one in kept], copies
