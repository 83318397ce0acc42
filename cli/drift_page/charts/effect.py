"""The effect over time: the reference's own blocks, then the windows that were judged, and the band of what is usual."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from mlpack_edge.cli.bench_page.labels import text_width
from mlpack_edge.cli.bench_page.scales import Scale
from mlpack_edge.cli.bench_page.svg import SMALL, Drawing
from mlpack_edge.cli.drift_page.frame import LEFT, RIGHT, TOP, below, chart, level, plot
from mlpack_edge.cli.drift_page.paths import line
from mlpack_edge.cli.drift_page.series import Moment, Series
from mlpack_edge.cli.drift_text import number_text
from mlpack_edge.profiles.drift.facts import DISTRIBUTION
from mlpack_edge.profiles.drift.reasons import day_text

HEIGHT = 130.0
_LEAST = 0.05
#: Width of a mark.
_MARK = 6
#: The reference takes this share of the width, by how many blocks it has, between these.
_SMALLEST, _LARGEST = 0.22, 0.4


def draw(feature: str, series: Series) -> Markup:
    """ "" where no window was tested and the reference has no blocks."""
    now = [(moment, moment.effect) for moment in series.moments if moment.effect is not None]
    longer = [(moment, moment.effect) for moment in series.longer if moment.effect is not None]
    if not now and not series.reference:
        return Markup("")
    limits = [limit for limit in (series.limit, series.longer_limit if longer else None) if limit is not None]
    high = max([effect for _, effect in (*now, *longer)] + list(series.reference) + limits + [_LEAST]) * 1.12
    frame = plot(high, HEIGHT)
    drawing, up, bottom = frame.drawing, frame.up, frame.bottom
    blocks, count = len(series.reference), len(series.moments)
    part = min(max(blocks / max(blocks + count, 1), _SMALLEST), _LARGEST) if blocks else 0.0
    middle = LEFT + part * (RIGHT - LEFT)
    first, last = series.moments[0].first, series.moments[-1].last + 1
    across = Scale(first, max(last, first + 1), middle + (4 if blocks else 0), RIGHT)
    if limits:
        y = float(round(up(limits[0])))
        drawing.parts.insert(0, Markup('<path class="band" d="M{} {}H{}V{}H{}z"/>').format(round(LEFT), y, round(RIGHT), round(bottom), round(LEFT)))  # fmt: skip
        level(drawing, [y], "limit")
        level(drawing, [up(limit) for limit in limits[1:]], "usual")
    if blocks:
        wide = (middle - 4 - LEFT) / max(blocks - 1, 1)
        drawing.add(
            "path", d=line([(LEFT + k * wide, up(effect)) for k, effect in enumerate(series.reference)]), class_="past"
        )
        drawing.add("path", d=f"M{round(middle)} {TOP - 6:g}V{bottom:g}", class_="divide")
        below(drawing, (LEFT + middle) / 2, "reference", HEIGHT)
    middles = [(across(_middle(moment)), up(effect)) for moment, effect in now]
    if len(middles) == 1:
        middles = [(across(first), middles[0][1]), (across(last), middles[0][1])]
    drawing.add("path", d=line(middles), class_="cur") if middles else None
    if longer:
        spans = [
            (round(across(each.first)), round(up(effect)), round(across(each.last + 1))) for each, effect in longer
        ]
        drawing.add(
            "path", d="".join(f"M{left} {y}H{max(right, left + 2)}" for left, y, right in spans), class_="longer"
        )
    for each in (now, longer):
        triangles(
            drawing, [(across(_middle(moment)), up(effect)) for moment, effect in each if DISTRIBUTION in moment.alarms]
        )
    dates(drawing, series, across, HEIGHT)
    return chart(drawing, f"Effect on the distribution of {feature} over time", _told(series))


def triangles(drawing: Drawing, points: Sequence[tuple[float, float]]) -> None:
    """A mark above each point, as one path; of points nearer to each other than a mark is wide, one above the highest."""
    heights: dict[int, int] = {}
    last = -_MARK
    for x, y in points:
        if round(x) >= last + _MARK:
            last = round(x)
        heights[last] = min(heights.get(last, round(y)), round(y))
    corners = [(x - 3, max(y - 5, 6)) for x, y in heights.items()]
    if corners:
        moves = [f"M{corners[0][0]} {corners[0][1]}"] + [
            f"m{x - before_x}{' ' if y >= before_y else ''}{y - before_y}"
            for (before_x, before_y), (x, y) in pairwise(corners)
        ]
        drawing.add("path", d="".join(f"{move}h{_MARK}l-3-5z" for move in moves), class_="alarm")


def _middle(moment: Moment) -> float:
    return (moment.first + moment.last + 1) / 2


def dates(drawing: Drawing, series: Series, across: Scale, height: float) -> None:
    """The first and the last day where there is room for both, else the last."""
    ends = day_text(series.moments[0].first), day_text(series.moments[-1].last)
    wide = text_width(ends[0], SMALL)
    if ends[0] != ends[1] and across.end - across.start > 2 * wide + 6:
        below(drawing, across.start, ends[0], height, "start")
    if across.end - across.start > wide:
        below(drawing, RIGHT, ends[1], height, "end")


def _told(series: Series) -> str:
    effects = [moment.effect for moment in series.moments if moment.effect is not None]
    alarms = [moment for moment in series.moments if DISTRIBUTION in moment.alarms]
    words = []
    if series.reference:
        words.append(f"The reference's {len(series.reference)} blocks reach {number_text(max(series.reference))}")
    if effects:
        words.append(
            f"windows of {series.days} day{'s' * (series.days != 1)} range from {number_text(min(effects))} to {number_text(max(effects))}"
        )
    if series.limit is not None:
        words.append(f"the limit is {number_text(series.limit)}")
    words.append(
        f"{len(alarms)} of {len(series.moments)} alarm"
        + (f", the first on {day_text(alarms[0].last)}" if alarms else "")
    )
    if series.longer_limit is not None:
        loud = sum(DISTRIBUTION in moment.alarms for moment in series.longer)
        words.append(
            f"{loud} of {len(series.longer)} windows of {series.longer_days} days alarm, "
            f"of which the limit is {number_text(series.longer_limit)}"
        )
    text = "; ".join(words) + "."
    return text[0].upper() + text[1:]
