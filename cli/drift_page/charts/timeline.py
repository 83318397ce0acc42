"""When each feature alarmed: a row a feature, a lane a length of window."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from mlpack_edge.cli.bench_page.labels import shortened, text_width
from mlpack_edge.cli.bench_page.scales import Scale
from mlpack_edge.cli.bench_page.svg import SMALL, TEXT, Drawing
from mlpack_edge.cli.drift_findings import Finding
from mlpack_edge.profiles.drift.facts import DriftReport, Window
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.drift.reasons import day_text

#: Rows that are drawn.
MOST = 30
_LANE, _NAME = 7.0, 210.0


def draw(report: DriftReport, gates: Gates, found: Sequence[Finding], variant: str, width: float) -> Markup:
    """ "" for profiles without a date, and where nothing ever alarmed."""
    windows = [window for window in report.windows if window.days is not None]
    lengths = sorted({window.days for window in windows if window.days is not None})
    alarms = _alarms(report, gates, windows)
    rows = [finding for finding in found if finding.name in alarms][:MOST]
    if not rows:
        return Markup("")
    narrow = width < 500
    left = 2.0 if narrow else _NAME
    head, step = 20.0, _LANE * len(lengths) + (24.0 if narrow else 12.0)
    height = head + step * len(rows) + 6
    across = Scale(min(each.first for each in windows), max(each.last for each in windows) + 1, left, width - 2)
    drawing = Drawing(width, height)
    for day, text in _months(across, 40.0):
        drawing.line(across(day), head - 4, across(day), height, "grid")
        if across(day) + text_width(text, SMALL) < width:
            drawing.text(across(day) + 2, 12, text)
    for place, finding in enumerate(rows):
        y = head + place * step
        name = shortened(finding.name, (width if narrow else _NAME) - 14, TEXT)
        drawing.text(left if narrow else 0.0, y + (11 if narrow else step / 2), name, class_="name")
        for lane, days in enumerate(lengths):
            at = y + (15 if narrow else 3) + lane * _LANE
            drawing.line(left, at + 2.5, width - 2, at + 2.5, "base")
            spans = _spans([each for each in alarms[finding.name] if each.days == days])
            path = "".join(
                f"M{round(across(first))} {at:g}h{max(round(across(last + 1)) - round(across(first)), 2)}v5h-{max(round(across(last + 1)) - round(across(first)), 2)}z"
                for first, last in spans
            )
            if path:
                drawing.add("path", d=path, class_="alarm")
    told = "; ".join(
        f"{each.name}: {len(alarms[each.name])} windows, the last to {day_text(alarms[each.name][-1].last)}"
        for each in rows
    )
    return drawing.figure(f"when-{variant}", "When each feature alarmed", told + ".", variant)


def _alarms(report: DriftReport, gates: Gates, windows: Sequence[Window]) -> dict[str, list[Window]]:
    found: dict[str, list[Window]] = {}
    for window in windows:
        for feature in window.features:
            if gates.cause(feature, report.sufficient):
                found.setdefault(feature.name, []).append(window)
    return found


def _spans(windows: Sequence[Window]) -> list[tuple[int, int]]:
    """Windows that follow one another, as one."""
    spans: list[tuple[int, int]] = []
    for window in windows:
        if spans and spans[-1][1] + 1 >= window.first:
            spans[-1] = (spans[-1][0], window.last)
        else:
            spans.append((window.first, window.last))
    return spans


def _months(across: Scale, room: float) -> list[tuple[float, str]]:
    """The first days of months, as many as have room; of a shorter time its first day."""
    firsts = [day for day in range(int(across.low), int(across.high)) if day_text(day).endswith("-01")]
    for stride in (1, 2, 3, 6, 12, 24, 60):
        kept = [day for day in firsts if (int(day_text(day)[5:7]) - 1 + 12 * int(day_text(day)[:4])) % stride == 0]
        if all(across(one) + room + 12 <= across(other) for one, other in pairwise(kept)):
            break
    if not kept:
        return [(across.low, day_text(int(across.low)))]
    return [(day, day_text(day)[:7]) for day in kept]
