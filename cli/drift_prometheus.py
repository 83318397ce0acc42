"""Drift as a file for the textfile collector of Prometheus' node_exporter.

Format: Prometheus text exposition 0.0.4. Everything is a gauge of the latest windows: what a series was is what the data base of
the metrics keeps. The file is replaced as a whole, and holds no clock: the same report gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from mlpack_edge.cli.drift_findings import SLOW, findings
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault, publish, refuse_existing
from mlpack_edge.profiles.drift.facts import KINDS, DriftReport
from mlpack_edge.profiles.drift.gates import Gates

_OPENING = "# mlpack drift: "
_DAY = 86_400
Labels = Mapping[str, str]
Sample = tuple[Labels, float | None]

#: Every metric: its name after `mlpack_drift_`, what it says.
HELP = {
    "effect": "How far a feature lies from the reference, by kind of drift and window, freed of what chance adds.",
    "threshold": "What the effect must exceed to be an alarm: the floor, and the reference's own windows.",
    "p_adjusted": "Probability of the value if nothing had moved, adjusted over all checks (Benjamini-Hochberg).",
    "drifted": "1 where the feature alarms, by cause (missing, unseen, distribution, slow), else 0.",
    "missing_ratio": "Share of rows in which the feature is missing.",
    "unseen_ratio": "Share of rows with a category that the reference does not know, or with no number.",
    "slow_evidence": "E-value of a small lasting shift, the largest so far.",
    "features": "Features that were judged; of the others too little was counted.",
    "features_drifted": "Features that alarm.",
    "rows": "Rows of the latest window.",
    "predictions": "Rows of the latest window with a prediction.",
    "devices": "Devices that sent the rows of the latest window.",
    "window_end_timestamp_seconds": "When the last day of the latest window ended.",
    "reference_blocks": "Blocks that the reference was cut into.",
    "reference_sufficient": "1 where the reference has enough blocks to say what is usual, else 0.",
    "accuracy_proxy_ratio": "Share of right answers by the model's own confidence: a proxy, made without labels.",
}


def metrics_text(labels: Labels, report: DriftReport, gates: Gates) -> str:
    """The whole file. labels: of every sample, `name` among them."""
    lines = [_OPENING + _escaped(labels["name"])]
    for name, samples in _families(report, gates).items():
        there = [(mine, value) for mine, value in samples if value is not None]
        if there:
            full = f"mlpack_drift_{name}"
            lines += [f"# HELP {full} {HELP[name]}", f"# TYPE {full} gauge"]
            lines += [f"{_series(full, {**labels, **mine})} {_number(value)}" for mine, value in there]
    return "\n".join(lines) + "\n"


def refuse_foreign(path: Path, name: str) -> None:
    """Raise BadInput where `path` does not end in .prom, is something else, or holds the drift of another model: one would hide
    the other. IoFault where it cannot be read or its folder not written to."""
    if path.suffix != ".prom":
        raise BadInput(
            f"the collector of node_exporter reads no file {path.name}", f"call it {path.stem or 'drift'}.prom"
        )
    refuse_existing(path, force=True)
    try:
        with path.open("rb") as stream:
            opening = stream.readline(4096).decode("utf-8", "replace").rstrip("\n")
    except FileNotFoundError:
        return
    except OSError as fault:
        raise io_fault(fault, f"the metrics {path} could not be read") from fault
    if opening and not opening.startswith(_OPENING):
        raise BadInput(f"{path} is there and was not written by mlpack drift", "name another file with --prometheus")
    if opening and opening != _OPENING + _escaped(name):
        raise BadInput(
            f"{path} holds the drift of {opening.removeprefix(_OPENING)!r}, and this is {name!r}",
            "give each a file of its own, and a --name; remove this one where it was renamed",
        )


def write_metrics(path: Path, labels: Labels, report: DriftReport, gates: Gates) -> None:
    """Replace the file as a whole. Raises as `refuse_foreign`."""
    refuse_foreign(path, labels["name"])
    with publish(path, force=True) as draft:
        draft.write_text(metrics_text(labels, report, gates), encoding="utf-8")
        draft.chmod(0o644)  # the collector runs as another user


def window_label(days: int | None) -> str:
    return "all" if days is None else f"{days}d"


def _families(report: DriftReport, gates: Gates) -> Mapping[str, list[Sample]]:
    found: dict[str, list[Sample]] = {name: [] for name in HELP}
    for window in report.latest:
        of = {"window": window_label(window.days)}
        for feature in window.features:
            mine = {"feature": feature.name, **of}
            for check in feature.checks:
                kind = {"feature": feature.name, "kind": check.kind, **of}
                found["effect"].append((kind, check.effect))
                limit = gates.threshold(check, report.sufficient) if check.judged else None
                found["threshold"].append((kind, limit))
                found["p_adjusted"].append((kind, check.p_adjusted))
            for name, (_, rate) in (("missing_ratio", feature.missing), ("unseen_ratio", feature.unseen)):
                found[name].append((mine, None if math.isnan(rate) else rate))  # withheld: of few rows or devices
        found["rows"].append((of, window.rows))
        found["predictions"].append((of, window.predictions))
        found["devices"].append((of, window.devices))
        end = None if window.days is None else (window.last + 1) * _DAY
        found["window_end_timestamp_seconds"].append((of, end))
    every = findings(report, gates)
    for finding in every:
        causes = dict(_causes(finding.cause))
        found["drifted"] += [({"feature": finding.name, "kind": kind}, value) for kind, value in causes.items()]
    found["slow_evidence"] = [({"feature": each.name}, each.largest) for each in report.slow]
    found["features"].append(({}, sum(finding.judged for finding in every)))
    found["features_drifted"].append(({}, sum(finding.drifted for finding in every)))
    found["reference_blocks"].append(({}, len(report.blocks.rows)))
    found["reference_sufficient"].append(({}, report.sufficient))
    found["accuracy_proxy_ratio"].append(({}, report.accuracy.estimate if report.accuracy else None))
    return found


def _causes(cause: str | None) -> Iterator[tuple[str, int]]:
    """Every cause is a series of its own, 0 or 1: one that comes and goes would hang for five minutes."""
    for kind in (*KINDS, SLOW):
        yield kind, int(kind == cause)


def _series(name: str, labels: Labels) -> str:
    if not labels:
        return name
    return name + "{" + ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    """A label's value: backslash, quote and line feed are escaped. Bytes that are no UTF-8 become their escapes."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return repr(float(value)) if value != int(value) else str(int(value))
