"""JOB.toml: a whole job as a file, for cron. Read strictly, and written from the options of a command line.

Relative paths in it start at the folder in which the file lies, wherever the command is started.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from mlpack_edge.batch.job import Job
from mlpack_edge.batch.toml_text import toml_text
from mlpack_edge.core.errors import BadInput, MlpackError
from mlpack_edge.core.files import io_fault
from mlpack_edge.core.quantities import bytes_from_text, seconds_from_text, share_from_text

SCHEMA = 1
#: A job file is read whole; one that is larger is something else.
_LARGEST = 1_000_000

#: What a hook is: a program with its words, a line for `sh -c`, a URL that takes a POST; "" is none.
Hook = tuple[str, ...] | str


@dataclass(frozen=True, slots=True)
class Hooks:
    """time_limit: seconds for a command; a webhook has 30."""

    on_success: Hook = ""
    on_failure: Hook = ""
    time_limit: float = 300.0


@dataclass(frozen=True, slots=True)
class JobFile:
    """A job, and what is done beside it. log: a file, or "-" for standard error; metrics: a file for node_exporter.

    name: what the metrics call the job, "" for the name of the job file. Templates are not filled in.
    """

    job: Job
    hooks: Hooks = field(default_factory=Hooks)
    log: str = ""
    metrics: str = ""
    name: str = ""


class _Wrong(Exception):
    """A value that is not what its key asks for: what it should be."""


def _text(value: Any) -> str:
    if type(value) is not str or not value.strip() or "\0" in value:
        raise _Wrong("a text that is not empty")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    items = [value] if type(value) is str else value
    if type(items) is not list or not items:
        raise _Wrong("a text, or a list of texts")
    try:
        return tuple(_text(item) for item in items)
    except _Wrong as fault:
        raise _Wrong("a text, or a list of texts, none of them empty") from fault


def _yes_or_no(value: Any) -> bool:
    if type(value) is not bool:
        raise _Wrong("true or false")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 1 <= value < 2**31:
        raise _Wrong("a whole number from 1 up")
    return value


def _share(value: Any) -> float:
    if type(value) is str:
        return share_from_text(value)
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise _Wrong('a share from 0 to 1, or a percentage as "0.1%"')
    return float(value)


def _bytes(value: Any) -> int:
    if type(value) is str:
        return bytes_from_text(value)
    if type(value) is not int or not 1 <= value < 2**62:
        raise _Wrong('a size as "1GB", or a number of bytes')
    return value


def _seconds(value: Any) -> float:
    if type(value) is str:
        return seconds_from_text(value)
    if type(value) not in (int, float) or not 0 < value <= 366 * 86400:
        raise _Wrong('a duration as "5m", or a number of seconds')
    return float(value)


def _hook(value: Any) -> Hook:
    return _texts(value) if type(value) is list else _text(value)


#: Key of the file -> (field of the Job, how its value is read), in the order in which they are written.
_KEYS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "model": ("model", _text),
    "input": ("inputs", _texts),
    "sql": ("sql", _text),
    "output": ("output", _text),
    "keep": ("keep", _texts),
    "key": ("key", _text),
    "partition_by": ("partition_by", _text),
    "contract": ("contract", _text),
    "max_rejected": ("max_rejected", _share),
    "challenger": ("challenger", _text),
    "label": ("label", _text),
    "profile": ("profile", _text),
    "profile_spec": ("profile_spec", _text),
    "incremental": ("incremental", _yes_or_no),
    "engine": ("engine", _text),
    "workers": ("workers", _count),
    "batch_rows": ("batch_rows", _count),
    "memory": ("memory", _bytes),
}
#: `fresh` is of one run, not of the job: in a file it would score everything again each night.
NOT_IN_A_FILE = ("fresh",)
#: What a field of the Job is called in the file.
KEY_OF = {name: key for key, (name, _) in _KEYS.items()}

_TABLES: dict[str, dict[str, Callable[[Any], Any]]] = {
    "hooks": {"on_success": _hook, "on_failure": _hook, "time_limit": _seconds},
    "log": {"file": _text},
    "metrics": {"file": _text, "name": _text},
}


def read_job_file(path: Path) -> JobFile:
    """The job in a file. BadInput naming file and key or line; IoFault where it cannot be read."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST + 1)
    except OSError as fault:
        raise io_fault(fault, f"the job file {path} could not be read") from fault
    if len(raw) > _LARGEST:
        raise BadInput(
            f"{path} is larger than {_LARGEST:,} bytes, and no job file", "mlpack score --print-job writes one"
        )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise BadInput(
            f"{path} is no UTF-8 text", "mlpack score --print-job writes a job file", why=str(fault)
        ) from fault
    return job_file_from_text(text, str(path))


def job_file_from_text(text: str, name: str) -> JobFile:
    """The job in TOML text; `name` is what it is called in messages. BadInput naming the key or the line."""
    try:
        record = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        raise BadInput(f"{name} is no TOML", "mlpack score --print-job writes a job file", why=str(fault)) from fault
    if "schema" not in record:
        raise BadInput(f"{name}: the key schema is missing", f"write schema = {SCHEMA} at its top")
    if type(record["schema"]) is not int or record["schema"] != SCHEMA:
        raise BadInput(
            f"{name}: schema is {record['schema']!r}, and this mlpack reads {SCHEMA}",
            "use a newer mlpack, or write the job again with mlpack score --print-job",
        )
    for gone in NOT_IN_A_FILE:
        if gone in record:
            raise BadInput(
                f"{name}: {gone} is no key of a job file", f"give --{gone} on the command line when you want it",
                why="a job that is run every night would score everything again each time",
            )  # fmt: skip
    tables = {key: record.pop(key, {}) for key in _TABLES}
    del record["schema"]
    values = _read_keys(record, {key: read for key, (_, read) in _KEYS.items()}, "", name, tuple(_TABLES))
    hooks, log, metrics = (_table(tables[key], key, name) for key in ("hooks", "log", "metrics"))
    missing = [key for key in ("model", "output") if key not in values]
    if "input" not in values and "sql" not in values:
        missing.append("input")
    if missing:
        raise BadInput(f"{name}: the key {missing[0]} is missing", "docs/reference/job-file.md lists the keys")
    for table, made in (("log", log), ("metrics", metrics)):
        if made is not None and "file" not in made:
            raise BadInput(f"{name}: the key {table}.file is missing", f'write file = "..." below [{table}]')
    job = Job(**{"inputs": (), **{_KEYS[key][0]: value for key, value in values.items()}})
    return JobFile(
        job, Hooks(**(hooks or {})), (log or {}).get("file", ""), (metrics or {}).get("file", ""),
        (metrics or {}).get("name", ""),
    )  # fmt: skip


def _table(record: Any, table: str, name: str) -> dict[str, Any] | None:
    """The keys of a table; None where the file does not have it."""
    if type(record) is not dict:
        raise BadInput(f"{name}: {table} is no table", f"write [{table}] on a line of its own, and its keys below")
    return _read_keys(record, _TABLES[table], f"{table}.", name) if record else None


def _read_keys(
    record: Mapping[str, Any], readers: Mapping[str, Callable[[Any], Any]], prefix: str, name: str,
    tables: tuple[str, ...] = (),
) -> dict[str, Any]:  # fmt: skip
    made = {}
    for key, value in record.items():
        if key not in readers:
            known = [*readers, *tables]
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"is {prefix}{near[0]} meant?" if near else f"known keys are {', '.join(known)}"
            raise BadInput(f"{name}: {prefix}{key} is no key of a job file", hint)
        try:
            made[key] = readers[key](value)
        except _Wrong as fault:
            raise BadInput(
                f"{name}: {prefix}{key} is {value!r:.200}, and must be {fault}",
                "docs/reference/job-file.md shows each key",
            ) from fault
        except MlpackError as fault:  # of core.quantities, which does not know the key
            raise BadInput(f"{name}: {prefix}{key}: {fault.message}", fault.hint) from fault
    return made


def _written(name: str, value: Any) -> Any:
    """As people write it: one input as a text, a share as a percentage where that reads back as the same share."""
    if isinstance(value, tuple) and len(value) == 1:
        return value[0]
    if name == "max_rejected":
        percent = f"{Decimal(repr(value)) * 100:f}"
        percent = percent.rstrip("0").rstrip(".") if "." in percent else percent
        return f"{percent}%" if re.fullmatch(r"\d{1,3}(\.\d{1,12})?", percent) else value
    return value


def job_file_text(job_file: JobFile) -> str:
    """TOML that `job_file_from_text` reads as the same job; what is as by default is left away.

    BadInput where a value is no UTF-8 text (a file name of other bytes), which TOML cannot hold.
    """
    defaults = {item.name: item.default for item in fields(Job)}
    top: dict[str, Any] = {"schema": SCHEMA}
    for key, (name, _) in _KEYS.items():
        value = getattr(job_file.job, name)
        if value != defaults[name] and not (name == "inputs" and not value):
            top[key] = _written(name, value)
    hooks, standard = job_file.hooks, Hooks()
    names = [item.name for item in fields(Hooks) if getattr(hooks, item.name) != getattr(standard, item.name)]
    tables = {
        "hooks": {name: getattr(hooks, name) for name in names},
        "log": {"file": job_file.log} if job_file.log else {},
        "metrics": {
            key: value for key, value in (("file", job_file.metrics), ("name", job_file.name)) if value
        },
    }  # fmt: skip
    return toml_text(top, {table: values for table, values in tables.items() if values})
