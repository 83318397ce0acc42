"""The shares of categories, in the reference and now."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from mlpack_edge.cli.bench_page.labels import shortened
from mlpack_edge.cli.bench_page.svg import SMALL, Drawing
from mlpack_edge.cli.drift_page.frame import WIDTH, chart, share_text
from mlpack_edge.cli.drift_page.shown import Bar

_ROW, _LEFT, _RIGHT = 22.0, 96.0, 196.0


def draw(feature: str, bars: Sequence[Bar]) -> Markup:
    """ "" where nothing may be shown."""
    rows = [sum(getattr(bar, side) for bar in bars) for side in ("reference", "current")]
    if not bars or not max(rows):
        return Markup("")
    shares = [[bar.reference / max(rows[0], 1), bar.current / max(rows[1], 1)] for bar in bars]
    top = max(max(pair) for pair in shares) or 1.0
    drawing = Drawing(WIDTH, _ROW * len(bars) + 4)
    told = []
    for place, (bar, (before, now)) in enumerate(zip(bars, shares, strict=True)):
        y = place * _ROW + 2
        drawing.text(_LEFT - 6, round(y + 14), shortened(bar.name, _LEFT - 10, SMALL), class_="label e")
        for share, up, class_ in ((before, 3.0, "ref"), (now, 11.0, "cur bar")):
            wide = max(round(share / top * (_RIGHT - _LEFT)), 1 if share else 0)
            if wide:
                drawing.add("path", d=f"M{_LEFT:g} {y + up:g}h{wide}v7h-{wide}z", class_=class_)
        drawing.text(WIDTH - 2, round(y + 14), f"{share_text(before)} → {share_text(now)}", class_="e")
        told.append(f"{bar.name} {share_text(before)} to {share_text(now)}")
    drawing.line(_LEFT, 0, _LEFT, drawing.height, "base")
    words = f"Shares of the values of {feature}: reference above, now below"
    return chart(drawing, words, "; ".join(told) + ".")
