"""Report files and the spec that they are read with."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpack_edge.cli.outcome import note
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault, publish
from mlpack_edge.profiles.profile import Profile
from mlpack_edge.profiles.spec import Spec
from mlpack_edge.profiles.spec_file import digest, read_spec
from mlpack_edge.profiles.wire.frame import Frame, read_frame, split
from mlpack_edge.profiles.wire.refusal import ReportRefused
from mlpack_edge.profiles.wire.report import ReportFormat

#: Files that are looked at for a spec that nobody named, in one folder; bytes of a file.
_LOOKED_AT, _LARGEST = 1000, 4 << 20
#: Bytes of a file of reports that is read whole.
_MOST = 1 << 30
#: The first three bits of every report: a CBOR array.
_ARRAY = 4
#: Reports from which on arrays are worth their import.
_MANY = 32


def _reports_of(path: Path) -> Iterator[_Read]:
    """The reports of a file. Raises BadInput where it holds none or anything else, IoFault where it cannot be read."""
    try:
        if path.stat().st_size > _MOST:
            raise BadInput(f"{path} holds more than {_MOST:,} bytes", "give its reports in several files")
        content = path.read_bytes()
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault
    if not content:
        raise BadInput(f"{path} holds no report", "mlpack profile build makes one")
    try:
        for report in split(content):
            yield _Read(path, report, read_frame(report))
    except ReportRefused as refused:
        strange = content[0] >> 5 != _ARRAY
        hint = "name a profile: it does not begin as a report of any version does" if strange else refused.hint
        raise BadInput(f"{path}: {refused.message}", hint, why=refused.why) from refused


def read_profiles(paths: Sequence[Path], spec: Path | None) -> tuple[Spec, list[Profile]]:
    """All profiles of all files, in order, each once, and their spec: the one named, else one that lies beside a file or
    here.

    Raises BadInput naming the file whose reports are damaged, or of another spec; IoFault.
    """
    once = _once([read for path in paths for read in _reports_of(path)])
    known = read_spec(spec) if spec is not None else _beside(once[0].frame, [path.absolute().parent for path in paths])
    profiles = []
    for read, found in zip(once, _profiles(ReportFormat(known, digest(known)), once), strict=True):
        if isinstance(found, ReportRefused):
            raise BadInput(f"{read.path}: {found.message}", found.hint, why=found.why) from found
        profiles.append(found)
    return known, profiles


def write_reports(path: Path, reports: Sequence[bytes], force: bool) -> None:
    """One after another (a CBOR sequence). Raises OutputExists, IoFault."""
    with publish(path, force) as draft:
        draft.write_bytes(b"".join(reports))


def decoded(reports: Sequence[str]) -> list[bytes]:
    """Reports as they come from a child process."""
    return [base64.b64decode(report) for report in reports]


def is_spec(path: Path) -> bool:
    """Whether the file is JSON: a report is not."""
    try:
        with path.open("rb") as stream:
            return stream.read(64).lstrip().startswith(b"{")
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault


@dataclass(frozen=True, slots=True)
class _Read:
    path: Path
    report: bytes
    frame: Frame


def _profiles(form: ReportFormat, given: Sequence[_Read]) -> Iterable[Profile | ReportRefused]:
    """Few are read one by one, without numpy; up to the first that is refused."""
    if len(given) >= _MANY:
        from mlpack_edge.profiles.arrays.reading import profiles_from_reports

        yield from profiles_from_reports(form, [read.report for read in given])
        return
    for read in given:
        try:
            yield form.profile(read.frame)
        except ReportRefused as refused:
            yield refused


def _once(reports: Sequence[_Read]) -> list[_Read]:
    """Without reports that were given twice. Different ones that name no device are parts of a night, which add up. Raises
    BadInput where a device says two things of one window."""
    kept: dict[bytes, _Read] = {}
    found: dict[bytes, _Read] = {}
    for read in reports:
        device = read.frame.device
        first = kept.setdefault(read.frame.id, read) if device else read
        if first.report != read.report:
            raise BadInput(
                f"{first.path} and {read.path} hold two reports of one window of the device {device.hex()}, which differ",
                "leave one of them out: a device counts a window once",
            )
        found.setdefault(read.report, read)
    alike = Counter((each.frame.window, each.frame.rows) for each in found.values() if not each.frame.device)
    if many := sum(count > 1 for (_, rows), count in alike.items() if rows):
        windows = "1 window has" if many == 1 else f"{many:,} windows have"
        note(
            f"{windows} several reports of equally many rows, which are added up: are they the same rows, counted twice?"
        )
    if len(found) < len(reports):
        twice = len(reports) - len(found)
        note(f"{twice:,} report{'s' * (twice > 1)} came twice and count{'s' * (twice == 1)} once")
    return list(found.values())


def _beside(frame: Frame, folders: Sequence[Path]) -> Spec:
    """The spec of a report's digest, by its text, among the JSON files of some folders and of the current one."""
    mark = f'"digest":"{frame.spec.hex()}'.encode()
    for folder in dict.fromkeys([*folders, Path.cwd()]):
        for path in sorted(folder.glob("*.json"))[:_LOOKED_AT]:
            try:
                there = path.is_file() and path.stat().st_size <= _LARGEST and mark in path.read_bytes()
            except OSError:
                continue  # a file that may not be read is not the one that is looked for
            if there:
                return read_spec(path)
    raise BadInput(
        f"the spec of these reports is not beside them: its digest begins with {frame.spec.hex()}",
        "name it with --spec: counters are written as what differs from the reference",
    )
