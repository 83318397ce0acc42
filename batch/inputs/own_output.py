"""An output that lies where the job itself looks for input: the next run would read its own table."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Sequence
from pathlib import Path

from mlpack_edge.batch.inputs.sources import database_table, is_url
from mlpack_edge.batch.job import Job
from mlpack_edge.core.errors import BadInput

_DELTA = "delta::"


def refuse_own_output(job: Job) -> None:
    """Raise BadInput where a pattern of the inputs would find the files of the output, also before they are there."""
    if job.sql or is_url(job.output):
        return
    output = job.output.removeprefix(_DELTA)
    if output == job.output and database_table(output) is not None:
        return
    for pattern in job.inputs:
        if not is_url(pattern) and database_table(pattern) is None and _finds(pattern, output):
            raise BadInput(
                f"the output {job.output} lies where the input {pattern} is looked for: the next run would read its own table",
                "name an output elsewhere, or one whose name begins with _, which inputs pass over",
            )


def _finds(pattern: str, output: str) -> bool:
    """Whether the pattern names the output, a folder above it or a Parquet file in it."""
    if Path(pattern).is_dir():
        folder, table = Path(os.path.realpath(pattern)), Path(os.path.realpath(output))
        below = table.parts[len(folder.parts) :]
        return table.is_relative_to(folder) and not any(part.startswith((".", "_")) for part in below)
    asked = Path(os.path.abspath(pattern)).parts  # noqa: PTH100 - `resolve` would follow what stands for itself here
    table = Path(os.path.abspath(output))  # noqa: PTH100
    return _matches(asked, (*table.parts, "part-00000-00000000.parquet"))


def _matches(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """Whether a glob, part by part, names the path or a folder above it, less names that a wildcard passes over."""
    if not pattern:
        return not any(part.startswith((".", "_")) for part in path)
    first, rest = pattern[0], pattern[1:]
    if first == "**":
        deeper = bool(path) and not path[0].startswith((".", "_")) and _matches(pattern, path[1:])
        return deeper or _matches(rest, path)
    if not path or not fnmatch.fnmatchcase(path[0], first):
        return False
    hidden = path[0].startswith((".", "_")) and not first.startswith((".", "_"))
    return not hidden and _matches(rest, path[1:])
