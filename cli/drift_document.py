"""The JSON of `mlpack drift`: what the report says, without what would make it large."""

from __future__ import annotations

from typing import Any

from mlpack_edge.cli.drift_findings import findings
from mlpack_edge.cli.drift_volume import reference_rows_per_day, rows_per_day
from mlpack_edge.profiles.drift.document import report_to_json
from mlpack_edge.profiles.drift.facts import DriftReport
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.drift.reasons import day_text

Json = dict[str, Any]


def drift_document(report: DriftReport, gates: Gates) -> Json:
    """`report_to_json`; windows that are not the latest of their length tell of the features that alarm only (half a year of
    seventy features would be 15 MB). `first`: what drifted first, with the day since which, `from_start` where it was so from the first
    window on; null where nothing did. `not_judged`: features of which too little was counted to say. `rows_per_day`,
    `reference_rows_per_day`: null where profiles have no date, and where the reference is not cut by days."""
    document = report_to_json(report, gates)
    latest = {id(window) for window in report.latest}
    for window, record in zip(report.windows, document["windows"], strict=True):
        if id(window) not in latest:
            record["features"] = [feature for feature in record["features"] if feature["drifted"]]
    document["rows_per_day"] = rows_per_day(report)
    document["reference_rows_per_day"] = reference_rows_per_day(report.blocks)
    found = findings(report, gates)
    drifted = [finding for finding in found if finding.drifted]
    document["drifted"] = [finding.name for finding in drifted]
    document["not_judged"] = [finding.name for finding in found if not finding.judged]
    document["first"] = None
    if drifted:
        first = drifted[0]
        since = day_text(first.onset.last) if first.onset else None
        start = first.onset is not None and first.onset.start
        document["first"] = {
            "name": first.name, "cause": first.cause, "since": since, "from_start": start, "reason": first.reason,
        }  # fmt: skip
    return document
