"""What the page tells beside the features: the answers, how they ended, how long they took, how sure they were."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from mlpack_edge.cli.drift_page.cards import reference_cells
from mlpack_edge.cli.drift_page.charts import latency, numbers
from mlpack_edge.cli.drift_page.counted import Counted
from mlpack_edge.cli.drift_page.frame import share_text
from mlpack_edge.cli.drift_page.shown import ROWS, enough, neighbours
from mlpack_edge.profiles.drift.facts import Window
from mlpack_edge.profiles.layout import Group, groups
from mlpack_edge.profiles.spec import CONFIDENCE_CELLS, OUTCOMES, Spec


@dataclass(frozen=True, slots=True)
class Run:
    """latency, confidence: charts, "" where there is nothing to draw; outcomes: how rows ended, their share in the reference
    and now; timed: the quantiles in words."""

    latency: Markup
    timed: str
    confidence: Markup
    outcomes: tuple[tuple[str, str, str], ...]


def run_of(spec: Spec, counted: Counted, window: Window) -> Run:
    """Of one of the latest windows."""
    by_name = {group.name: group for group in groups(spec) if group.feature is None}
    timed = neighbours(*_sides(spec, counted, window, by_name["latency"]), counted.least)
    sure = Markup("")
    if spec.confidence:
        reference, current, devices = _sides(spec, counted, window, by_name["confidence"])
        # Two empty cells around: the histogram of a number has open ends.
        parts = neighbours([0, *reference, 0], [0, *current, 0], [0, *devices, 0] if devices else None, counted.least)
        edges = [cell / CONFIDENCE_CELLS for cell in range(CONFIDENCE_CELLS + 1)]
        low = next((edges[max(part.first - 1, 0)] for part in parts if part.reference or part.current), 0.0)
        sure = numbers.draw("confidence", edges, low, 1.0, parts, "") if any(current) else Markup("")
    drawn = latency.draw(timed) if any(part.current for part in timed) else Markup("")
    return Run(drawn, latency.told(timed) if drawn else "", sure, _outcomes(spec, counted, window, by_name["outcome"]))


def _sides(spec: Spec, counted: Counted, window: Window, group: Group) -> tuple[list[int], list[int], list[int] | None]:
    here = slice(group.start, group.stop)
    devices = counted.devices[window.days][here].tolist() if window.days in counted.devices else None
    return reference_cells(spec, group).tolist(), counted.counts[window.days][here].tolist(), devices


def _outcomes(spec: Spec, counted: Counted, window: Window, group: Group) -> tuple[tuple[str, str, str], ...]:
    before, now, devices = _sides(spec, counted, window, group)
    totals = max(sum(before), 1), max(sum(now), 1)
    rows = []
    for place, name in enumerate(OUTCOMES):
        if before[place] or now[place]:
            known = _share(before[place], totals[0], None, counted.least)
            rows.append(
                (name, known, _share(now[place], totals[1], devices[place] if devices else None, counted.least))
            )
    return tuple(rows)


def _share(count: int, total: int, devices: int | None, least: int) -> str:
    if enough(count, devices, least):
        return share_text(count / total)
    return f"fewer than {ROWS} rows" if count < ROWS else f"fewer than {least} devices"
