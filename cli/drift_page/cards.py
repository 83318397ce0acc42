"""One feature as the page shows it: its verdict in words, its charts, and its checks as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from mlpack_edge.cli.drift_findings import SLOW, Finding
from mlpack_edge.cli.drift_page.charts import bars as bar_chart
from mlpack_edge.cli.drift_page.charts import effect, numbers, rates
from mlpack_edge.cli.drift_page.counted import Counted
from mlpack_edge.cli.drift_page.series import Series, series
from mlpack_edge.cli.drift_page.shown import bars, neighbours
from mlpack_edge.cli.drift_text import number_text, onset_text, window_text
from mlpack_edge.profiles.drift.facts import DriftReport
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.drift.reasons import rate_text
from mlpack_edge.profiles.layout import Group, groups
from mlpack_edge.profiles.spec import Categorical, Numeric, Presence, Spec

#: Categories that have a bar of their own.
BARS = 7
_INDICES = {
    "psi": "population stability index", "jensen_shannon": "Jensen-Shannon distance", "ks": "Kolmogorov-Smirnov distance",
    "wasserstein_sd": "Wasserstein distance in standard deviations", "chi_square": "chi-square",
}  # fmt: skip
_SIDES = {"missing": "share of rows missing", "unseen": "share of rows unseen", "distribution": "distribution"}


@dataclass(frozen=True, slots=True)
class Card:
    """key: of its place on the page. shape, over_time, rates: charts, "" where there is nothing to draw; limits: of the effect, in words."""

    key: str
    finding: Finding
    kind: str
    when: str
    window: str
    shape: Markup
    over_time: Markup
    limits: str
    rates: Markup
    unseen: bool
    never: str
    note: str
    checks: tuple[tuple[str, ...], ...]
    indices: tuple[tuple[str, str], ...]


def cards(spec: Spec, report: DriftReport, gates: Gates, counted: Counted, found: Sequence[Finding]) -> list[Card]:
    by_name = {group.name: group for group in groups(spec) if group.feature is not None}
    return [
        _card(f"f{place}", spec, report, gates, counted, each, by_name[each.name]) for place, each in enumerate(found)
    ]


def reference_cells(spec: Spec, group: Group) -> NDArray[np.int64]:
    return np.array(spec.reference.counts[group.start : group.stop], np.int64)


def _card(
    key: str, spec: Spec, report: DriftReport, gates: Gates, counted: Counted, finding: Finding, group: Group
) -> Card:
    lines = series(spec, report, gates, finding)
    name = finding.name
    unit = group.feature.source.unit if group.feature is not None else ""
    rate = rates.draw(name, lines, finding.feature.missing[0], finding.feature.unseen[0]) if lines else Markup("")
    return Card(
        key=key,
        finding=finding,
        kind=f"{finding.feature.kind} {finding.feature.role}" + (f", {unit}" if unit else ""),
        when=onset_text(finding.onset) if finding.onset else "",
        window=window_text(finding.window),
        shape=_shape(spec, counted, finding, group),
        over_time=effect.draw(name, lines) if lines else Markup(""),
        limits=_limits(lines) if lines else "",
        rates=rate,
        unseen=lines is not None and any(moment.unseen for moment in lines.moments),
        never="No value was ever missing or unseen." if lines and _never(finding, lines) else "",
        note=group.feature.note if isinstance(group.feature, Presence) else "",
        checks=tuple(_check_row(finding, report, gates, kind) for kind in _SIDES if _has(finding, kind)),
        indices=tuple((_INDICES[one], index_text(value)) for one, value in finding.feature.indices.items() if one in _INDICES),
    )  # fmt: skip


def _shape(spec: Spec, counted: Counted, finding: Finding, group: Group) -> Markup:
    feature = group.feature
    if isinstance(feature, Numeric):
        size = len(feature.edges) + 1
    elif isinstance(feature, Categorical):
        names = [*feature.categories, "other known", "unseen"]
        size = len(names)
    else:
        return Markup("")
    days, here = finding.window.days, slice(group.start, group.start + size)
    current = counted.counts[days][here].tolist()
    if not any(current):
        return Markup("")  # a share of nothing is not 0
    reference = reference_cells(spec, group)[:size].tolist()
    devices = counted.devices[days][here].tolist() if days in counted.devices else None
    source = feature.source
    if isinstance(feature, Numeric):
        parts = neighbours(reference, current, devices, counted.least)
        return numbers.draw(source.name, feature.edges, feature.low, feature.high, parts, source.unit)
    return bar_chart.draw(source.name, bars(names, reference, current, devices, BARS, counted.least))


def _never(finding: Finding, lines: Series) -> bool:
    """A rate that is withheld may be anything."""
    rates = [finding.feature.missing[0], finding.feature.unseen[0]]
    return all(rate == 0 for rate in rates + [rate for each in lines.moments for rate in (each.missing, each.unseen)])


def index_text(value: float) -> str:
    """Three digits that count; from a thousand on whole."""
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def _limits(lines: Series) -> str:
    limits = [(lines.days, lines.limit)] + ([(lines.longer_days, lines.longer_limit)] if lines.longer else [])
    told = [f"{number_text(limit)} for {days} day{'s' * (days != 1)}" for days, limit in limits if limit is not None]
    if len(told) == 2:  # as they are drawn
        told = [f"{told[0]} (dashed)", f"{told[1]} (dotted)"]
    return f"; limit {', '.join(told)}" if told else ""


def _has(finding: Finding, kind: str) -> bool:
    return any(check.kind == kind for check in finding.feature.checks)


def _check_row(finding: Finding, report: DriftReport, gates: Gates, kind: str) -> tuple[str, ...]:
    """What, reference, now, effect, limit, adjusted p, verdict."""
    check = next(check for check in finding.feature.checks if check.kind == kind)
    sides = {"missing": finding.feature.missing, "unseen": finding.feature.unseen}.get(kind)
    before, now = (
        (rate_text(sides[0]), rate_text(sides[1])) if sides else ("", f"{check.statistic} {number_text(check.value)}")
    )
    chance = "< 0.0001" if check.p_adjusted < 1e-4 else f"{check.p_adjusted:.2g}"
    verdict = "drifted" if gates.alarms(check, report.sufficient) else "no" if check.judged else "not judged"
    limit = number_text(gates.threshold(check, report.sufficient))
    return (_SIDES[kind], before, now, number_text(check.effect), limit, chance, verdict)


def what(finding: Finding) -> str:
    """The kind of drift that is nearest, or that alarms."""
    if finding.cause == SLOW:
        return "slow shift"
    return finding.check.kind if finding.check else "-"
