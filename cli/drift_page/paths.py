"""Lines of many points in few bytes: whole pixels, each point told by its distance from the one before."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]


def line(points: Sequence[Point]) -> str:
    """Path data through the points, rounded to whole pixels (what rounding takes from one step the next one gets). Points in
    one straight level line become one step."""
    if not points:
        return ""
    whole = [(round(x), round(y)) for x, y in points]
    kept = [
        point for place, point in enumerate(whole)
        if place in (0, len(whole) - 1) or not _goes_on_level(whole[place - 1], point, whole[place + 1])
    ]  # fmt: skip
    x, y = kept[0]
    text = f"M{x} {y}"
    last = ""
    for to_x, to_y in kept[1:]:
        dx, dy = to_x - x, to_y - y
        if not dx and not dy:
            continue
        step, letter = (f"h{dx}", "h") if not dy else (f"v{dy}", "v") if not dx else (_pair(dx, dy), "l")
        text += step if letter != "l" else (("l" if last != "l" else "" if dx < 0 else " ") + step)
        last, x, y = letter, to_x, to_y
    return text if len(text) > len(f"M{x} {y}") else text + "h1"


def _goes_on_level(before: tuple[int, int], point: tuple[int, int], after: tuple[int, int]) -> bool:
    return before[1] == point[1] == after[1] and (point[0] - before[0]) * (after[0] - point[0]) >= 0


def steps(lefts: Sequence[float], heights: Sequence[float], end: float, base: float) -> str:
    """Path data of a histogram: a level line at `base - height` from each left to the next, begun and ended on the base."""
    points: list[Point] = [(lefts[0], base)] if lefts else []
    for place, (left, height) in enumerate(zip(lefts, heights, strict=True)):
        right = lefts[place + 1] if place + 1 < len(lefts) else end
        points += [(left, base - height), (right, base - height)]
    return line([*points, (end, base)])


def _pair(dx: int, dy: int) -> str:
    return f"{dx}{dy}" if dy < 0 else f"{dx} {dy}"
