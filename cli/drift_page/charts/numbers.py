"""The distribution of a number: how dense the rows lie, in the reference and now."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mlpack_edge.cli.bench_page.labels import text_width
from mlpack_edge.cli.bench_page.scales import Scale, labelled, linear_ticks
from mlpack_edge.cli.bench_page.svg import SMALL, Drawing
from mlpack_edge.cli.drift_page.frame import RIGHT, TOP, WIDTH, chart, share_text, ticks_below
from mlpack_edge.cli.drift_page.paths import steps
from mlpack_edge.cli.drift_page.shown import Part

HEIGHT = 150.0
#: A part is at least so many pixels wide; a share below which a tail is not drawn to scale.
_NARROWEST, _TAIL = 3.0, 0.005
#: Beyond this ratio of the highest to the middle density heights are square roots.
_SPIKY = 12.0
SIDES = ("reference", "current")


@dataclass(frozen=True, slots=True)
class Column:
    """Rows between two values."""

    low: float
    high: float
    reference: int
    current: int


def draw(feature: str, edges: Sequence[float], low: float, high: float, parts: Sequence[Part], unit: str) -> Markup:
    """parts: of the cells, in order, `shown.neighbours`. low, high: the reference's range. "" where nothing may be shown."""
    if not parts:
        return Markup("")
    rows = [sum(_rows(part, side) for part in parts) for side in SIDES]
    columns = [_column(edges, part, low, high) for part in parts]
    left, right = _range(columns, rows, low, high)
    across = Scale(left, right, 4.0, RIGHT)
    inside = [column for column in columns if column.low < right and column.high > left]
    inner = _widened([column for column in inside if column.low >= left and column.high <= right], across)
    beyond = (
        [column for column in columns if column.low < left],
        [column for column in columns if column.high > right],
    )
    drawing = Drawing(WIDTH, HEIGHT)
    bottom = HEIGHT - 20
    drawing.add("path", d=f"M4 {bottom:g}H{RIGHT:g}", class_="base")
    rooted = False
    if inner:
        dense = [
            [_density(column, side, total, across) for column in inner] for side, total in zip(SIDES, rows, strict=True)
        ]
        both = sorted(value for each in dense for value in each if value > 0)
        rooted = bool(both) and both[-1] > _SPIKY * both[len(both) // 2]
        if rooted:
            dense = [[math.sqrt(value) for value in each] for each in dense]
        top = max((value for each in dense for value in each), default=0.0) or 1.0
        lefts = [across(column.low) for column in inner]
        for heights, class_ in zip(dense, ("ref", "cur"), strict=True):
            scaled = [value / top * (bottom - TOP - 14) for value in heights]
            drawing.add("path", d=steps(lefts, scaled, across(inner[-1].high), bottom), class_=class_)
    ticks_below(drawing, [(across(value), text) for value, text in _ticks(across)], bottom, HEIGHT)
    told = []
    for place, outside in enumerate(beyond):
        before, now = (
            _share(sum(_rows(each, side) for each in outside), total) for side, total in zip(SIDES, rows, strict=True)
        )
        if max(before, now) > 0:
            arrow = "◂" if not place else "▸"
            text = f"{share_text(before)} → {share_text(now)}"
            drawing.text(
                4 if not place else RIGHT,
                11,
                f"{arrow} {text}" if not place else f"{text} {arrow}",
                class_="e" if place else "s",
            )
            told.append(f"{'below' if not place else 'above'} what is drawn {text.replace('→', 'to')}")
    middles = [_median(columns, side) for side in SIDES]
    words = f"Density of rows by {feature}{f' in {unit}' if unit else ''}: reference as an area, now as a line"
    words += "; heights are square roots" if rooted else ""
    described = f"Median about {_number(middles[0])} in the reference, {_number(middles[1])} now" + "".join(
        f"; {each}" for each in told
    )
    return chart(drawing, words, described + ".")


def _column(edges: Sequence[float], part: Part, low: float, high: float) -> Column:
    """The outermost cells are open: -inf and inf. Few rows beyond the range that were joined with many inside lie inside."""
    left = edges[part.first - 1] if part.first else -math.inf
    right = edges[part.last] if part.last < len(edges) else math.inf
    if left < low < right:
        left = low
    if left < high < right:
        right = high
    return Column(left, right, part.reference, part.current)


def _range(columns: Sequence[Column], rows: Sequence[int], low: float, high: float) -> tuple[float, float]:
    """The reference's range, and beyond it what holds a share worth drawing; whole columns."""
    finite = [column for column in columns if math.isfinite(column.low) and math.isfinite(column.high)]
    worth = [
        column
        for column in finite
        if (column.high > low and column.low < high and column.high - column.low <= 4 * (high - low))
        or max(_share(column.reference, rows[0]), _share(column.current, rows[1])) >= _TAIL
    ]
    if not worth:
        return (low, high) if high > low else (low - 1, low + 1)
    return min(column.low for column in worth), max(column.high for column in worth)


def _widened(columns: Sequence[Column], across: Scale) -> list[Column]:
    """Neighbours joined until each is wide enough to be seen."""
    found: list[Column] = []
    for column in columns:
        if found and across(found[-1].high) - across(found[-1].low) < _NARROWEST:
            last = found.pop()
            column = Column(last.low, column.high, last.reference + column.reference, last.current + column.current)
        found.append(column)
    return found


def _density(column: Column, side: str, total: int, across: Scale) -> float:
    wide = max(across(column.high) - across(column.low), 0.5)
    return _share(_rows(column, side), total) / wide


def _median(columns: Sequence[Column], side: str) -> float:
    total, seen = sum(_rows(column, side) for column in columns), 0.0
    for column in columns:
        mine = _rows(column, side)
        if mine and seen + mine >= total / 2:
            if not math.isfinite(column.low):
                return column.high
            if not math.isfinite(column.high):
                return column.low
            return column.low + (column.high - column.low) * (total / 2 - seen) / mine
        seen += mine
    return math.nan


def _ticks(across: Scale) -> list[tuple[float, str]]:
    for most in (5, 4, 3, 2):
        ticks = labelled(
            linear_ticks(across.low, across.high, most), lambda value, digits: _number(value, max(digits, 2))
        )
        if ticks and sum(text_width(text, SMALL) + 12 for _, text in ticks) < WIDTH * 0.9:
            return ticks
    return []


def _number(value: float, digits: int = 3) -> str:
    if not math.isfinite(value):
        return "unknown"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if -4 <= size < 6:
        return (
            f"{float(f'{value:.{digits}g}'):,.{max(0, digits - 1 - size)}f}".rstrip("0").rstrip(".")
            if size < digits - 1
            else f"{float(f'{value:.{digits}g}'):,.0f}"
        )
    return f"{value:.{digits - 1}e}"


def _share(count: int, total: int) -> float:
    return count / total if total else 0.0


def _rows(of: Column | Part, side: str) -> int:
    return of.reference if side == "reference" else of.current
