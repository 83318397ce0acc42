"""The rows of a data file as feeds of a model, batch by batch, as often as wanted."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.data import NO_ROWS, Table, columns_wanted, feeds_from_table
from mlpack_edge.runtimes.row_streams.array_source import Source, StoredArray, StoredArrays, members_of
from mlpack_edge.runtimes.row_streams.column_source import StoredColumns
from mlpack_edge.runtimes.row_streams.cutting import Arrays, by_row, check_shapes, count, every_nth, recut
from mlpack_edge.runtimes.row_streams.head import NUMPY, ZIP, first_bytes

Array = NDArray[Any]
#: Of a batch whose size nobody gave: bytes of its feeds, and the most rows.
BATCH_BYTES, MOST_ROWS = 1 << 24, 4096
_TEXT_BYTES = 64  # what a text is thought to weigh
_LABELS = "\0labels"  # no input is called so


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a stream. labels: `[rows]` or `[rows, ...]` as the file has them, None without. start: which row of the
    stream the first one is."""

    feeds: dict[str, Array]
    labels: Array | None
    start: int


@dataclass(frozen=True, slots=True)
class Part:
    """Of each `nth` rows the last one (held), or the others."""

    nth: int
    held: bool

    def rows(self, of: int) -> int:
        return of // self.nth if self.held else of - of // self.nth

    def place(self, row: int) -> int:
        if self.held:
            return row * self.nth + self.nth - 1
        return row // (self.nth - 1) * self.nth + row % (self.nth - 1)


@dataclass(frozen=True, slots=True)
class RowStream:
    """Rows that can be read any number of times. rows: how many `batches` gives. warnings: what the user should know.

    fixed: the batch that the model is fixed to; pieces have that many rows then, and none is shorter.
    cut: the inputs that have a part for each row; the others go whole with every batch.
    """

    path: Path
    signature: Signature
    label: str | None
    cut: frozenset[str]
    fixed: int | None
    source: Source
    part: Part | None = None

    @property
    def rows(self) -> int:
        found = self._found
        return found if self.fixed is None else found - found % self.fixed

    @property
    def warnings(self) -> tuple[str, ...]:
        left = self._found - self.rows
        if not left:
            return ()
        rows = "the last row is" if left == 1 else f"the last {left} rows are"
        return (f"{self.path}: the model takes batches of {self.fixed}; {rows} left out",)

    @property
    def _found(self) -> int:
        return self.source.rows if self.part is None else self.part.rows(self.source.rows)

    def place(self, row: int) -> int:
        """Which row of the file (counted from 0) row `row` of the stream is."""
        return row if self.part is None else self.part.place(row)

    def take(self, nth: int, held: bool) -> RowStream:
        """A stream of every `nth` row (held), or of all the others. Raises BadInput where that is no whole batch."""
        return _checked(replace(self, part=Part(nth, held)))

    def batches(self, rows: int | None = None) -> Iterator[Batch]:
        """The rows in their order, `rows` at a time (None: as many as make BATCH_BYTES).

        Raises BadInput naming column and row where a value does not fit the model's input, and where the file is damaged.
        """
        size = self.fixed or rows or self.usual_rows
        start = 0
        for arrays in recut(self._pieces(size), self.cut | {_LABELS}, size):
            labels = arrays.pop(_LABELS, None)
            have = count(arrays, self.cut)
            if self.fixed is not None and have < self.fixed:
                return
            yield Batch(arrays, labels, start)
            start += have

    def __iter__(self) -> Iterator[dict[str, Array]]:
        """The feeds alone, in batches of the usual size."""
        return (batch.feeds for batch in self.batches())

    @property
    def usual_rows(self) -> int:
        """Rows that make about BATCH_BYTES."""
        head = feeds_from_table(_without(self.source.head, self.label)[0], self.signature)
        weights = [
            math.prod(array.shape[1:]) * (_TEXT_BYTES if array.dtype.kind == "O" else array.dtype.itemsize)
            for name, array in head.items()
            if name in self.cut
        ]
        return max(1, min(MOST_ROWS, BATCH_BYTES // max(sum(weights), 1)))

    def _pieces(self, size: int) -> Iterator[Arrays]:
        for table in self.source.pieces(size):
            kept, labels = _without(table, self.label)
            feeds = feeds_from_table(kept, self.signature)
            if labels is not None:
                feeds[_LABELS] = labels
            cut = self.cut | {_LABELS}
            yield feeds if self.part is None else every_nth(feeds, cut, table.start, self.part.nth, self.part.held)


def open_rows(path: Path, signature: Signature, label: str | None = None) -> RowStream:
    """Open .parquet, .csv, .arrow/.feather, .npy or .npz, told apart by content; they mean what they mean to
    `data.read_table` and `data.feeds_from_table`.

    label: the column, or the array of an .npz file, that holds what the model should say; it is no part of the feeds.
    Raises BadInput where the file is none of these, damaged, without rows, does not hold what the model takes, or has
    fewer rows than the batch that the model is fixed to; IoFault where it cannot be read.
    """
    head = first_bytes(path)
    cut, fixed = by_row(signature)
    if label is not None and _is_input(label, signature):
        raise BadInput(
            f"{label!r} is an input of the model, and cannot be its label too", "name the column of the truth"
        )
    source = _source(path, head, signature, label, cut)
    if source.rows == 0:
        raise BadInput(f"{path} holds no rows", NO_ROWS)
    check_shapes(feeds_from_table(_without(source.head, label)[0], signature), signature, cut, str(path))
    return _checked(RowStream(path, signature, label, cut, fixed, source))


def _source(path: Path, head: bytes, signature: Signature, label: str | None, cut: frozenset[str]) -> Source:
    if head.startswith(NUMPY):
        if label is not None:
            raise BadInput(
                f"{path} is one array without names: it has no {label!r}",
                "save the inputs and the labels as arrays of one .npz file",
            )
        return StoredArrays(path, {"": StoredArray(path)}, frozenset({""}) if cut else cut)
    if head.startswith(ZIP):
        arrays = members_of(path)
        wanted = [spec.name for spec in signature.inputs] + ([label] if label else [])
        for name in wanted:
            _require(path, name, arrays, "array")
        return StoredArrays(path, {name: arrays[name] for name in wanted}, cut | {label} if label else cut)
    columns = StoredColumns(path, head)
    _require(path, label, columns.names, "column")
    wanted = columns_wanted(path, [name for name in columns.names if name != label], signature)
    columns.choose([*wanted, label] if label else wanted)
    return columns


def _require(path: Path, name: str | None, names: Collection[str], what: str) -> None:
    if name is not None and name not in names:
        said = ", ".join(list(names)[:20])
        raise BadInput(
            f"{path} has no {what} {name!r}; it has {said}",
            f"name one that {path.name} has, or pass the file that has it",
        )


def _is_input(label: str, signature: Signature) -> bool:
    named = [column.name for column in signature.columns] or [spec.name for spec in signature.inputs]
    return label in named


def _without(table: Table, label: str | None) -> tuple[Table, Array | None]:
    """The table without its labels, and the labels."""
    if label is None:
        return table, None
    columns = {name: array for name, array in table.columns.items() if name != label}
    arrays = {name: array for name, array in table.arrays.items() if name != label}
    return replace(table, columns=columns, arrays=arrays), {**table.columns, **table.arrays}[label]


def _checked(stream: RowStream) -> RowStream:
    if stream.rows == 0:
        found, part = stream._found, stream.part
        if found == 0 and part is not None and part.held:
            held = f"{stream.source.rows} row{'' if stream.source.rows == 1 else 's'}"
            raise BadInput(
                f"{stream.path} holds {held}: of each {part.nth} one is held out, and there is none",
                f"give at least {part.nth} rows, or rows for each purpose in files of their own",
            )
        raise BadInput(
            f"{stream.path} gives {found} row{'' if found == 1 else 's'}"
            + (f", the model takes batches of {stream.fixed}" if stream.fixed else ""),
            "give more rows"
            + (", or convert the model with an open batch (--shape x=batchx...)" if stream.fixed else ""),
        )
    return stream
