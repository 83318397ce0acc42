"""The table of a shard as Parquet files, whose bytes depend on the plan alone.

Rows are gathered to row groups that end at fixed numbers of input rows, never where a batch happens to end. Measured on a
million rows of a source, a row number, a label and two probabilities, us a row of one core and bytes a row:
pyarrow's defaults .18 and 15.4; as written here .05 and 8.4; without compression .048 and 8.6; zstd .067 and 7.3.
Dictionaries are for texts: for floats they cost four times the writing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow
import pyarrow.parquet

from mlpack_edge.batch.facts import Part
from mlpack_edge.batch.partitioning import MOST, folder_name, groups
from mlpack_edge.core.errors import BadInput

PART = "part.parquet"
#: Bytes that the rows of a row group may have, and the bytes that a text is taken to have.
_GROUP_BYTES, _TEXT_BYTES = 32 << 20, 32
_MOST_ROWS, _FEWEST_ROWS = 1 << 18, 1 << 12


def row_width(schema: pyarrow.Schema) -> int:
    """About how many bytes a row of these columns takes in memory."""
    return sum(_width(field.type) for field in schema)


def group_rows(schema: pyarrow.Schema) -> int:
    """Input rows of a row group: a power of two, a function of the columns alone."""
    rows = _MOST_ROWS
    while rows > _FEWEST_ROWS and rows * row_width(schema) > _GROUP_BYTES:
        rows //= 2
    return rows


class ShardWriter:
    """Takes the accepted rows of a shard in order and writes them below `folder`, as one file or, with `partition`, one file
    for each value of that column in a folder of its own.

    schema: of the table, the partition's column included. Use as a context; `parts` is complete after `close`.
    """

    def __init__(self, folder: Path, schema: pyarrow.Schema, partition: str = "") -> None:
        self.parts: tuple[Part, ...] = ()
        self._folder = folder
        self._schema = schema
        self._partition = partition
        self._group = group_rows(schema)
        self._rows = 0  # written
        self._seen = 0  # input rows since the last row group ended
        self._held: list[pyarrow.RecordBatch] = []
        self._runs = _SortedRuns(folder / ".runs", partition) if partition else None
        self._file = None if partition else _open(folder / PART, schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._runs is not None:
            self._runs.remove()

    def add(self, batch: pyarrow.RecordBatch, accepted: Any) -> None:
        """batch: table columns for input rows; accepted: bool `[rows]` of those that are written, None for all."""
        start = 0
        while start < batch.num_rows:
            rows = min(batch.num_rows - start, self._group - self._seen)
            piece = batch.slice(start, rows)
            if accepted is not None:
                piece = piece.filter(pyarrow.array(accepted[start : start + rows]))
            self._held.append(piece)
            self._seen += rows
            start += rows
            if self._seen == self._group:
                self._flush(last=False)

    def close(self) -> None:
        """Write what is left; `parts` then names what was written."""
        if self._held:
            self._flush(last=True)
        if self._runs is not None:
            self.parts = tuple(self._write_partitions(self._runs))
            self._runs.remove()
            return
        assert self._file is not None
        self._file.close()
        self._file = None
        self.parts = (part_of(self._folder, PART, self._rows),)

    def _flush(self, last: bool) -> None:
        # One chunk a column: where pages end depends on where chunks end.
        table = pyarrow.Table.from_batches(self._held, self._schema).combine_chunks()
        self._held, self._seen = [], 0
        self._rows += table.num_rows
        if not table.num_rows:
            return
        if self._runs is not None:
            self._runs.add(table, last)
        else:
            assert self._file is not None
            self._file.write_table(table, row_group_size=self._group)

    def _write_partitions(self, runs: _SortedRuns) -> Iterator[Part]:
        """One file after the other, so that one is open at a time."""
        schema = self._schema.remove(self._schema.get_field_index(self._partition))
        for value, pieces in runs.by_value():
            path = f"{folder_name(self._partition, value)}/{PART}"
            (self._folder / path).parent.mkdir()
            with _open(self._folder / path, schema) as file:
                for table in pieces:
                    file.write_table(table.drop_columns([self._partition]), row_group_size=self._group)
            yield part_of(self._folder, path, sum(table.num_rows for table in pieces))


class _SortedRuns:
    """Row groups sorted by the partition's value; all but the last of a shard wait in files, mapped when they are read."""

    def __init__(self, folder: Path, partition: str) -> None:
        self._folder = folder
        self._partition = partition
        self._tables: list[pyarrow.Table] = []
        self._places: dict[Any, list[tuple[int, int, int]]] = {}  # by value: run, first row, rows

    def add(self, table: pyarrow.Table, last: bool) -> None:
        order, found = groups(table.column(self._partition))
        table = table.take(pyarrow.array(order))
        run = len(self._tables)
        for value, start, rows in found:
            self._places.setdefault(value, []).append((run, start, rows))
        if len(self._places) > MOST:
            raise BadInput(
                f"--partition-by {self._partition}: one shard has more than {MOST} values in it",
                "partition by a column with fewer values, or keep it as a column with --keep",
            )
        self._tables.append(table if last and not run else self._parked(table, run))

    def by_value(self) -> Iterator[tuple[Any, list[pyarrow.Table]]]:
        """Values in the order of their folders' names, each with its rows in order."""
        for value in sorted(self._places, key=lambda value: folder_name(self._partition, value)):
            yield value, [self._tables[run].slice(start, rows) for run, start, rows in self._places[value]]

    def remove(self) -> None:
        self._tables.clear()
        for path in self._folder.glob("*"):
            path.unlink()
        if self._folder.exists():
            self._folder.rmdir()

    def _parked(self, table: pyarrow.Table, run: int) -> pyarrow.Table:
        self._folder.mkdir(exist_ok=True)
        path = str(self._folder / f"{run}.arrow")
        with pyarrow.OSFile(path, "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        return pyarrow.ipc.open_file(pyarrow.memory_map(path)).read_all()


def _open(path: Path, schema: pyarrow.Schema) -> pyarrow.parquet.ParquetWriter:
    names = {field.name: field.type for field in schema}
    integers = {name for name, kind in names.items() if pyarrow.types.is_int32(kind) or pyarrow.types.is_int64(kind)}
    texts = [name for name, kind in names.items() if _is_text(kind)]
    return pyarrow.parquet.ParquetWriter(
        path,
        schema,
        compression="snappy",
        use_dictionary=texts or False,
        column_encoding=dict.fromkeys(integers, "DELTA_BINARY_PACKED") or None,
        write_statistics=[name for name in (schema.names[0], "source_row") if name in names],
    )


def part_of(folder: Path, path: str, rows: int) -> Part:
    """A file of a shard, with the digest of its bytes as they lie there."""
    with (folder / path).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return Part(path, rows, stream.tell(), digest)


def _is_text(kind: pyarrow.DataType) -> bool:
    kind = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    types = pyarrow.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _width(kind: pyarrow.DataType) -> int:
    types = pyarrow.types
    if types.is_fixed_size_list(kind):
        return int(kind.list_size) * _width(kind.value_type)
    if types.is_dictionary(kind):
        return 4
    if types.is_struct(kind):
        return sum(_width(kind.field(number).type) for number in range(kind.num_fields))
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:  # texts, lists
        return _TEXT_BYTES
