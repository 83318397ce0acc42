"""Drift as a text for people: what drifted first and why, then every feature by the size of its effect."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from mlpack_edge.cli.drift_findings import SLOW, Finding, Onset, alarming, findings
from mlpack_edge.cli.drift_volume import rows_told, volume_text
from mlpack_edge.cli.outcome import LONGEST, short, table
from mlpack_edge.profiles.drift.facts import SUFFICIENT, Accuracy, DriftReport, FeatureDrift, Window
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.drift.reasons import day_text, rate_text, time_reason
from mlpack_edge.profiles.spec import INPUT, Blocks

#: Features that did not drift and are shown all the same, the nearest to it first.
CALM = 20
#: Months from which on a history is told.
_MONTHS = 2


def drift_text(report: DriftReport, gates: Gates) -> str:
    """The whole text. The same report and gates give the same text."""
    report = shortened(report)
    found = findings(report, gates)
    parts = [_facts(report, gates, found), _first(found), _features(found)]
    if history := _history(report, gates):
        parts.append(history)
    return "\n\n".join(part for part in parts if part)


def summary(report: DriftReport, gates: Gates) -> str:
    """One sentence: how many features drifted, and which; and how many could not be judged."""
    found = findings(report, gates)
    names = [short(finding.name) for finding in found if finding.drifted]
    every = f"{len(found):,} feature{'s' * (len(found) != 1)}"
    unjudged = sum(not finding.judged for finding in found)
    if unjudged == len(found):
        return f"nothing could be judged: too few values or devices, of {every}"
    rest = f"; {unjudged} could not be judged" if unjudged else ""
    if not names:
        return f"no drift in {f'{len(found) - unjudged} of ' if unjudged else ''}{every}{rest}"
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"{len(names)} of {every} drifted: {shown}{rest}"


def reference_text(blocks: Blocks, sufficient: bool, gates: Gates) -> str:
    """What the thresholds were learned from; openly where that is not enough."""
    count = len(blocks.rows)
    what = f"{count:,} block{'s' * (count != 1)} of one {blocks.unit}" if blocks.unit in ("day", "hour") else (
        f"{count:,} block{'s' * (count != 1)} of rows" if blocks.unit == "rows" else f"{count:,} values of {blocks.by}"
    )  # fmt: skip
    span = f", {blocks.first} to {blocks.last}" if blocks.first else ""
    if sufficient:
        return what + span
    return (
        f"{what}{span}: insufficient reference. {SUFFICIENT} blocks show what is usual; with fewer, only effects of "
        f"{gates.coarse:g} times the floors alarm"
    )


def accuracy_text(accuracy: Accuracy, drifting: Collection[str] = ()) -> str:
    """The estimate, with what it is worth. drifting: the roles of what drifted: a broken input may raise it."""
    what = "inputs" if INPUT in drifting else "predictions"
    return (
        f"{100 * accuracy.estimate:.1f} % of the latest {accuracy.rows:,} answers right by the model's own confidence "
        f"(reference {100 * accuracy.reference:.1f} %): "
        "a proxy, made without labels, never an alarm"
        + (f", and not to be relied on while {what} drift" if drifting else "")
    )


def drifting(found: Sequence[Finding]) -> set[str]:
    """The roles of the features that drifted."""
    return {finding.feature.role for finding in found if finding.drifted}


def shortened(report: DriftReport) -> DriftReport:
    """With the names of categories cut (`short`). Those of features are cut where they are printed: two might be the same then."""
    windows = tuple(
        replace(window, features=tuple(map(_shortened, window.features)))
        if any(each.mover and len(each.mover[0]) > LONGEST for each in window.features)
        else window
        for window in report.windows
    )
    return replace(report, windows=windows, slow=tuple(replace(each, level=short(each.level)) for each in report.slow))


def _shortened(feature: FeatureDrift) -> FeatureDrift:
    return replace(feature, mover=(short(feature.mover[0]), *feature.mover[1:])) if feature.mover else feature


def window_text(window: Window) -> str:
    """ "28 days to 2013-06-30", "all rows" for profiles without a date."""
    if window.days is None:
        return "all rows"
    return day_text(window.last) if window.days == 1 else f"{window.days} days to {day_text(window.last)}"


def notes(report: DriftReport) -> list[str]:
    """Of the latest windows, each once; with the window where they differ."""
    found: dict[str, list[str]] = {}
    for window in report.latest:
        if window.note:
            found.setdefault(window.note, []).append(window_text(window))
    if len(found) < 2:
        return list(found)
    return [f"{note} ({', '.join(where)})" for note, where in found.items()]


def calendars(report: DriftReport) -> dict[str, list[str]]:
    """Why the distribution of numbers that are the time is not judged, in the longest latest window, and their names."""
    found: dict[str, list[str]] = {}
    for feature in report.latest_longest.features:
        if feature.ahead is not None:
            found.setdefault(time_reason(feature.ahead), []).append(short(feature.name))
    return found


def onset_text(onset: Onset) -> str:
    """ "since 2013-06-01", "since about 2013-06-01", "since the 7 days to 2013-06-07", "from the start on (2013-06-01)"."""
    when = day_text(onset.last) if onset.days == 1 else f"{onset.days} days to {day_text(onset.last)}"
    if onset.start:
        return f"from the start on ({when})"
    if onset.days > 1:
        return f"since the {when}"
    return f"since about {when}" if onset.about else f"since {when}"


def number_text(number: float) -> str:
    """Two digits that count; what is next to nothing is 0, and no limit "-"."""
    if math.isinf(number):
        return "-"
    return "0" if abs(number) < 5e-5 else f"{number:.2g}" if abs(number) < 0.1 else f"{number:.2f}"


def rows_text(rows: int) -> str:
    return f"{rows:,} row{'s' * (rows != 1)}"


def unit_text(window: Window) -> str:
    """How many devices sent the rows, and what was taken as independent."""
    if window.devices is None:
        return ""
    devices = f" of {window.devices:,} device{'s' * (window.devices != 1)}"
    return devices + {"shards": ", judged between shards of them", "devices": ", judged between them"}.get(
        window.unit, ""
    )


def _facts(report: DriftReport, gates: Gates, found: Sequence[Finding]) -> str:
    longest = report.latest_longest
    span = ""
    if longest.days is not None:
        dated = [window for window in report.windows if window.days is not None]
        ends = day_text(min(each.first for each in dated)), day_text(max(each.last for each in dated))
        span = ", " + " to ".join(dict.fromkeys(ends))
    lengths = sorted({window.days for window in report.windows if window.days is not None})
    facts = [
        ("drift", summary(report, gates)),
        ("reference", reference_text(report.blocks, report.sufficient, gates)),
        ("current", f"{rows_text(rows_told(report))}{volume_text(report)}{span}"),
    ]
    if longest.devices is not None:
        facts.append(("devices", f"{window_text(longest)}: {rows_text(longest.rows)}{unit_text(longest)}"))
    if lengths:
        facts.append(("windows", f"of {_listed([str(length) for length in lengths])} day{'s' * (lengths != [1])}"))
    facts += [("calendar", f"{_listed(names)}: {why}") for why, names in calendars(report).items()]
    facts += [("note", note) for note in notes(report)]
    if report.accuracy:
        facts.append(("accuracy", accuracy_text(report.accuracy, drifting(found))))
    return table(facts)


def _first(found: Sequence[Finding]) -> str:
    lines = []
    for place, finding in enumerate(each for each in found if each.drifted):
        # The reason of a slow shift tells its day.
        when = f", {onset_text(finding.onset)}" if finding.onset and not finding.onset.about else ""
        what = " (prediction)" if finding.feature.role == "output" else ""
        lines.append(f"{'first' if not place else 'then':6} {short(finding.name)}{what}{when}: {finding.reason}")
    return "\n".join(lines)


def _features(found: Sequence[Finding]) -> str:
    calm = [finding for finding in found if not finding.drifted]
    shown = [finding for finding in found if finding.drifted] + calm[:CALM]
    told = [
        (
            short(finding.name),
            (finding.check.kind if finding.check else "-") if finding.cause != SLOW else "slow shift",
            number_text(finding.check.effect) if finding.check else "-",
            number_text(finding.threshold) if finding.check and finding.cause != SLOW else "-",
            rate_text(finding.feature.missing[1]),
            rate_text(finding.feature.unseen[1]),
            window_text(finding.window),
            "DRIFTED" if finding.drifted else finding.verdict,
        )
        for finding in shown
    ]
    head = ("feature", "what", "effect", "limit", "missing", "unseen", "window", "drifted")
    # To the right, also where a figure is not there.
    widths = [max(len(row[place]) for row in (head, *told)) if 2 <= place <= 5 else 0 for place in range(len(head))]
    rows = [tuple(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *told)]
    text = table(rows[1:], rows[0])
    rest = len(calm) - CALM
    return text + (f"\n{rest} more did not drift: --json has them all" if rest > 0 else "")


def _history(report: DriftReport, gates: Gates) -> str:
    """By month, the days that each feature spent in windows that alarm, of whatever length."""
    windows = [window for window in report.windows if window.days is not None]
    if not windows:
        return ""
    shortest = min(window.days for window in windows if window.days is not None)
    months: dict[str, dict[str, set[int]]] = {}
    rows: dict[str, int] = {}
    for window in windows:
        if window.days == shortest:
            month = day_text(window.last)[:7]
            rows[month] = rows.get(month, 0) + window.rows
        for name in alarming(report, gates, window):
            for day in range(window.first, window.last + 1):
                months.setdefault(day_text(day)[:7], {}).setdefault(name, set()).add(day)
    if len(rows) < _MONTHS:
        return ""
    return table(
        [(month, f"{count:,}", _told(months.get(month, {}))) for month, count in sorted(rows.items())],
        ("month", "rows", "days in windows that alarm"),
    )


def _told(days: Mapping[str, set[int]]) -> str:
    ordered = sorted(days.items(), key=lambda item: (-len(item[1]), item[0]))
    told = ", ".join(f"{short(name)} {len(mine)}" for name, mine in ordered[:6])
    return (told or "-") + (f", {len(ordered) - 6} more" if len(ordered) > 6 else "")


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
