"""The policy: what is an alarm. Two gates must both be passed: not by chance, and large enough to matter."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlpack_edge.core.verdict import Verdict
from mlpack_edge.profiles.drift.facts import (
    DISTRIBUTION,
    MISSING,
    UNSEEN,
    Check,
    DriftReport,
    FeatureDrift,
    Slow,
    Window,
)
from mlpack_edge.profiles.drift.reasons import reason, slow_reason


def reach(effect: float, threshold: float) -> float:
    """The effect in thresholds; inf where the threshold is 0 (a floor may be) and the effect is not."""
    return effect / threshold if threshold else math.inf if effect else 0.0


@dataclass(frozen=True, slots=True)
class Gates:
    """level: of the false discovery rate (Benjamini and Hochberg 1995), of slow drift the probability of ever alarming
    falsely. distribution, missing, unseen: floors of the effects, as shares. coarse: what the floors are multiplied by where
    the reference has fewer than `facts.SUFFICIENT` blocks: what its own windows do is then not known, so that only what is plain
    alarms, and the report says so."""

    level: float = 0.01
    distribution: float = 0.03
    missing: float = 0.01
    unseen: float = 0.002
    coarse: float = 3.0

    def threshold(self, check: Check, sufficient: bool) -> float:
        """What the effect must exceed: the floor, and the largest of the reference's own windows; inf where it is not judged."""
        if not check.judged:
            return math.inf
        floor = {DISTRIBUTION: self.distribution, MISSING: self.missing, UNSEEN: self.unseen}[check.kind]
        return max(floor * (1 if sufficient else self.coarse), check.learned or 0.0)

    def alarms(self, check: Check, sufficient: bool) -> bool:
        return check.p_adjusted <= self.level and check.effect > self.threshold(check, sufficient)

    def cause(self, feature: FeatureDrift, sufficient: bool) -> Check | None:
        """The first kind that alarms, None where the feature did not drift."""
        return next((check for check in feature.checks if self.alarms(check, sufficient)), None)

    def leading(self, feature: FeatureDrift, sufficient: bool) -> Check | None:
        """The cause, else what is nearest to being one."""
        return self.cause(feature, sufficient) or max(
            reversed(feature.checks),
            key=lambda check: reach(check.effect, self.threshold(check, sufficient)),
            default=None,
        )

    def loud(self, report: DriftReport, name: str) -> list[tuple[Window, FeatureDrift]]:
        """The latest windows in which the feature alarms: that in which it lies most limits away first, for its figures say what
        happened (a day that was lost, and not the share of its month), of equals the longest."""
        found = []
        for window, feature in report.latest_of(name):
            cause = self.cause(feature, report.sufficient)
            if cause:
                found.append((reach(cause.effect, self.threshold(cause, report.sufficient)), window, feature))
        return [(window, feature) for _, window, feature in sorted(found, key=lambda each: each[0], reverse=True)]

    def slow_alarms(self, slow: tuple[Slow, ...]) -> frozenset[str]:
        """Names of features whose e-value was ever large enough: of K features the k with the largest alarm if each was at least
        K / (k level). That is Benjamini-Hochberg of 1 / largest, which is a p-value on every day (Ville), and holds the false discovery rate
        under its conditions (features independent or positively dependent); e-BH (Wang and Ramdas 2022), which holds it under
        any, takes the e-values of one day."""
        ordered = sorted(slow, key=lambda each: each.largest, reverse=True)
        many = [place for place, each in enumerate(ordered, 1) if each.largest >= len(ordered) / (place * self.level)]
        return frozenset(each.name for each in ordered[: max(many, default=0)])

    def judge(self, report: DriftReport) -> Verdict:
        """Of the latest windows and the slow drift. The reasons name the feature, the window and what happened to it."""
        reasons = []
        for window in report.latest:
            where = "" if window.days is None else f" (last {window.days} days)" if window.days > 1 else " (last day)"
            for feature in window.features:
                cause = self.cause(feature, report.sufficient)
                if cause:
                    reasons.append(
                        f"{feature.name}{where}: {reason(feature, cause, self.threshold(cause, report.sufficient))}"
                    )
        alarming = self.slow_alarms(report.slow)
        reasons += [f"{slow.name}: {slow_reason(slow)}" for slow in report.slow if slow.name in alarming]
        return Verdict(not reasons, tuple(reasons))
