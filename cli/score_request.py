"""What one call of `mlpack score` asks for: a job file, options, or a job file with options over it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

from mlpack_edge.batch.job import Job
from mlpack_edge.batch.job_file import KEY_OF, JobFile, read_job_file
from mlpack_edge.cli.score_options import given, written
from mlpack_edge.core.errors import BadInput

#: Fields of a Job that are places in the file system, and so start at some folder.
_PLACES = ("model", "inputs", "output", "contract", "challenger", "profile", "profile_spec")


def is_job_file(name: str | None) -> bool:
    """Models are .onnx and .tflite files; whatever ends in .toml is a job."""
    return name is not None and name.lower().endswith(".toml")


def requested(what: str, options: Mapping[str, Any]) -> tuple[JobFile, Path]:
    """The job (its templates as they are) and the folder in which its relative paths start.

    what: MODEL or JOB.toml. Raises click.UsageError where something is missing or does not go together on the command
    line, BadInput where it is the job file.
    """
    if not is_job_file(what):
        job_file = _over(JobFile(Job(what, (), "")), given(options))
        _refuse_missing(job_file.job)
        if said := complaint(job_file.job, written):
            raise click.UsageError(said)
        return job_file, Path()
    path = Path(what)
    folder = path.parent
    over = given(options)
    job_file = _over(read_job_file(path), moved(over, Path(), folder))
    if said := complaint(job_file.job, KEY_OF.__getitem__):
        if over:
            raise click.UsageError(f"{path} with these options: {said}")
        raise BadInput(f"{path}: {said}", "docs/reference/job-file.md shows what goes together")
    return job_file, folder


def name_of(what: str, job_file: JobFile) -> str:
    """What metrics call the job."""
    return job_file.name or Path(what).stem


def complaint(job: Job, called: Callable[[str], str]) -> str:
    """Why these values of a job do not go together, "" where they do. called: what a field is called where it was given."""
    if job.sql and len(job.inputs) > 1:
        return f"{called('sql')} takes one database as {called('inputs')} at most; the query names its files itself"
    if bool(job.profile) != bool(job.profile_spec):
        given_one, missing = ("profile", "profile_spec") if job.profile else ("profile_spec", "profile")
        return f"{called(given_one)} goes with {called(missing)}"
    if job.partition_by and "::" in job.output:
        return f"{called('partition_by')} goes with a directory of Parquet files as {called('output')}"
    return ""


def _over(job_file: JobFile, over: Mapping[str, Any]) -> JobFile:
    """With the options that were given in place of its own."""
    names = {item.name for item in fields(Job)}
    job = replace(job_file.job, **{name: value for name, value in over.items() if name in names})
    return replace(job_file, job=job, log=over.get("log", job_file.log), metrics=over.get("metrics", job_file.metrics))


def _refuse_missing(job: Job) -> None:
    if not job.inputs and not job.sql:
        raise click.UsageError("Missing option '--input' (or '--sql').")
    if not job.output:
        raise click.UsageError("Missing option '--output'.")


def moved(values: Mapping[str, Any], here: Path, there: Path) -> dict[str, Any]:
    """Places that are relative to the folder `here`, as they are from the folder `there`. Other values stay."""
    source, target = os.path.realpath(here), os.path.realpath(there)
    if source == target:
        return dict(values)

    def place(value: Any) -> Any:
        return tuple(place(item) for item in value) if isinstance(value, tuple) else _moved_place(value, source, target)

    made = {name: place(value) if name in _PLACES else value for name, value in values.items()}
    for name in ("log", "metrics"):
        if made.get(name, "-") not in ("", "-"):
            made[name] = _moved_path(made[name], source, target)
    return made


def moved_job(job_file: JobFile, here: Path, there: Path) -> JobFile:
    """A job whose relative paths start at `here`, for a file in the folder `there`."""
    values = {name: getattr(job_file.job, name) for name in _PLACES if getattr(job_file.job, name)}
    made = moved({**values, "log": job_file.log, "metrics": job_file.metrics}, here, there)
    log, metrics = made.pop("log"), made.pop("metrics")
    return replace(job_file, job=replace(job_file.job, **made), log=log, metrics=metrics)


def _moved_place(text: str, source: str, target: str) -> str:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        return text
    if text.startswith("delta::"):
        return "delta::" + _moved_path(text.removeprefix("delta::"), source, target)
    path, colons, table = text.partition("::")
    return _moved_path(path, source, target) + colons + table


def _moved_path(text: str, source: str, target: str) -> str:
    # "link/../x" is not "x": such a path is left to the operating system.
    whole = os.path.join(source, text)  # noqa: PTH118 - pathlib would drop a trailing slash and "."
    return text if Path(text).is_absolute() else whole if ".." in Path(text).parts else os.path.relpath(whole, target)
