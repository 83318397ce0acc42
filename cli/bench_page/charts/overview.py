"""The latencies of all models on one axis, a row a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from mlpack_edge.cli.bench_page.histogram import log_counts, log_edges, outline
from mlpack_edge.cli.bench_page.labels import shortened
from mlpack_edge.cli.bench_page.models import Model
from mlpack_edge.cli.bench_page.scales import Scale, log_range
from mlpack_edge.cli.bench_page.svg import SMALL, TEXT, Drawing, axis_below, fitting_ticks, mark
from mlpack_edge.cli.bench_page.units import time_text

BINS = 130
RISE, LANE, PAD = 34.0, 16.0, 12.0
MARKS = (("p50", "disc", 4.0), ("p90", "ring", 3.5), ("p99", "bar", 5.0))


def draw(models: Sequence[Model], variant: str, width: float) -> Markup:
    """Histograms over logarithmic time; heights are square roots of counts, so that a tail of a few calls is seen."""
    shown = [model for model in models if model.timed and (len(model.experienced) or _percentiles(model))]
    if not shown:
        return Markup("")
    wide = variant == "wide"
    left, above = (226.0, 0.0) if wide else (6.0, 22.0)
    row = above + RISE + LANE + PAD
    ends = [float(end) for model in shown if len(model.experienced) for end in _ends(model)]
    low, high = log_range([*ends, *(value for model in shown for value in _percentiles(model).values())])
    scale = Scale(low, high, left, width - 12, log=True)
    drawing = Drawing(width, row * len(shown) + 26)
    ticks = fitting_ticks(scale, 10 if wide else 5, time_text, width)
    axis_below(drawing, scale, ticks, 4, row * len(shown))
    for index, model in enumerate(shown):
        base = row * index + above + RISE
        _names(drawing, model, base, wide, width, left)
        _shapes(drawing, model, scale, base)
        _marks(drawing, model, scale, base + LANE / 2)
    told = "; ".join(f"{model.key} {model.label}: {_told(model)}" for model in shown)
    title = "Distribution of latency, all models on one logarithmic axis"
    return drawing.figure(f"distributions-{variant}", title, told, variant)


def _ends(model: Model) -> tuple[float, float]:
    return float(model.experienced.min()), float(model.experienced.max())


def _percentiles(model: Model) -> dict[str, float]:
    found = {name: model.number("latency_ns", name) for name, _, _ in MARKS}
    return {name: value for name, value in found.items() if value is not None and value > 0}


def _names(drawing: Drawing, model: Model, base: float, wide: bool, width: float, left: float) -> None:
    state = "isolated median" if model.stable else "unstable; p50"
    figure = f"{state} {time_text(model.p50)}"
    if wide:
        name = shortened(f"{model.key}  {model.label}", left - 22, TEXT)
        drawing.text(0.0, base - 10, name, class_="name")
        drawing.text(0.0, base + 8, figure, class_="small")
        return
    room = width - 150
    drawing.text(0.0, base - RISE - 6, shortened(f"{model.key}  {model.label}", room, TEXT), class_="name")
    short = f"{'' if model.stable else 'unstable, '}{time_text(model.p50)}"
    drawing.text(width, base - RISE - 6, shortened(short, 140, SMALL), class_="small", text_anchor="end")


def _shapes(drawing: Drawing, model: Model, scale: Scale, base: float) -> None:
    drawing.line(scale.start, base, scale.end, base, "base")
    if not len(model.experienced):
        return
    edges = log_edges(scale.low, scale.high, BINS)
    every, clean = log_counts(model.experienced, edges), log_counts(model.isolated, edges)
    top = float(np.sqrt(every.max()))
    for counts, class_ in ((every, "every"), (clean, "clean")):
        path = outline(np.sqrt(counts) / top * RISE, scale.start, scale.end, base)
        if path:
            drawing.add("path", d=path, class_=class_)


def _marks(drawing: Drawing, model: Model, scale: Scale, lane: float) -> None:
    found = _percentiles(model)
    if found:
        drawing.line(scale(min(found.values())), lane, scale(max(found.values())), lane, "lane")
    for name, shape, size in reversed(MARKS):
        if name in found:
            note = f"{name} as experienced: {time_text(found[name])}"
            drawing.parts.append(mark(shape, scale(found[name]), lane, size, f"m {shape}", note))


def _told(model: Model) -> str:
    found = ", ".join(f"{name} {time_text(value)}" for name, value in _percentiles(model).items())
    isolated = model.number("isolated_ns", "p50")
    clean = f", isolated p50 {time_text(isolated)}" if isolated is not None else ""
    return f"as experienced {found or 'unknown'}{clean}"
