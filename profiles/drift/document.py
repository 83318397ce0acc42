"""The JSON form of a report and what the gates say of it: the keys of `mlpack drift --json`."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from mlpack_edge.profiles.drift.facts import Check, DriftReport, FeatureDrift, Window
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.drift.reasons import calm_reason, day_text, reason, slow_reason

Json = dict[str, Any]


def report_to_json(report: DriftReport, gates: Gates) -> Json:
    """`features`: of each the latest window that alarms (`Gates.loud`), else the longest latest window; `window_days` says which.
    `drifted`: names, of the latest windows and of slow drift. `windows`: all of them, in the order of time."""
    slow = gates.slow_alarms(report.slow)
    features = [_chosen(report, gates, name, name in slow) for name in _names(report)]
    longest = report.latest_longest
    return {
        "features": features,
        "drifted": [feature["name"] for feature in features if feature["drifted"]],
        "rows": longest.rows,
        "predictions": longest.predictions,
        "devices": longest.devices,
        "reference": {
            "blocks": len(report.blocks.rows),
            "unit": report.blocks.unit,
            "first": report.blocks.first,
            "last": report.blocks.last,
            "sufficient": report.sufficient,
        },
        "gates": asdict(gates),
        "windows": [_window(window, report, gates) for window in report.windows],
        "slow": [
            {**asdict(each), "since": day_text(each.since), "drifted": each.name in slow, "reason": slow_reason(each)}
            for each in report.slow
        ],
        "accuracy_proxy": asdict(report.accuracy) if report.accuracy else None,
    }


def _window(window: Window, report: DriftReport, gates: Gates) -> Json:
    features = [feature_to_json(feature, gates, report.sufficient) for feature in window.features]
    return {
        "days": window.days,
        "first": None if window.days is None else day_text(window.first),
        "last": None if window.days is None else day_text(window.last),
        "rows": window.rows,
        "predictions": window.predictions,
        "devices": window.devices,
        "unit": window.unit,
        "note": window.note,
        "drifted": [feature["name"] for feature in features if feature["drifted"]],
        "features": features,
    }


def feature_to_json(feature: FeatureDrift, gates: Gates, sufficient: bool) -> Json:
    """statistic, effect, threshold and p_adjusted are those of `cause`: the first kind of drift that alarms, else the nearest."""
    cause, leading = gates.cause(feature, sufficient), gates.leading(feature, sufficient)
    limit = gates.threshold(leading, sufficient) if leading else 0.0
    return {
        "name": feature.name,
        "role": feature.role,
        "kind": feature.kind,
        "rows": feature.rows,
        "cause": leading.kind if leading else None,
        "statistic": leading.value if leading else None,
        "effect": leading.effect if leading else None,
        "threshold": _finite(limit) if leading else None,
        "p_adjusted": leading.p_adjusted if leading else None,
        "missing_delta": _told(feature.missing_delta),
        "unseen_rate": _told(feature.unseen[1]),
        "drifted": cause is not None,
        "reason": reason(feature, cause, limit) if cause else calm_reason(feature, leading, limit, gates.level),
        "checks": [_check(check, gates, sufficient) for check in feature.checks],
        "indices": dict(feature.indices),
        "follows_calendar": feature.ahead is not None,
    }


def _told(rate: float) -> float | None:
    """None for a rate that is withheld (NaN): JSON has no such number."""
    return None if math.isnan(rate) else rate


def _finite(limit: float) -> float | None:
    """None where there is no limit, for the check is not judged."""
    return limit if math.isfinite(limit) else None


def _check(check: Check, gates: Gates, sufficient: bool) -> Json:
    return {
        **asdict(check),
        "threshold": _finite(gates.threshold(check, sufficient)),
        "drifted": gates.alarms(check, sufficient),
    }


def _chosen(report: DriftReport, gates: Gates, name: str, slow: bool) -> Json:
    alarming = gates.loud(report, name)
    window, feature = (alarming or report.latest_of(name))[0]
    record = {"window_days": window.days, **feature_to_json(feature, gates, report.sufficient)}
    if slow and not alarming:
        record["drifted"] = True
        record["cause"] = "slow"
        record["reason"] = next(slow_reason(each) for each in report.slow if each.name == name)
    return record


def _names(report: DriftReport) -> list[str]:
    return list(dict.fromkeys(feature.name for window in report.latest for feature in window.features))
