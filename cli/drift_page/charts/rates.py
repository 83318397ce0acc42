"""Rates of missing and unseen values over time."""

from __future__ import annotations

from markupsafe import Markup

from mlpack_edge.cli.bench_page.scales import Scale
from mlpack_edge.cli.drift_page.charts.effect import dates, triangles
from mlpack_edge.cli.drift_page.frame import LEFT, RIGHT, chart, level, plot, share_text
from mlpack_edge.cli.drift_page.paths import line
from mlpack_edge.cli.drift_page.series import Series

HEIGHT = 130.0
_LEAST = 0.01


def draw(feature: str, series: Series, missing: float, unseen: float) -> Markup:
    """missing, unseen: the reference's rates. "" where none was ever missing or unseen."""
    worst = [max(getattr(moment, side) for moment in series.moments) for side in ("missing", "unseen")]
    if not max(worst) and not max(missing, unseen):
        return Markup("")
    frame = plot(max(*worst, missing, unseen, _LEAST) * 1.12, HEIGHT, percents=True)
    drawing, up = frame.drawing, frame.up
    first, last = series.moments[0].first, series.moments[-1].last + 1
    across = Scale(first, max(last, first + 1), LEFT, RIGHT)
    told = []
    for side, rate, class_ in (("missing", missing, "cur"), ("unseen", unseen, "other")):
        most = max(getattr(moment, side) for moment in series.moments)
        if not most and not rate:
            continue
        level(drawing, [up(rate)], "usual")
        points = [(across((each.first + each.last + 1) / 2), up(getattr(each, side))) for each in series.moments]
        drawn = points if len(points) > 1 else [(LEFT, points[0][1]), (RIGHT, points[0][1])]
        drawing.add("path", d=line(drawn), class_=class_)
        triangles(drawing, [at for at, each in zip(points, series.moments, strict=True) if side in each.alarms])
        told.append(
            f"{side} {share_text(rate)} in the reference, at most {share_text(most)} since, {share_text(getattr(series.moments[-1], side))} at last"
        )
    dates(drawing, series, across, HEIGHT)
    text = "; ".join(told) + "."
    return chart(drawing, f"Missing and unseen values of {feature} over time", text[0].upper() + text[1:])
