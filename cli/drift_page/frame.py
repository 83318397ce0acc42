"""The frame of the small charts: all of one width, which is that of a telephone and of a third of a desktop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mlpack_edge.cli.bench_page.labels import text_width
from mlpack_edge.cli.bench_page.scales import Scale, labelled, linear_ticks
from mlpack_edge.cli.bench_page.svg import SMALL, Drawing, element
from mlpack_edge.profiles.drift.reasons import rate_text

WIDTH = 300.0
LEFT, RIGHT, TOP = 34.0, 296.0, 14.0


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing with a vertical axis of shares from 0 up to `high`."""

    drawing: Drawing
    up: Scale
    bottom: float


def plot(high: float, height: float, percents: bool = False) -> Plot:
    """Grid lines and labels of at most three values, `high` held above 0."""
    drawing = Drawing(WIDTH, height)
    bottom = height - 20
    up = Scale(0.0, high if high > 0 else 1.0, bottom, TOP)
    ticks = labelled(linear_ticks(0.0, up.high, 3), _percent_tick if percents else _share_tick)
    level(drawing, [up(value) for value, _ in ticks if value], "grid")
    level(drawing, [bottom], "base")
    for value, text in ticks:
        drawing.text(round(LEFT - 5), round(up(value)) + 4, text, class_="e")
    return Plot(drawing, up, bottom)


def level(drawing: Drawing, heights: Sequence[float], class_: str) -> None:
    """Level lines across the plot, as one path."""
    if heights:
        drawing.add("path", d="".join(f"M{LEFT:g} {round(y)}H{RIGHT:g}" for y in heights), class_=class_)


def ticks_below(drawing: Drawing, ticks: Sequence[tuple[float, str]], bottom: float, height: float) -> None:
    """Marks under the base line and their labels; positions in pixels."""
    if ticks:
        drawing.add("path", d="".join(f"M{round(x)} {bottom:g}v4" for x, _ in ticks), class_="tick")
    for x, text in ticks:
        below(drawing, x, text, height)


def below(drawing: Drawing, x: float, text: str, height: float, anchor: str = "middle") -> None:
    """A label under the plot, held inside the drawing."""
    wide = text_width(text, SMALL)
    at = {"start": x, "middle": x - wide / 2, "end": x - wide}[anchor]
    at = min(max(at, 0.0), WIDTH - wide)
    drawing.text(round(at + wide / 2), round(height - 5), text)


def chart(drawing: Drawing, title: str, description: str) -> Markup:
    """The svg element: named by `title`, told by `description`."""
    return element(
        "svg", element("desc", description), *drawing.parts, class_="chart", role="img", aria_label=title,
        viewBox=f"0 0 {drawing.width:g} {drawing.height:g}",
    )  # fmt: skip


def share_text(share: float) -> str:
    return rate_text(share)


def _share_tick(value: float, digits: int) -> str:
    return f"{value:.{digits}g}" if value else "0"


def _percent_tick(value: float, digits: int) -> str:
    hundred = float(f"{100 * value:.{digits}g}")
    return f"{hundred:g}%" if value else "0"
