"""Labels that tell points apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from mlpack_edge.converters.quantization.values import Point

_ONE = "1 layer float"


def told_apart(points: Sequence[Point]) -> tuple[Point, ...]:
    """The points, no two with one label: of those that share one, a single layer that stayed float is named
    (`static U8S8, /fc1/Gemm float`); what is then still alike is numbered from the second on (`..., 3 layers float (2)`)."""
    shared = Counter(point.label for point in points)
    named = [_layer_named(point) if shared[point.label] > 1 else point for point in points]
    taken = {point.label for point in named}
    seen: set[str] = set()
    apart = []
    for point in named:
        label, number = point.label, 1
        while label in seen or (number > 1 and label in taken):
            number += 1
            label = f"{point.label} ({number})"
        seen.add(label)
        apart.append(replace(point, label=label))
    return tuple(apart)


def _layer_named(point: Point) -> Point:
    kept = point.recipe.kept_float
    return replace(point, label=point.label.replace(_ONE, f"{next(iter(kept))} float")) if len(kept) == 1 else point
