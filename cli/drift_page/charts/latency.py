"""How long predictions took, in the reference and now, on a logarithmic axis: cells are two an octave."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from mlpack_edge.cli.bench_page.scales import Scale
from mlpack_edge.cli.bench_page.svg import Drawing
from mlpack_edge.cli.drift_page.frame import RIGHT, TOP, WIDTH, chart, ticks_below
from mlpack_edge.cli.drift_page.paths import steps
from mlpack_edge.cli.drift_page.shown import Part
from mlpack_edge.profiles.cells import latency_edges

HEIGHT = 150.0
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))


def draw(parts: Sequence[Part]) -> Markup:
    """parts: of the latency cells (`shown.neighbours`). "" where nothing was timed or may be shown."""
    there = [part for part in parts if part.reference or part.current]
    if not there:
        return Markup("")
    edges = [math.log2(edge) for edge in latency_edges()]
    # The two open cells are drawn as wide as the others.
    bounds = [edges[0] - 0.5, *edges, edges[-1] + 0.5]
    inner = [part for part in parts if there[0].first <= part.first <= there[-1].last]
    across = Scale(bounds[inner[0].first], bounds[inner[-1].last + 1], 4.0, RIGHT)
    drawing, bottom = Drawing(WIDTH, HEIGHT), HEIGHT - 20
    drawing.add("path", d=f"M4 {bottom:g}H{RIGHT:g}", class_="base")
    dense = []
    for side in ("reference", "current"):
        total = max(sum(getattr(part, side) for part in inner), 1)
        dense.append([getattr(part, side) / total / (bounds[part.last + 1] - bounds[part.first]) for part in inner])
    top = max(value for each in dense for value in each) or 1.0
    lefts = [across(bounds[part.first]) for part in inner]
    for heights, class_ in zip(dense, ("ref", "cur"), strict=True):
        scaled = [value / top * (bottom - TOP) for value in heights]
        drawing.add("path", d=steps(lefts, scaled, across.end, bottom), class_=class_)
    powers = [10.0**power for power in range(3, 12) if across.inside(math.log2(10.0**power))]
    ticks_below(drawing, [(across(math.log2(power)), time_text(power)) for power in powers], bottom, HEIGHT)
    return chart(drawing, "Latency: reference as an area, now as a line", told(parts) + ".")


def quantile(parts: Sequence[Part], side: str, share: float) -> float | None:
    """The upper edge, in ns, of the cell in which a share of the rows ends; None without rows, inf beyond the last edge."""
    total, seen = sum(getattr(part, side) for part in parts), 0
    edges = latency_edges()
    for part in parts:
        seen += getattr(part, side)
        if total and seen >= share * total:
            return float(edges[part.last]) if part.last < len(edges) else math.inf
    return None


def told(parts: Sequence[Part]) -> str:
    """The half and 99 % of both sides, in words."""
    words = []
    for side, name in (("reference", "reference"), ("current", "now")):
        ends = [quantile(parts, side, share) for share in (0.5, 0.99)]
        if ends[0] is None or ends[1] is None:
            words.append(f"{name}: nothing was timed")
        else:
            words.append(f"{name}: half below {time_text(ends[0])}, 99 % below {time_text(ends[1])}")
    return "; ".join(words)


def time_text(nanoseconds: float) -> str:
    if math.isinf(nanoseconds):
        return "more than 137 s"
    unit, name = next((unit, name) for unit, name in _UNITS if nanoseconds >= unit)
    return f"{float(f'{nanoseconds / unit:.2g}'):g} {name}"
