"""Run a job, and what is done beside it: its log, its metrics, its hooks."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from mlpack_edge.batch.hooks import run_hook
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.job_file import KEY_OF, JobFile
from mlpack_edge.batch.prometheus import Measured, old_metrics, write_metrics
from mlpack_edge.batch.run_log import RunLog, Sink, sink_of_file
from mlpack_edge.batch.templates import is_dated, render, render_job
from mlpack_edge.cli.outcome import CHECK_SAID_NO, COULD_NOT, DONE, SCHEMA, Outcome, clear_progress, note
from mlpack_edge.cli.score_listener import ScoreListener
from mlpack_edge.cli.score_options import written
from mlpack_edge.cli.score_request import is_job_file
from mlpack_edge.cli.score_text import result_text
from mlpack_edge.core.errors import BadInput, CheckFailed, Interrupted, MlpackError
from mlpack_edge.core.files import io_fault

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """A job that is about to run. what: MODEL or JOB.toml as given; name: what metrics call it; day: the date it runs for."""

    job_file: JobFile
    name: str
    day: date
    what: str

    def place(self, field: str) -> str:
        """What a field of the job is called where the user wrote it."""
        return f"{self.what}: {KEY_OF[field]}" if is_job_file(self.what) else written(field)


def run_outcome(job_file: JobFile, folder: Path, name: str, day: date | None, what: str) -> Outcome:
    """The run, in `folder`. Whatever ends it is logged and counted, and calls its hook, before it is raised."""
    now = datetime.now().astimezone()
    task = Task(job_file, name, day or now.date(), what)
    if folder != Path():
        try:
            os.chdir(folder)
        except OSError as fault:
            raise io_fault(fault, f"the folder {folder} of the job could not be entered") from fault
    began = time.monotonic()
    listener = None
    try:
        job = render_job(job_file.job, task.day, task.place)
        log, metrics = _beside(task, job)
        listener = ScoreListener(RunLog(log, _clock), quiet=not sys.stderr.isatty() or job_file.log == "-")
        listener.say("start", name=name, date=task.day.isoformat(), **job.to_json())
        dated = day is not None or is_dated(job_file.job)
        result = _run(job, listener, task.day if dated else None)
    except BaseException as fault:
        clear_progress()
        _after_failure(task, listener, fault, time.monotonic() - began)
        raise
    return _after_success(task, job, listener, metrics, result, time.monotonic() - began)


def _clock() -> datetime:
    return datetime.now().astimezone()


def _run(job: Job, listener: ScoreListener, day: date | None) -> Json:
    from mlpack_edge.batch.run import run_job

    try:
        result = run_job(job, listener, _clock, day).to_json()
    except KeyboardInterrupt as stop:
        raise Interrupted("interrupted", "the same command goes on where this one was") from stop
    return {**result, "notes": [*result["notes"], *listener.notes]}


def _beside(task: Task, job: Job) -> tuple[Sink | None, Path | None]:
    """The log and the metrics, ready to be written. Raises BadInput or IoFault where they could not be."""
    log = render(task.job_file.log, task.day, "log")
    metrics = render(task.job_file.metrics, task.day, "metrics")
    output = job.output.removeprefix("delta::")
    for what, text in (("log", log), ("metrics", metrics)):
        inside = "::" not in output and Path(text).resolve().is_relative_to(Path(output).resolve())
        if text not in ("", "-") and inside:
            raise BadInput(
                f"the {what} {text} lies in the output {output}, which is replaced as a whole",
                "put it beside the output",
            )
    if metrics:
        old_metrics(Path(metrics), task.name)
    if log == "-":
        return _to_standard_error, Path(metrics) if metrics else None
    return sink_of_file(Path(log)) if log else None, Path(metrics) if metrics else None


def _to_standard_error(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _after_success(
    task: Task, job: Job, listener: ScoreListener, metrics: Path | None, result: Json, seconds: float
) -> Outcome:
    """Log, hook and metrics of a table that is published. What fails of them is raised when all were tried."""
    text = result_text(result, _quality_text(result))
    listener.identify(result["run_key"])
    listener.say(
        "nothing to do" if result["status"] == "nothing to do" else "published",
        **{key: result[key] for key in (
            "output", "rows_in", "rows_out", "table_rows", "rows_rejected", "rejected", "rejected_file", "shards", "seconds", "changed",
        )},
    )  # fmt: skip
    faults = list(listener.faults)
    hooks = task.job_file.hooks
    document = {"command": "score", "ok": True, "schema": SCHEMA, **result, "text": text}
    _try(faults, lambda: run_hook(
        "on_success", hooks.on_success, document, _variables(task, job, DONE, result), hooks.time_limit, _standard_error()
    ))  # fmt: skip
    idle = result["status"] == "nothing to do"
    measured = Measured(
        exit_code=COULD_NOT if faults else DONE, ended=time.time(), seconds=round(seconds, 3), rows_in=result["rows_in"],
        rows_rejected=result["rows_rejected"], rejected=result["rejected"], shards_done=result["shards"]["done"],
        shards_reused=result["shards"]["reused"], table_rows=result["table_rows"], published=not idle,
    )  # fmt: skip
    if metrics is not None:
        _try(faults, lambda: write_metrics(metrics, task.name, measured))
    if faults:
        for fault in faults:
            listener.say("failed", kind=fault.kind, message=fault.message, why=fault.why, exit_code=COULD_NOT)
        first = faults[0]
        more_of_them = "".join(f"; {fault.message}" for fault in faults[1:])
        raise MlpackError(
            f"the table {result['output']} is published, but {first.message}{more_of_them}",
            f"{first.hint}; the same command again scores nothing and tries it again", why=first.why,
            result=result, text=text,
        )  # fmt: skip
    return Outcome(result, text, f"the table {result['output']} is published")


def _after_failure(task: Task, listener: ScoreListener | None, fault: BaseException, seconds: float) -> None:
    """Log, metrics and hook of a run that did not publish. What fails of them is a note: the first error stays the error."""
    error = _described(fault)
    code = CHECK_SAID_NO if isinstance(fault, CheckFailed) else COULD_NOT
    facts: Json = fault.data.get("result", {}) if isinstance(fault, MlpackError) else {}
    said = listener or ScoreListener(RunLog(None, _clock), quiet=True)
    said.say("failed", **error, exit_code=code, seconds=round(seconds, 3))
    measured = Measured(
        exit_code=code, ended=time.time(), seconds=round(seconds, 3), rows_in=facts.get("rows_in", said.rows_in),
        rows_rejected=facts.get("rows_rejected", said.rows_rejected), rejected=facts.get("rejected", said.rejected),
        shards_done=said.shards_done, shards_reused=said.shards_reused,
    )  # fmt: skip
    hooks = task.job_file.hooks
    document = {"command": "score", "ok": False, "schema": SCHEMA, **facts, "error": error, "text": error["message"]}
    faults: list[MlpackError] = []
    if task.job_file.metrics:
        _try(faults, lambda: write_metrics(
            Path(render(task.job_file.metrics, task.day, "metrics")), task.name, measured
        ))  # fmt: skip
    variables = _variables(task, task.job_file.job, code, facts) | {
        "MLPACK_ERROR_KIND": error["kind"], "MLPACK_ERROR": error["message"],
    }  # fmt: skip
    _try(faults, lambda: run_hook(
        "on_failure", hooks.on_failure, document, variables, hooks.time_limit, _standard_error()
    ))  # fmt: skip
    for another in faults:
        if another.message != error["message"]:
            note(another.message + (f" ({another.why})" if another.why else ""))


def _described(fault: BaseException) -> Json:
    """An error as documents, logs and hooks have it."""
    if isinstance(fault, MlpackError):
        return {"kind": fault.kind, "message": fault.message, "why": fault.why, "hint": fault.hint}
    lines = str(fault).strip().splitlines() or [""]
    kind = "interrupted" if isinstance(fault, KeyboardInterrupt) else "bug"
    return {"kind": kind, "message": f"{type(fault).__name__}: {lines[-1]}", "why": "", "hint": ""}


def _variables(task: Task, job: Job, code: int, facts: Json) -> dict[str, str]:
    """What a hook finds in its environment."""
    known = {
        "MLPACK_STATUS": facts.get("status", "done") if code == DONE else "failed",
        "MLPACK_EXIT_CODE": str(code),
        "MLPACK_NAME": task.name,
        "MLPACK_JOB": task.what,
        "MLPACK_DATE": task.day.isoformat(),
        "MLPACK_MODEL": job.model,
        "MLPACK_OUTPUT": job.output,
    }
    for key in ("run_key", "rows_in", "rows_out", "rows_rejected", "rejected_file"):
        known[f"MLPACK_{key.upper()}"] = "" if facts.get(key) is None else str(facts[key])
    return known


def _standard_error() -> int:
    """Where hooks print: standard output is for the one document."""
    sys.stderr.flush()
    return sys.stderr.fileno()


def _try(faults: list[MlpackError], step: Callable[[], None]) -> None:
    try:
        step()
    except MlpackError as fault:
        faults.append(fault)


def _quality_text(result: Json) -> str:
    """How far a challenger agrees, and how good the scores are where labels are there."""
    parts = []
    if result["agreement"] is not None:
        from mlpack_edge.batch.agreement import agreement_lines

        parts += ["", "challenger", *(f"  {line}" for line in agreement_lines(result["agreement"]))]
    if result["evaluation"] is not None:
        from mlpack_edge.cli.score_evaluate import evaluation_text

        parts += ["", evaluation_text(result["evaluation"])]
    return "\n".join(parts)
