"""Which inputs a job's patterns name: files, tables of databases, URLs. The standard library alone."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault

TABLE_MARK = "::"
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
_COMPRESSED = (".gz", ".zst")
#: What the name of a file says about its content, where the content itself does not.
FORMAT_OF_SUFFIX = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_MAGIC = (b"PAR1", b"ARROW1")


@dataclass(frozen=True, slots=True)
class Source:
    """One input. kind: "file" (`text` is its path), "table" (`text` is the database, `table` the name) or "url"."""

    kind: str
    text: str
    table: str = ""

    @property
    def name(self) -> str:
        """What rows of it carry as their source."""
        return f"{self.text}{TABLE_MARK}{self.table}" if self.kind == "table" else self.text


def sources(patterns: Sequence[str]) -> list[Source]:
    """The inputs that `patterns` name, in the order of the patterns, files of one pattern sorted, none twice.

    Raises BadInput where a pattern names nothing.
    """
    found: dict[str, Source] = {}
    for pattern in patterns:
        pattern = _local(pattern)
        if is_url(pattern):
            found.setdefault(pattern, Source("url", pattern))
        elif (table := database_table(pattern)) is not None:
            found.setdefault(pattern, Source("table", *table))
        else:
            for path in _files(pattern):
                found.setdefault(os.path.realpath(path), Source("file", path))
    return list(found.values())


def matches(patterns: Sequence[str]) -> list[str]:
    """The files that globs and directories name: those of one pattern sorted, none twice.

    `**` stands for any number of directories. A directory stands for all data files in it and below. Files and directories
    whose names begin with `.` or `_` (`_SUCCESS`, `_mlpack`) are found only where the pattern says so by name.
    Raises BadInput, naming the pattern, where there is none; IoFault where a directory cannot be read.
    """
    found: dict[str, str] = {}
    for pattern in patterns:
        for path in _files(_local(pattern)):
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _local(pattern: str) -> str:
    """`file:///data/x.csv` as the path it is."""
    return unquote(urlsplit(pattern).path) if pattern.startswith("file:///") else pattern


def is_url(text: str) -> bool:
    """Whether it is `protocol://...`, to be fetched with fsspec."""
    return _URL.match(text) is not None


def database_table(text: str) -> tuple[str, str] | None:
    """`FILE.duckdb::TABLE` as its two parts; None for anything else. A file that has such a name is a file."""
    database, mark, table = text.rpartition(TABLE_MARK)
    if not mark or not database or os.path.lexists(text):
        return None
    return database, table


def format_of_name(path: str) -> str:
    """The format that the suffix says, less that of a compression; "" where it says none."""
    name = Path(path.lower())
    return FORMAT_OF_SUFFIX.get(Path(name.stem).suffix if name.suffix in _COMPRESSED else name.suffix, "")


def _files(pattern: str) -> list[str]:
    """Files of one pattern, sorted."""
    if os.path.lexists(pattern):  # a name may hold brackets
        found = [pattern]
    else:
        # `Path.glob` loses how the user wrote the path, and before 3.13 follows no links.
        found = [path for path in glob.glob(pattern, recursive=True) if not _hidden(path, pattern)]  # noqa: PTH207
    paths: set[str] = set()
    for path in found:
        paths.update(_below(path) if Path(path).is_dir() else [path])
    if "**" in pattern:  # it stands for directories too, and so finds each file again from every one above it
        paths = {path for path in paths if Path(path).is_file()}
    if not paths:
        raise BadInput(
            f"no file matches the input {pattern}", "check the path; quote globs so that the shell keeps them"
        )
    return sorted(paths)


def _hidden(path: str, pattern: str) -> bool:
    """Whether a component begins with `.` or `_` and no component of the pattern asks for such a name."""
    asked = [part for part in pattern.split("/") if part.startswith((".", "_"))]
    parts = [part for part in path.split("/") if part.startswith((".", "_"))]
    return any(not any(fnmatch.fnmatchcase(part, name) for name in asked) for part in parts)


def _below(directory: str) -> Iterator[str]:
    """Data files in a directory and below, by name or content. Links are followed, each directory entered once."""

    def refuse(fault: OSError) -> None:
        raise io_fault(fault, f"{fault.filename} could not be read") from fault

    seen: set[str] = set()
    for folder, below, names in os.walk(directory, onerror=refuse, followlinks=True):
        if os.path.realpath(folder) in seen:
            below.clear()
            continue
        seen.add(os.path.realpath(folder))
        if "_delta_log" in below:
            raise BadInput(
                f"{folder} is a Delta table, whose files hold rows that were deleted too",
                "name its current files, for example those that deltalake.DeltaTable(DIR).file_uris() lists",
            )
        below[:] = sorted(name for name in below if not name.startswith((".", "_")))
        for name in names:
            path = str(Path(folder, name))
            if not name.startswith((".", "_")) and (format_of_name(name) or _has_magic(path)):
                yield path


def _has_magic(path: str) -> bool:
    if not Path(path).is_file():
        return False
    try:
        with Path(path).open("rb") as stream:
            return stream.read(6).startswith(_MAGIC)
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault
