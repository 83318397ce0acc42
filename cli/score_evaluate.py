"""`mlpack score --evaluate`: the request, the child process that answers it, and its text for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from mlpack_edge.cli.outcome import Outcome, show_stage, table
from mlpack_edge.core.files import publish, refuse_existing
from mlpack_edge.runtimes.worker import SMALLEST, Limits, run_isolated

Json = dict[str, Any]

#: Groups that the text shows of each column; the document has all.
_SHOWN = 40
#: Of the memory of the child process: what DuckDB may use; the libraries themselves take the rest.
_LIBRARIES = 250_000_000
_LEAST = 64_000_000
#: Tables may be large.
_A_DAY = 86400.0


def evaluate_outcome(options: Mapping[str, Any]) -> Outcome:
    """Join stored scores with labels and say how good they were.

    options: those that were given, by parameter: `evaluate` (the scores), `label`, and any of `labels` (without it `label`
    is a column of the scores), `on`, `by`, `segments`, `positive`, `min_rows`, `model`, `challenger`, `memory` (bytes),
    `document` (a file for the report as JSON), `force`.
    Raises BadInput where a table, a key or a label cannot be judged; OutputExists, IoFault for the report.
    """
    scores, document, memory = options["evaluate"], options.get("document"), options.get("memory")
    if "label" not in options:
        raise click.UsageError("--evaluate goes with --label: the column that holds what really happened")
    if document is not None:
        refuse_existing(document, bool(options.get("force")))
    payload = {
        name: options[name]
        for name in ("labels", "label", "on", "by", "segments", "positive", "min_rows", "model", "challenger")
        if name in options
    } | {"scores": scores, "memory": None if memory is None else max(memory - _LIBRARIES, _LEAST)}
    report = run_isolated(
        f"mlpack_edge.batch.evaluation.evaluate:{'evaluate' if 'labels' in options else 'evaluate_published'}",
        payload, Limits(_A_DAY, memory and max(memory, SMALLEST)), subject=scores, on_stage=show_stage,
    )  # fmt: skip
    if document is not None:
        with publish(document, bool(options.get("force"))) as draft:
            draft.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    text = evaluation_text(report)
    return Outcome({**report, "path": None if document is None else str(document)}, text)


def evaluation_text(report: Json) -> str:
    """How many rows, the figures, the challenger's beside them, then by day and by segment."""
    parts = [_heading(report)]
    parts += [f"  {text}" for text in report["notes"]]
    challenger = report["challenger"]
    if report.get("reason"):
        parts.append(f"too few rows: {report['reason']}")
    elif challenger is None:
        parts.append(table([_row(one) for one in report["metrics"]], ("metric", "value", "95% interval", "rows")))
        parts += _reasons(report["metrics"])
    else:
        parts += _side_by_side(report, challenger)
    for key in ("by", "segments"):
        columns = dict.fromkeys(record["column"] for record in report[key])
        for column in columns:
            records = [record for record in report[key] if record["column"] == column]
            others = [one for one in challenger[key] if one["column"] == column] if challenger else []
            parts += ["", _groups(column, records, others)]
    return "\n".join(parts)


def _heading(report: Json) -> str:
    text = f"{report['labelled']:,} of {report['rows']:,} scored rows are labelled"
    if report["on"]:
        text += f" (joined on {', '.join(report['on'])})"
    if report["positive"] is not None:
        text += f"; the positive class is {report['positive']}"
    return text


def _row(metric: Json) -> tuple[str, str, str, str]:
    return _named(metric), number(metric["value"]), interval(metric["ci95"]), f"{metric['rows']:,}"


def _named(metric: Json) -> str:
    return f"{metric['name']} ({metric['average']})" if metric.get("average") else str(metric["name"])


def _reasons(metrics: list[Json]) -> list[str]:
    return [f"  {_named(metric)}: {metric['reason']}" for metric in metrics if metric.get("reason")]


def _side_by_side(report: Json, challenger: Json) -> list[str]:
    """Champion, challenger, and the paired difference."""
    others = {metric["name"]: metric for metric in challenger["metrics"]}
    apart = {metric["name"]: metric for metric in challenger["differences"]}
    rows = []
    for metric in report["metrics"]:
        other, difference = others[metric["name"]], apart.get(metric["name"])
        rows.append((
            _named(metric), number(metric["value"]), number(other["value"]),
            signed(difference["value"]) if difference else "-", interval(difference["ci95"]) if difference else "-",
        ))  # fmt: skip
    lines = [table(rows, ("metric", "champion", "challenger", "difference", "95% interval"))]
    lines += _reasons(challenger["differences"])
    if (test := challenger["mcnemar"]) is not None:
        lines.append(
            f"only the champion is right in {test['only_champion_right']:,} rows, only the challenger in "
            f"{test['only_challenger_right']:,} (McNemar's p = {test['p_value']:.3g})"
        )
    return lines


def _groups(column: str, records: list[Json], others: list[Json]) -> str:
    """One line a group: labelled rows and the metrics with their intervals."""
    names = next(([_named(metric) for metric in record["metrics"]] for record in records if record["metrics"]), [])
    beside = {record["value"]: {_named(one): one for one in record["metrics"]} for record in others}
    rows = []
    for record in records[:_SHOWN]:
        found = {_named(metric): metric for metric in record["metrics"]}
        cells = ["too few rows" if record.get("reason") else _cell(found.get(name), beside.get(record["value"], {}).get(name)) for name in names]  # fmt: skip
        rows.append((record["value"] if record["value"] is not None else "(none)", f"{record['labelled']:,}", *cells))
    text = table(rows, (column, "labelled", *names))
    if not names:
        text = f"by {column}: every one of {len(records):,} groups has too few labelled rows"
    return text + (
        f"\n... and {len(records) - _SHOWN:,} more; --json has all" if names and len(records) > _SHOWN else ""
    )


def _cell(metric: Json | None, other: Json | None) -> str:
    """A figure and its interval; of two models both figures."""
    if metric is None or metric["value"] is None:
        return "-"
    if other is not None:
        return f"{number(metric['value'])} / {number(other['value'])}"
    return number(metric["value"]) + (f" [{interval(metric['ci95'])}]" if metric["ci95"] else "")


def number(value: float | None) -> str:
    """Four digits."""
    return "-" if value is None else f"{value:.4g}"


def signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4g}"


def interval(limits: list[float] | None) -> str:
    return "-" if limits is None else f"{number(limits[0])} to {number(limits[1])}"
