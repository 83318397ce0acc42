"""Metrics of a run as a file for the textfile collector of Prometheus' node_exporter.

Format: Prometheus text exposition 0.0.4. The collector reads files whose name ends in `.prom`, at any time: the file is
replaced as a whole. Counters go on from what the old file says; one that is absent begins at 0, as after any restart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault, publish, refuse_existing

_OPENING = "# mlpack score: "
#: The old file is read whole; ours have some twenty lines and a line for each reason of rejection.
_LARGEST = 1_000_000
#: Reasons of rejection that get a line each, the most frequent first: each is a time series for as long as data are kept.
_REASONS = 50


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run was. ended: seconds since 1970. table_rows: of the table as it stands; None where that is not known.

    published: whether the rows came into the table by this run, and so count in the totals.
    """

    exit_code: int
    ended: float
    seconds: float
    rows_in: int = 0
    rows_rejected: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    shards_done: int = 0
    shards_reused: int = 0
    table_rows: int | None = None
    published: bool = False


@dataclass(frozen=True, slots=True)
class _Family:
    name: str
    type: str
    help: str
    samples: tuple[tuple[Mapping[str, str], float | None], ...]


def metrics_text(name: str, run: Measured, old: str = "") -> str:
    """The whole file. name: label `name` of every sample. old: what the file held before, "" for nothing."""
    before = _samples(old)
    families = _families(name, run, before)
    lines = [_OPENING + _escaped(name)]
    for family in families:
        samples = [(labels, value) for labels, value in family.samples if value is not None]
        if not samples:
            continue
        full = f"mlpack_score_{family.name}"
        lines += [f"# HELP {full} {family.help}", f"# TYPE {full} {family.type}"]
        lines += [f"{_series(full, {'name': name, **labels})} {_number(value)}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _families(name: str, run: Measured, before: Mapping[str, float]) -> Iterable[_Family]:
    def kept(family: str, **labels: str) -> float | None:
        return before.get(_series(f"mlpack_score_{family}", {"name": name, **labels}))

    def counted(family: str, more: float, **labels: str) -> tuple[Mapping[str, str], float]:
        return labels, (kept(family, **labels) or 0.0) + more

    ours = run.published
    rows = {"in": run.rows_in, "out": run.rows_in - run.rows_rejected, "rejected": run.rows_rejected}
    good = run.exit_code == 0
    table_rows = kept("table_rows") if run.table_rows is None else run.table_rows
    reasons = sorted(run.rejected.items(), key=lambda item: (-item[1], item[0]))
    shown = dict(reasons[:_REASONS])
    if rest := sum(count for _, count in reasons[_REASONS:]):
        shown["other reasons"] = shown.get("other reasons", 0) + rest
    return (
        _Family("rows_total", "counter", "Rows of published runs: read, written, rejected.",
                tuple(counted("rows_total", count if ours else 0, rows=kind) for kind, count in rows.items())),
        _Family("runs_total", "counter", "Runs by exit code: 0 done, 1 could not, 3 a check said no.",
                tuple(counted("runs_total", run.exit_code == code, exit_code=str(code)) for code in (0, 1, 3))),
        _Family("last_run_rows", "gauge", "Rows of the last run: read, written, rejected.",
                tuple(({"rows": kind}, count) for kind, count in rows.items())),
        _Family("last_run_rejected_rows", "gauge", "Rows that the last run rejected, by reason.",
                tuple(({"reason": reason}, count) for reason, count in shown.items())),
        _Family("last_run_shards", "gauge", "Shards of the last run: scored, and taken over from one that was stopped.",
                (({"shards": "done"}, run.shards_done), ({"shards": "reused"}, run.shards_reused))),
        _Family("last_run_duration_seconds", "gauge", "How long the last run took.", (({}, run.seconds),)),
        _Family("last_run_success", "gauge", "1 where the last run ended with exit code 0, else 0.", (({}, good),)),
        _Family("last_run_exit_code", "gauge", "Exit code of the last run.", (({}, run.exit_code),)),
        _Family("last_run_timestamp_seconds", "gauge", "When the last run ended.", (({}, run.ended),)),
        _Family("last_success_timestamp_seconds", "gauge", "When a run last ended with exit code 0.",
                (({}, run.ended if good else kept("last_success_timestamp_seconds")),)),
        _Family("table_rows", "gauge", "Rows of the table as it stands.", (({}, table_rows),)),
    )  # fmt: skip


def old_metrics(path: Path, name: str) -> str:
    """What `path` holds of the runs called `name` before, "" where it is absent.

    BadInput where its name does not end in .prom, where it is something else, or the metrics of another job: one would
    hide the other. IoFault where it cannot be read or its folder not written to.
    """
    if path.suffix != ".prom":
        raise BadInput(
            f"the collector of node_exporter reads no file {path.name}", f"call it {path.stem or 'score'}.prom"
        )
    refuse_existing(path, force=True)
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST)
    except FileNotFoundError:
        return ""
    except OSError as fault:
        raise io_fault(fault, f"the metrics {path} could not be read") from fault
    text = raw.decode("utf-8", "replace")
    opening = text.partition("\n")[0]
    if raw and not opening.startswith(_OPENING):
        raise BadInput(f"{path} is there and was not written by mlpack score", "name another file with --metrics")
    if raw and opening != _OPENING + _escaped(name):
        raise BadInput(
            f"{path} holds the metrics of {opening.removeprefix(_OPENING)!r}, and this job is called {name!r}",
            "give each job a file of its own; remove this one where the job was renamed",
        )
    return text


def write_metrics(path: Path, name: str, run: Measured) -> None:
    """Replace the file as a whole; the counters and the last success of the old one are carried on. Raises as `old_metrics`."""
    text = metrics_text(name, run, old_metrics(path, name))
    with publish(path, force=True) as draft:
        draft.write_text(text, encoding="utf-8")


def _samples(text: str) -> dict[str, float]:
    """Value by series, as this module writes them; lines that are damaged are as if they were absent."""
    found = {}
    for line in text.split("\n"):
        series, _, number = line.rpartition(" ")
        try:
            value = float(number)
        except ValueError:
            continue
        if series and not line.startswith("#") and 0 <= value < math.inf:
            found[series] = value
    return found


def _series(name: str, labels: Mapping[str, str]) -> str:
    return name + "{" + ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    """A label's value: backslash, quote and line feed are escaped. Bytes that are no UTF-8 become their escapes."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return repr(float(value)) if value != int(value) else str(int(value))
