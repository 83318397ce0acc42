"""Rates of missing and unseen values over time."""

from __future__ import annotations

import math

from markupsafe import Markup

from mlpack_edge.cli.bench_page.scales import Scale
from mlpack_edge.cli.drift_page.charts.effect import dates, triangles
from mlpack_edge.cli.drift_page.frame import LEFT, RIGHT, chart, level, plot, share_text
from mlpack_edge.cli.drift_page.paths import line
from mlpack_edge.cli.drift_page.series import Moment, Series
from mlpack_edge.profiles.drift.reasons import rate_text

HEIGHT = 130.0
_LEAST = 0.01


def draw(feature: str, series: Series, missing: float, unseen: float) -> Markup:
    """missing, unseen: the reference's rates. "" where none was ever missing or unseen, or none may be shown."""
    worst = max(_most(series, "missing"), _most(series, "unseen"), missing, unseen)
    if not worst:
        return Markup("")
    frame = plot(max(worst, _LEAST) * 1.12, HEIGHT, percents=True)
    drawing, up = frame.drawing, frame.up
    first, last = series.moments[0].first, series.moments[-1].last + 1
    across = Scale(first, max(last, first + 1), LEFT, RIGHT)
    told = []
    for side, rate, class_ in (("missing", missing, "cur"), ("unseen", unseen, "other")):
        most, shown = _most(series, side), _shown(series, side)
        if not most and not rate:
            continue
        level(drawing, [up(rate)], "usual")
        if not shown:
            told.append(f"{side} {share_text(rate)} in the reference, not shown since")
            continue
        points = [(across((each.first + each.last + 1) / 2), up(getattr(each, side))) for each in shown]
        drawn = points if len(points) > 1 else [(LEFT, points[0][1]), (RIGHT, points[0][1])]
        drawing.add("path", d=line(drawn), class_=class_)
        triangles(drawing, [at for at, each in zip(points, shown, strict=True) if side in each.alarms])
        told.append(
            f"{side} {share_text(rate)} in the reference, at most {share_text(most)} since, "
            f"{_last(series, side)} at last"
        )
    dates(drawing, series, across, HEIGHT)
    text = "; ".join(told) + "."
    return chart(drawing, f"Missing and unseen values of {feature} over time", text[0].upper() + text[1:])


def _shown(series: Series, side: str) -> list[Moment]:
    """A rate of few devices is withheld (NaN): the line goes past it."""
    return [moment for moment in series.moments if not math.isnan(getattr(moment, side))]


def _last(series: Series, side: str) -> str:
    rate = float(getattr(series.moments[-1], side))
    return "not shown" if math.isnan(rate) else rate_text(rate)


def _most(series: Series, side: str) -> float:
    return max((float(getattr(moment, side)) for moment in _shown(series, side)), default=0.0)
