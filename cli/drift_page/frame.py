"""The frame of the small charts: all of one width, which is that of a telephone and of a third of a desktop."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from mlpack_edge.cli.bench_page.labels import text_width
from mlpack_edge.cli.bench_page.scales import Scale, labelled, linear_ticks
from mlpack_edge.cli.bench_page.svg import SMALL, Drawing
from mlpack_edge.profiles.drift.reasons import percent

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
    for value, text in ticks:
        drawing.line(LEFT, up(value), RIGHT, up(value), "base" if value == 0 else "grid")
        drawing.text(LEFT - 5, up(value) + 4, text, text_anchor="end")
    return Plot(drawing, up, bottom)


def below(drawing: Drawing, x: float, text: str, height: float, anchor: str = "middle") -> None:
    """A label under the plot, held inside the drawing."""
    wide = text_width(text, SMALL)
    at = {"start": x, "middle": x - wide / 2, "end": x - wide}[anchor]
    at = min(max(at, 0.0), WIDTH - wide)
    drawing.text(at + wide / 2, height - 5, text, text_anchor="middle")


def chart(drawing: Drawing, name: str, title: str, description: str) -> Markup:
    return drawing.figure(name, title, description, "chart")


def share_text(share: float) -> str:
    return f"{percent(share)} %"


def _share_tick(value: float, digits: int) -> str:
    return f"{value:.{digits}g}" if value else "0"


def _percent_tick(value: float, digits: int) -> str:
    hundred = float(f"{100 * value:.{digits}g}")
    return f"{hundred:g}%" if value else "0"
