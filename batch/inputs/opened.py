"""Each kind of input as a file of row groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlpack_edge.batch.inputs.columnar import Layout, layout_of
from mlpack_edge.batch.inputs.fingerprint import fingerprint_of, unchanged
from mlpack_edge.batch.inputs.sources import format_of_name
from mlpack_edge.batch.inputs.staging import Staging
from mlpack_edge.batch.plan import Fingerprint
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault

Report = Callable[[str], None]
#: What begins each message of an Arrow stream (Arrow Columnar Format, Encapsulated message format).
_CONTINUATION = b"\xff\xff\xff\xff"
HINT = "inputs are .parquet, .arrow, .feather, .csv and .jsonl files (the last two also as .gz), FILE.duckdb::TABLE, or URLs"


@dataclass(frozen=True, slots=True)
class Opened:
    """path: what is read, in the format "parquet" or "arrow". staged: it is a copy; `fingerprint` is the source's.
    elsewhere: as in InputFile.
    """

    name: str
    path: Path
    format: str
    fingerprint: Fingerprint
    layout: Layout
    staged: bool = False
    notes: tuple[str, ...] = ()
    elsewhere: bool = False


def open_file(name: str, path: Path, staging: Staging, stage: Report, wanted: Mapping[str, str]) -> Opened:
    """A local file of any format: Parquet and Arrow as they are, CSV and JSON lines staged. Raises BadInput or IoFault."""
    form = format_of(name, path)
    fingerprint = fingerprint_of(path)
    if form in ("parquet", "arrow"):
        return Opened(name, path, form, fingerprint, layout_of(name, path, form))
    # Imported late: a run over Parquet starts without them.
    if form == "csv":
        from mlpack_edge.batch.inputs.csv_files import stage_csv as stage_text
    else:
        from mlpack_edge.batch.inputs.json_lines import stage_json_lines as stage_text

    def make(target: Path) -> dict[str, list[str]]:
        stage(f"staging {name}")
        notes = stage_text(name, path, target, wanted)
        if not unchanged(path, fingerprint):
            target.unlink()
            raise BadInput(f"{name} is being written to", "start again when its writer has finished")
        return {"notes": list(notes)}

    source = {"fingerprint": fingerprint.key(), "wanted": dict(sorted(wanted.items())), "format": form}
    copy, facts = staging.reused(name, source, make)
    return Opened(name, copy, "parquet", fingerprint, layout_of(name, copy, "parquet"), True, tuple(facts["notes"]))


def format_of(name: str, path: Path) -> str:
    """ "parquet", "arrow", "csv" or "jsonl": by the first bytes, else by the suffix of `name`. Raises BadInput, IoFault."""
    try:
        if not path.is_file():
            raise BadInput(f"{name} is no regular file", HINT)
        with path.open("rb") as stream:
            head = stream.read(8)
    except OSError as fault:
        raise io_fault(fault, f"{name} could not be read") from fault
    for magic, form in ((b"PAR1", "parquet"), (b"ARROW1", "arrow")):
        if head.startswith(magic):
            return form
    if head.startswith(b"PARE"):
        raise BadInput(f"{name} is an encrypted Parquet file", "write it without encryption")
    if head.startswith(b"FEA1"):
        raise BadInput(f"{name} is a Feather file of version 1", "write it again as version 2 (Arrow IPC)")
    if not head:
        raise BadInput(f"{name} is an empty file: it holds not even the names of columns", HINT)
    form = format_of_name(name)
    if form == "arrow" and head.startswith(_CONTINUATION):
        raise BadInput(
            f"{name} is a stream of Arrow's, which has no index of its batches",
            "write it as a file (pyarrow.ipc.new_file), or as Parquet",
        )
    if form in ("parquet", "arrow"):
        raise BadInput(
            f"{name} is no {form.capitalize()} file, whatever its name says", "make it again from its source"
        )
    if not form:
        raise BadInput(f"{name} is no data file that mlpack reads", HINT)
    return form
