"""A feature over time: its effects and rates in the windows of one length, and what the reference's blocks did."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlpack_edge.cli.drift_findings import Finding
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, DriftReport, Window
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.spec import Spec

#: Windows that are drawn of a feature, and of all: more of them are told by longer windows, or by the latest.
MOST, IN_ALL = 400, 8_400


@dataclass(frozen=True, slots=True)
class Moment:
    """A window: its days since 1970, the effect on the distribution (None where it was not tested), rates of missing and unseen
    (NaN where no row was counted, or they are withheld), and the kinds of drift that alarm."""

    first: int
    last: int
    effect: float | None
    missing: float
    unseen: float
    alarms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Series:
    """reference: effects of the reference's blocks; days, limit: length of the windows and their threshold of the
    distribution (None without one). longer: the windows of the length that alarms, where it is another, their length and limit."""

    reference: tuple[float, ...]
    days: int
    limit: float | None
    moments: tuple[Moment, ...]
    longer: tuple[Moment, ...] = ()
    longer_days: int = 0
    longer_limit: float | None = None


def windows_of(report: DriftReport) -> list[Window]:
    """Of the shortest length that needs no more than may be drawn, in the order of time; [] for profiles without a date."""
    most = min(MOST, max(IN_ALL // max(len(report.latest_longest.features), 1), 28))
    lengths = sorted({window.days for window in report.windows if window.days is not None})
    for length in lengths:
        found = [window for window in report.windows if window.days == length]
        if len(found) <= most or length == lengths[-1]:
            return found[-most:]
    return []


def series(spec: Spec, report: DriftReport, gates: Gates, finding: Finding) -> Series | None:
    """None for profiles without a date."""
    windows = windows_of(report)
    if not windows:
        return None
    days = windows[0].days
    assert days is not None
    learned = spec.reference.learned.get(finding.name)
    blocks = learned.effects if learned else b""
    moments, limit = _moments(report, gates, finding.name, windows)
    longer: tuple[Moment, ...] = ()
    longer_days: int = 0
    longer_limit, longer_days = None, 0
    if finding.window.days is not None and finding.window.days > days:
        longer_days = finding.window.days
        same = [window for window in report.windows if window.days == finding.window.days]
        longer, longer_limit = _moments(report, gates, finding.name, same[-MOST:])
    return Series(
        tuple((byte / 255) ** 2 for byte in blocks[-MOST:]), days, limit, moments, longer, longer_days, longer_limit
    )


def _moments(
    report: DriftReport, gates: Gates, name: str, windows: Sequence[Window]
) -> tuple[tuple[Moment, ...], float | None]:
    found, limit = [], None
    for window in windows:
        feature = next(each for each in window.features if each.name == name)
        check = next((each for each in feature.checks if each.kind == DISTRIBUTION), None)
        if check is not None and check.judged:
            limit = gates.threshold(check, report.sufficient)
        alarms = frozenset(each.kind for each in feature.checks if gates.alarms(each, report.sufficient))
        effect = check.effect if check is not None and math.isfinite(check.effect) else None
        found.append(Moment(window.first, window.last, effect, feature.missing[1], feature.unseen[1], alarms))
    return tuple(found), limit
