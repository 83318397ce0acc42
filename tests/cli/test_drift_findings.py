"""What is said of a feature: the figures of the window that shows what happened, since when, and in which order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlpack_edge.cli.drift_findings import Finding, findings
from mlpack_edge.profiles.drift.document import report_to_json
from mlpack_edge.profiles.drift.facts import DriftReport
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.drift.reasons import day_text
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import Profile
from mlpack_edge.profiles.spec import Categorical, Feature, Spec
from tests.cli.drift_made import FIRST, Change, plain_days, plain_spec, report_of

GATES = Gates()


def judged(change: Change, days: int) -> tuple[DriftReport, dict[str, Finding]]:
    spec = plain_spec()
    report = report_of(spec, plain_days(spec, days, change))
    return report, {finding.name: finding for finding in findings(report, GATES)}


def test_a_day_that_is_lost_is_told_with_its_own_figures() -> None:
    """Over 28 days it is one per cent, and said beside the day that would be wrong."""

    def lost(table: dict[str, np.ndarray], day: int) -> None:
        if day == 39:
            table["amount"][: len(table["amount"]) // 3] = np.nan

    report, found = judged(lost, 40)
    amount = found["amount"]
    assert amount.onset is not None and amount.onset.last == FIRST + 39
    assert "to 33 % of rows" in amount.reason or "to 34 % of rows" in amount.reason, amount.reason
    document = report_to_json(report, GATES)
    said = next(feature for feature in document["features"] if feature["name"] == "amount")
    assert (said["window_days"], said["reason"]) == (1, amount.reason), "the text and the document say the same"


def test_a_single_day_that_a_month_still_holds_is_named() -> None:
    def lost(table: dict[str, np.ndarray], day: int) -> None:
        if day == 35:
            table["amount"][: len(table["amount"]) * 9 // 10] = np.nan

    _, found = judged(lost, 50)
    amount = found["amount"]
    assert amount.drifted and amount.window.days == 28
    assert amount.onset is not None and (amount.onset.first, amount.onset.days) == (FIRST + 35, 1)
    assert amount.reason.endswith(f"; of its days only {day_text(FIRST + 35)} alarms alone"), amount.reason


def test_a_lasting_change_names_no_single_days() -> None:
    def moved(table: dict[str, np.ndarray], day: int) -> None:
        if day >= 30:
            table["x"] += 1.0

    _, found = judged(moved, 50)
    assert found["x"].drifted and "alone" not in found["x"].reason


def test_a_unit_of_one_day_is_told_by_that_day() -> None:
    """The mean leaves the outermost cells out: over a month it says nothing of values a thousand times as large."""

    def thousandfold(table: dict[str, np.ndarray], day: int) -> None:
        if day == 39:
            table["amount"] *= 1000

    _, found = judged(thousandfold, 40)
    assert "1,000 times the reference's or more: another unit?" in found["amount"].reason, found["amount"].reason


def test_inputs_come_before_what_the_model_says_of_them() -> None:
    spec = plain_spec()
    days = plain_days(spec, 40)

    def moved(table: dict[str, np.ndarray], day: int) -> None:
        if day >= 30:
            table["x"] += 0.8

    later = plain_days(spec, 40, moved)
    # The answers of the last ten days are all "late": a prediction that drifts far more than the input that made it.
    label = next(feature for feature in spec.features if feature.source.name == "label")
    report = report_of(spec, [*days[:30], *(_all_late(spec, day, label) for day in later[30:])])
    order = [finding.name for finding in findings(report, GATES) if finding.drifted]
    assert order[:2] == ["x", "label"], order


def _all_late(spec: Spec, profile: Profile, label: Feature) -> Profile:
    assert isinstance(label, Categorical)
    counts = list(profile.counts)
    for group in groups(spec):
        if group.feature is label:
            cells = [0] * group.size
            cells[label.categories.index("late")] = sum(counts[group.start : group.stop])
            counts[group.start : group.stop] = cells
    return replace(profile, counts=tuple(counts))
