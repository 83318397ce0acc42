"""CSV to Parquet in bounded memory, cell by cell right or refused (RFC 4180, plain and compressed).

Cells are cut by Arrow's reader, which refuses rows with a cell too few or too many: Polars 2.1 fills a short row, such as
a cut-off file ends with, with nulls. Cells are read as numbers by Polars.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from mlpack_edge.batch.counted import counted
from mlpack_edge.batch.inputs.cells import Cells, read_as
from mlpack_edge.batch.inputs.compressed import open_text
from mlpack_edge.batch.inputs.damage import as_bad_input
from mlpack_edge.batch.inputs.schemas import TEXT
from mlpack_edge.batch.inputs.staging import write_rows
from mlpack_edge.core.errors import BadInput

_BLOCK, _BLOCK_OF_COLUMN = 1 << 20, 1 << 13  # few rows a block cost more than the memory of a larger one
_DELIMITERS = (",", "\t", ";", "|")
_HINT = "mend the file, or write it again with every cell quoted that holds a delimiter, a quote or a line end"


def stage_csv(name: str, path: Path, target: Path, wanted: Mapping[str, str]) -> list[str]:
    """Write the CSV file as Parquet `target`; what the user should know of it.

    Columns that the model wants as text are text, those that it wants as numbers are int64 where all cells are whole, else
    float64 (bool where all are true or false); others are numbers only where no cell loses a digit by it.
    Raises BadInput, naming the input, column and value, and IoFault.
    """
    columns, delimiter = _header(name, path)
    cells = _looked_at(name, path, columns, delimiter, wanted, first_only=True)
    try:
        kinds = _kinds(name, cells)
        _write(name, path, target, kinds, delimiter, wanted)
    except (
        _Widen,
        BadInput,
    ):  # what the first cells say does not hold for all: look at all, then at most one more pass
        cells = _looked_at(name, path, columns, delimiter, wanted, first_only=False)
        kinds = _kinds(name, cells)
        _write(name, path, target, kinds, delimiter, wanted)
    return [
        f"{name}: {counted(seen.missing, 'cell')} of column {column!r} {'says' if seen.missing == 1 else 'say'} that the number is missing"
        for column, seen in cells.items()
        if seen.missing and seen.wanted
    ]


class _Widen(Exception):
    """A cell does not fit the type that the first cells suggest."""


def _kinds(name: str, cells: Mapping[str, Cells]) -> dict[str, Any]:
    return {column: seen.kind(name, column) for column, seen in cells.items()}


def _write(
    name: str, path: Path, target: Path, kinds: Mapping[str, Any], delimiter: str, wanted: Mapping[str, str]
) -> None:
    schema = pa.schema(list(kinds.items()))

    def converted() -> Iterator[Any]:
        for batch in _batches(name, path, list(kinds), delimiter):
            arrays = []
            for column, kind in kinds.items():
                made = read_as(batch.column(column), kind, wanted.get(column, ""))
                if made is None:
                    raise _Widen
                arrays.append(made)
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    write_rows(target, schema, converted())


def _looked_at(
    name: str, path: Path, columns: list[str], delimiter: str, wanted: Mapping[str, str], *, first_only: bool
) -> dict[str, Cells]:
    """What the cells of the first block, or of all, can be read as."""
    cells = {column: Cells(wanted.get(column, "")) for column in columns}
    row = 0
    for batch in _batches(name, path, columns, delimiter):
        for column, seen in cells.items():
            seen.see(batch.column(column), row)
        row += batch.num_rows
        if first_only:
            break
    return cells


def _header(name: str, path: Path) -> tuple[list[str], str]:
    """Column names and the delimiter. Raises BadInput where there are none, or two of a name."""
    with _faults(name), open_text(path) as stream:
        start = stream.read(_BLOCK)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadInput(f"{name} is UTF-16, not UTF-8", "write it again as UTF-8")
    lines = start.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n").splitlines()
    if not lines:
        raise BadInput(f"{name} is an empty file: it holds not even the names of columns", "write a header line")
    first = lines[0].decode("utf-8", "replace")
    delimiter = next((mark for mark in _DELIMITERS if mark in first), ",")
    with _faults(name), open_text(path) as stream, _opened(stream, delimiter, None) as reader:
        columns: list[str] = reader.schema.names
    for column in columns:
        if columns.count(column) > 1:
            raise BadInput(f"{name}: two columns are named {column!r}", "rename one of them")
    return columns, delimiter


def _batches(name: str, path: Path, columns: list[str], delimiter: str) -> Iterator[Any]:
    """All cells as text; an empty cell that is not quoted is null."""
    with _faults(name), open_text(path) as stream:
        tap = _Tap(stream)
        with _opened(pa.PythonFile(tap, mode="r"), delimiter, columns) as reader:
            yield from reader
    if tap.quotes % 2:
        raise BadInput(f"{name}: a quote is opened and never closed, or the file is cut off", _HINT)


def _opened(source: Any, delimiter: str, columns: list[str] | None) -> Any:
    # A line of a single column may well be empty: it is a row then.
    several = columns is None or len(columns) > 1
    return csv.open_csv(
        source,
        read_options=csv.ReadOptions(
            use_threads=False, block_size=max(_BLOCK, min(len(columns or ()) * _BLOCK_OF_COLUMN, 16 * _BLOCK))
        ),
        parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=several),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(columns or (), TEXT), null_values=[""], strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )  # fmt: skip


class _Tap(io.RawIOBase):
    """Counts the quotes that pass. Arrow takes the end of the file for a closing quote."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self.quotes = 0
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        block: bytes = self._stream.read(None if size < 0 else size)
        self.quotes += block.count(b'"')
        return block


@contextmanager
def _faults(name: str) -> Iterator[None]:
    try:
        with as_bad_input(f"{name} cannot be read as CSV", _HINT):
            yield
    except BadInput as fault:
        if "invalid UTF8" not in fault.why:
            raise
        raise BadInput(f"{name} is not UTF-8", "write it again as UTF-8", why=fault.why) from fault
