"""What a drift report comes to, feature by feature: what alarms, since when, and how near the others are to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from mlpack_edge.profiles.drift.facts import KINDS, Check, DriftReport, FeatureDrift, Slow, Window
from mlpack_edge.profiles.drift.gates import Gates, reach
from mlpack_edge.profiles.drift.reasons import calm_reason, day_text, reason, slow_reason
from mlpack_edge.profiles.spec import OUTPUT

#: A window and the names that alarm in it.
Alarms = tuple[Window, frozenset[str]]
#: The cause of a small lasting shift, which no single window shows.
SLOW = "slow"
#: Days that are named as what a longer window alarms for.
FEW_DAYS = 2


@dataclass(frozen=True, slots=True)
class Onset:
    """The first window of an unbroken row of alarming ones that goes on until now: days since 1970, and its length. start: it is the
    first of all windows, so that nobody knows how much longer it has been so. about: the day is the likeliest of several (a slow shift)."""

    first: int
    last: int
    days: int
    start: bool
    about: bool = False


@dataclass(frozen=True)
class Finding:
    """One feature. window, feature: the latest window that alarms (`Gates.loud`), else the longest latest window.
    check: the kind of drift that alarms, else the nearest to it, None with too few rows; threshold: what its effect must exceed.
    cause: "missing", "unseen", "distribution", "slow", None where the feature did not drift. judged: it drifted, or there was
    enough in some latest window to say that it did not. onset: None where it did not drift, and for profiles without a date."""

    window: Window
    feature: FeatureDrift
    check: Check | None
    threshold: float
    cause: str | None
    judged: bool
    reason: str
    onset: Onset | None
    slow: Slow | None

    @property
    def name(self) -> str:
        return self.feature.name

    @property
    def drifted(self) -> bool:
        return self.cause is not None

    @property
    def verdict(self) -> str:
        """In a word or two; an effect beyond its limit that is no alarm is told as chance."""
        if self.drifted:
            return "drifted"
        if not self.judged:
            return "not judged"
        return "no: chance" if self.check and self.check.effect > self.threshold else "no"

    @cached_property
    def size(self) -> float:
        """The effect in thresholds; 0.0 without a check."""
        return reach(self.check.effect, self.threshold) if self.check else 0.0


def findings(report: DriftReport, gates: Gates) -> tuple[Finding, ...]:
    """Of every feature: what drifted first comes first, then what did not, the nearest to its threshold first."""
    slow = gates.slow_alarms(report.slow)
    names = dict.fromkeys(feature.name for window in report.latest for feature in window.features)
    alarms = [(window, frozenset(alarming(report, gates, window))) for window in report.windows]
    found = [_finding(report, gates, name, name in slow, alarms) for name in names]
    return tuple(sorted(found, key=_order))


def restricted(report: DriftReport, names: frozenset[str]) -> DriftReport:
    """The same of some features only. Their p-values stay adjusted over all that were judged."""
    windows = tuple(
        replace(window, features=tuple(each for each in window.features if each.name in names))
        for window in report.windows
    )
    return replace(report, windows=windows, slow=tuple(each for each in report.slow if each.name in names))


def alarming(report: DriftReport, gates: Gates, window: Window) -> tuple[str, ...]:
    """Names of the features that alarm in a window."""
    return tuple(feature.name for feature in window.features if gates.cause(feature, report.sufficient))


def _finding(report: DriftReport, gates: Gates, name: str, slow: bool, alarms: Sequence[Alarms]) -> Finding:
    pairs, loud = report.latest_of(name), gates.loud(report, name)
    window, feature = (loud or pairs)[0]
    check = gates.leading(feature, report.sufficient)
    limit = gates.threshold(check, report.sufficient) if check else 0.0
    lasting = next((each for each in report.slow if each.name == name), None)
    cause: str | None = None
    single = _single_days(alarms, name, window) if loud else []
    if loud:
        assert check is not None
        days = " and ".join(map(day_text, single))
        only = f"; of its days only {days} alarm{'s' * (len(single) == 1)} alone" if single else ""
        cause, why = check.kind, reason(feature, check, limit) + only
    elif slow:
        assert lasting is not None
        cause, why = SLOW, slow_reason(lasting)
    else:
        why = calm_reason(feature, check, limit, gates.level)
    starts = [_onset(alarms, name, each.days) for each, _ in loud if each.days is not None]
    if single:
        starts = [Onset(single[0], single[0], 1, start=False)]
    if slow and lasting is not None and not loud:
        starts.append(Onset(lasting.since, lasting.since, 1, start=False, about=True))
    onset = min(starts, key=lambda each: (each.last, each.days), default=None)
    judged = cause is not None or any(each.tested for _, each in pairs)
    return Finding(window, feature, check, limit, cause, judged, why, onset, lasting)


def _single_days(alarms: Sequence[Alarms], name: str, window: Window) -> list[int]:
    """Of a window of many days that few of them explain: which, since 1970. None where the feature alarms on its last day too, or on
    more of them."""
    days = [
        (each.first, name in names)
        for each, names in alarms
        if each.days == 1 and window.first <= each.first <= window.last
    ]
    odd = [day for day, alarm in days if alarm]
    if len(odd) > FEW_DAYS or (window.days or 0) <= 2 * FEW_DAYS or not days or days[-1][1]:
        return []
    return odd


def _onset(alarms: Sequence[Alarms], name: str, days: int) -> Onset:
    """Of the alarm in the last window of `days` days."""
    mine = [each for each in alarms if each[0].days == days]
    found: Window | None = None
    for window, names in reversed(mine):
        if name not in names:
            break
        found = window
    assert found is not None
    return Onset(found.first, found.last, days, found is mine[0][0] and len(mine) > 1)


def _order(finding: Finding) -> tuple[object, ...]:
    if not finding.drifted:
        return (1, 0, 0, -finding.size, finding.name)
    place = KINDS.index(finding.cause) if finding.cause in KINDS else len(KINDS)
    # Of one day the inputs come first: what the model says of them follows.
    echo = finding.feature.role == OUTPUT
    return (0, finding.onset.last if finding.onset else 0, echo, place, -finding.size, finding.name)
