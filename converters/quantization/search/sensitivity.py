"""What quantizing a layer alone costs: every layer singly where there are few, else in groups, the noisiest split first.

The order this gives says where to begin and nothing more: layers that are harmless alone may ruin the model together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from mlpack_edge.converters.quantization.search.descent import Keeping
from mlpack_edge.converters.quantization.search.trials import Trials
from mlpack_edge.converters.quantization.values import Layer, Recipe

#: Measurements at most; rows of each, at most and at least.
MOST, ROWS, FEWEST = 60, 64, 4
#: Of the time that is left, what measuring may take; the joint verification needs the rest.
SHARE = 0.4
#: Groups that many layers are measured in at first.
GROUPS = 16

Noises = dict[str, float]


def measure(
    trials: Trials, recipe: Recipe, layers: Sequence[Layer], on_step: Callable[[str], None], keeping: Keeping
) -> tuple[Noises, Noises]:
    """(noise of each layer that was measured alone, a bound for every layer: its own noise or that of its group), by name.

    recipe: how a layer is quantized; what it keeps float stays so. keeping: what the other layers are meanwhile. layers: in the graph's order. Stops after MOST
    measurements or SHARE of the time that is left; what was not reached then has an infinite bound. A layer that gives no
    number has infinite noise.
    """
    names = [layer.name for layer in layers]
    until = trials.now() + SHARE * trials.left
    longest = 0.0
    rows = _rows(SHARE * trials.left, min(len(layers), 2 * GROUPS), trials.row_seconds)
    count = 0

    def noise(group: list[str]) -> float | None:
        """None where there is no more time."""
        nonlocal longest, count
        start = trials.now()
        if count >= MOST or start + longest > until:
            return None
        on_step(f"measuring {group[0]}" + (f" and {len(group) - 1} more" if len(group) > 1 else ""))
        found = trials.noise(keeping(recipe, [layer for layer in layers if layer.name not in group]), rows)
        count += 1
        longest = max(longest, trials.now() - start)
        return math.inf if math.isnan(found) else found

    alone: Noises = {}
    first = noise(names[:1]) if names else None
    if first is None:
        return {}, dict.fromkeys(names, math.inf)
    alone[names[0]] = first
    rest = names[1:]
    singly = len(names) <= MOST and longest * len(rest) <= until - trials.now()
    waiting = [rest[start:stop] for start, stop in _parts(len(rest), len(rest) if singly else GROUPS)]
    bounds = {**dict.fromkeys(names, math.inf), **alone}
    groups: list[tuple[float, list[str]]] = []
    while True:
        for group in waiting:
            found = noise(group)
            if found is None:
                return alone, bounds
            bounds.update(dict.fromkeys(group, found))
            if len(group) == 1:
                alone[group[0]] = found
            else:
                groups.append((found, group))
        if not groups:
            return alone, bounds
        worst = max(groups, key=lambda item: item[0])  # the first of equals
        groups.remove(worst)
        middle = len(worst[1]) // 2
        waiting = [worst[1][:middle], worst[1][middle:]]


def _rows(seconds: float, measurements: int, each: float) -> int:
    """So few that there is time for so many measurements, a row of one taking `each` seconds."""
    if each <= 0 or math.isinf(seconds):
        return ROWS
    return min(ROWS, max(FEWEST, int(seconds / max(1, measurements) / each)))


def _parts(length: int, parts: int) -> list[tuple[int, int]]:
    """`length` cut into at most `parts` neighbouring pieces of one size, give or take one."""
    parts = max(1, min(parts, length))
    edges = [length * at // parts for at in range(parts + 1)]
    return [(a, b) for a, b in pairwise(edges) if b > a]
