"""One model closely: the shape of its latency, and under it the median of every process, on the same axis."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from mlpack_edge.cli.bench_page.histogram import log_counts, log_edges, outline
from mlpack_edge.cli.bench_page.models import Launch, Model
from mlpack_edge.cli.bench_page.scales import Scale, log_range
from mlpack_edge.cli.bench_page.svg import Drawing, axis_below, fitting_ticks, mark
from mlpack_edge.cli.bench_page.units import share_text, time_text, whole_text
from mlpack_edge.runtimes.measuring.comparison import MARGIN

BINS = 100
RISE, GAP, ROOM = 104.0, 14.0, 380.0


def draw(model: Model, variant: str, width: float) -> Markup:
    """A histogram with linear heights over the bulk of the calls, and a strip of the processes."""
    launches = [launch for launch in model.launches if launch.seen]
    if not launches:
        return Markup("")
    wide = variant == "wide"
    scale = Scale(*bulk(model), 84.0 if wide else 22.0, width - 12, log=True)
    row = max(6.0, min(20.0, ROOM / len(launches)))
    rise = RISE if len(model.experienced) else 0.0
    top = rise + GAP
    bottom = top + row * len(launches) + 4
    drawing = Drawing(width, bottom + 24)
    if model.p50 is not None:
        band = scale(model.p50 / (1 + MARGIN)), scale(model.p50 * (1 + MARGIN))
        drawing.add("rect", x=band[0], y=top - 4, width=band[1] - band[0], height=bottom - top + 4, class_="band")
    ticks = fitting_ticks(scale, 8 if wide else 4, time_text, width)
    axis_below(drawing, scale, ticks, 2, bottom)
    if rise:
        _shapes(drawing, model, scale)
    for index, launch in enumerate(launches):
        y = top + row * (index + 0.5)
        if row >= 14:
            label = f"process {launch.number}" if wide else str(launch.number)
            drawing.text(scale.start - 10, y + 4, label, class_="small", text_anchor="end")
        _strip(drawing, launch, scale, y, min(row / 2 - 2, 5.0))
    medians = ", ".join(time_text(launch.seen[1], 4) for launch in launches if launch.seen)
    title = f"Latency of model {model.key}: histogram of calls, and the median of each process"
    told = f"{model.label}. Medians as experienced by process: {medians}."
    return drawing.figure(f"detail-{model.key}-{variant}", title, told, variant)


def bulk(model: Model) -> tuple[float, float]:
    """The bounds of the axis, nanoseconds: all isolated calls but the last half percent, nine tenths of every process."""
    ends = [end for launch in model.launches if launch.seen for end in (launch.seen[0], launch.seen[2])]
    if len(model.experienced):
        ends.append(float(model.experienced.min()))
    if model.stable and len(model.isolated):
        ends.append(float(np.percentile(model.isolated, 99.5)))
    return log_range(ends, 0.03)


def beyond(model: Model) -> str:
    """How many calls lie outside the axis, in words; empty where none does."""
    if not len(model.experienced):
        return ""
    _, high = bulk(model)
    outside = int((model.experienced > high).sum())
    if not outside:
        return ""
    share = share_text(outside / len(model.experienced), 1)
    slowest = time_text(float(model.experienced.max()))
    return f"{whole_text(outside)} calls ({share}) lie right of the axis; the slowest took {slowest}."


def _shapes(drawing: Drawing, model: Model, scale: Scale) -> None:
    edges = log_edges(scale.low, scale.high, BINS)
    every, clean = log_counts(model.experienced, edges), log_counts(model.isolated, edges)
    top = float(every.max()) or 1.0
    for counts, class_ in ((every, "every"), (clean, "clean")):
        path = outline(counts / top * (RISE - 8), scale.start, scale.end, RISE)
        if path:
            drawing.add("path", d=path, class_=class_)
    drawing.line(scale.start, RISE, scale.end, RISE, "base")


def _strip(drawing: Drawing, launch: Launch, scale: Scale, y: float, size: float) -> None:
    bulk_of = launch.alone or launch.seen
    if bulk_of:
        drawing.line(scale(bulk_of[0]), y, scale(bulk_of[2]), y, "lane")
    if launch.seen:
        note = f"process {launch.number}, median as experienced {time_text(launch.seen[1], 4)}"
        drawing.parts.append(mark("diamond", scale(launch.seen[1]), y, size, "m hollow", note))
    if launch.alone:
        note = f"process {launch.number}, isolated median {time_text(launch.alone[1], 4)}"
        drawing.parts.append(mark("disc", scale(launch.alone[1]), y, size * 0.6, "m clean-mark", note))
