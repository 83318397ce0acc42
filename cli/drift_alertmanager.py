"""Drift as the body of Prometheus Alertmanager's POST /api/v2/alerts (its OpenAPI document, `postableAlerts`).

An alert ends by itself some time after the last day that was counted: each night's run prolongs those that go on, what is calm
again ends, and so does everything where no profiles come any more. No clock is read: the same report gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mlpack_edge.cli.drift_findings import SLOW, Finding, findings
from mlpack_edge.cli.drift_prometheus import window_label
from mlpack_edge.cli.drift_text import number_text, onset_text, window_text
from mlpack_edge.profiles.drift.facts import DriftReport
from mlpack_edge.profiles.drift.gates import Gates

Json = dict[str, Any]

#: Hours after the last counted day that an alert holds.
HOLD = 48
_DAY, _HOUR = 86_400, 3_600


def alerts(
    labels: Mapping[str, str], report: DriftReport, gates: Gates, hold: float = HOLD, link: str = ""
) -> list[Json]:
    """An alert for each feature that drifted, in order. labels: of every alert, `name` among them. link: an address that shows
    more, "" for none. Alerts of profiles without a date begin when they are sent and end by Alertmanager's own setting."""
    return [
        _alert(labels, finding, report, hold, link) for finding in findings(report, gates) if finding.drifted
    ]  # fmt: skip


def _alert(labels: Mapping[str, str], finding: Finding, report: DriftReport, hold: float, link: str) -> Json:
    window, check, onset = finding.window, finding.check, finding.onset
    # The reason of a slow shift tells its day.
    since = f", {onset_text(onset)}" if onset and not onset.about else ""
    told = {
        "summary": f"{labels['name']}: {finding.name} drifted",
        "description": f"{finding.name}{since}: {finding.reason}",
        "window": window_text(window),
        "rows": f"{window.rows}",
        **{
            kind: f"{rate:.6g}"
            for kind, (_, rate) in (("missing", finding.feature.missing), ("unseen", finding.feature.unseen))
            if not math.isnan(rate)  # withheld: of few rows or devices
        },
        "reference": f"{len(report.blocks.rows)} blocks" + ("" if report.sufficient else ", insufficient"),
    }
    if check and finding.cause != SLOW:
        told |= {"effect": number_text(check.effect), "threshold": number_text(finding.threshold)}
    made: Json = {
        # What tells one alert from another must stay the same while it lasts: no figures here.
        "labels": {
            "alertname": "MlpackDrift",
            "severity": "warning",
            **labels,
            "feature": finding.name,
            "role": finding.feature.role,
        },
        "annotations": told | {"kind": str(finding.cause), "length": window_label(window.days)},
    }
    if window.days is not None:
        start = onset.first if onset else window.first
        made["startsAt"] = _time(start * _DAY)
        made["endsAt"] = _time((window.last + 1) * _DAY + round(hold * _HOUR))
    if link:
        made["generatorURL"] = link
    return made


def _time(seconds: int) -> str:
    """RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
