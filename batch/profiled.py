"""The profile of a run: its spec read before, its file written after. In the coordinating process, with the standard library
alone.

The counters lie in the manifest of the table, so that a profile whose file was not written (a kill between the two) is
written by the run that finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from mlpack_edge.batch.inputs.sources import database_table, is_url
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.plan import InputFile
from mlpack_edge.batch.profiling.merging import profile_from_state
from mlpack_edge.batch.profiling.windows import window_of_day, window_of_files
from mlpack_edge.batch.unchanged import source_file
from mlpack_edge.core.errors import BadInput, MlpackError
from mlpack_edge.core.files import io_fault, publish, refuse_existing
from mlpack_edge.profiles.spec import Spec
from mlpack_edge.profiles.spec_file import digest, read_spec, spec_text
from mlpack_edge.profiles.wire.frame import read_frame, split
from mlpack_edge.profiles.wire.refusal import ReportRefused
from mlpack_edge.profiles.wire.report import ReportFormat

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProfileOrder:
    """A profile that a run is to leave. day: that the job is for, None for the day of its inputs."""

    path: Path
    spec: Spec
    day: date | None

    @property
    def text(self) -> str:
        """The spec as it travels in a plan."""
        return spec_text(self.spec)

    def dated(self, collected: Json, inputs: Iterable[InputFile]) -> Json:
        """What a run gathered, with the window of its profile: that of its date, else of its `inputs`."""
        if self.day is not None:
            window = window_of_day(self.day)
        else:
            window = window_of_files(item.fingerprint.mtime_ns for item in inputs if source_file(item))
        state = collected.get("profile", {})
        return collected | {"profile": state | {"window": [window.sequence, window.start, window.end]}}

    def other_day(self, collected: Json) -> str:
        """The day of a profile that was `dated`, where the job asks for another one; else ""."""
        start = int(collected["profile"]["window"][1])
        if self.day is None or start == window_of_day(self.day).start:
            return ""
        return datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d")

    def write(self, collected: Json) -> Json:
        """Write the file of what was `dated`; the same counters leave the same bytes, whenever that is: a report that came again with
        another window would count its rows twice. Gives {"path", "spec", "rows"}. Raises IoFault."""
        made = digest(self.spec)
        profile = profile_from_state(self.spec, collected["profile"])
        report = ReportFormat(self.spec, made).encode(profile)
        try:
            with publish(self.path, force=True) as draft:
                draft.write_bytes(report)
        except MlpackError as fault:
            raise type(fault)(
                f"the table is published, and its profile could not be written: {fault.message}",
                f"{fault.hint}; the same command again scores nothing and writes it", why=fault.why,
            ) from fault  # fmt: skip
        return {"path": str(self.path), "spec": made[:16].hex(), "rows": profile.rows}


def profile_order(job: Job, day: date | None) -> ProfileOrder:
    """What a job with a profile orders. Raises BadInput where the spec is none, or the file's name holds what
    is no profile; IoFault."""
    path = Path(job.profile)
    _refuse_foreign(path)
    output = job.output.removeprefix("delta::")
    if database_table(job.output) is None and path.resolve().is_relative_to(Path(output).resolve()):
        raise BadInput(
            f"the profile {path} lies in the output {output}, which is replaced as a whole", "put it beside the output"
        )
    if day is None and (job.sql or any(is_url(name) or database_table(name) for name in job.inputs)):
        raise BadInput(
            "nothing says of which day the rows of the profile are", "name it with --date, or use {{ ds }} in the job",
            why="queries, tables and URLs do not tell when their rows were written",
        )  # fmt: skip
    if day is not None:
        window_of_day(day)  # one that cannot be, before any work
    return ProfileOrder(path, read_spec(Path(job.profile_spec)), day)


def _refuse_foreign(path: Path) -> None:
    """A profile is replaced by that of a later run; anything else is not."""
    refuse_existing(path, force=True)
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as fault:
        raise io_fault(fault, f"the profile {path} could not be read") from fault
    try:
        for report in split(content):
            read_frame(report)
    except ReportRefused as refused:
        raise BadInput(
            f"{path} is there and is no profile", "name another file with --profile", why=refused.message
        ) from refused
