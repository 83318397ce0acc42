"""Rows of Parquet, Arrow and CSV files, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlpack_edge.core.errors import BadInput
from mlpack_edge.runtimes.data import HINT, Table, column_array, damaged
from mlpack_edge.runtimes.row_streams.column_files import ArrowFile, ColumnFile, CsvFile, ParquetFile

#: Cells that are read together, and the most rows.
_CELLS, _MOST_ROWS = 1 << 18, 1 << 16


class StoredColumns:
    """A file of columns as `Source`.

    What is true of a column only as a whole is found at opening: the types of a CSV file, and whether whole numbers or
    truth values are missing anywhere, which makes floats or objects of all of them (see data.read_table).
    """

    def __init__(self, path: Path, head: bytes) -> None:
        self.path = path
        with _faults(path):
            self._file = _opened(path, head)
        self.names = self._file.names
        self.rows, self.head = 0, Table(path, {}, {})
        self._wanted: tuple[str, ...] = ()
        self._holes: Mapping[str, bool] = {}

    def choose(self, wanted: Sequence[str]) -> None:
        """Read the columns named `wanted` and no others. Raises BadInput where one is neither number nor text."""
        import polars

        self._wanted = tuple(wanted)
        with _faults(self.path):
            empty = self._file.empty(self._wanted)
            whole = [name for name in wanted if empty[name].dtype.is_integer() or empty[name].dtype == polars.Boolean]
            self.rows, missing = self._file.missing(whole)
        self._holes = {name: missing[name] > 0 for name in whole}
        self.head = self._table(empty, 0)

    def pieces(self, rows: int) -> Iterator[Table]:
        """Tables of as many rows as are read together, whatever `rows` is."""
        start = 0
        size = max(1, min(_MOST_ROWS, _CELLS // max(len(self._wanted), 1)))
        frames = self._file.frames(self._wanted, size)
        while True:
            with _faults(self.path):
                frame = next(frames, None)
            if frame is None:
                return
            if frame.height:
                yield self._table(frame, start)
            start += frame.height

    def _table(self, frame: Any, start: int) -> Table:
        made = {name: column_array(self.path, frame[name], self._holes.get(name)) for name in self._wanted}
        return Table(self.path, made, {}, start)


def _opened(path: Path, head: bytes) -> ColumnFile:
    if head.startswith(b"PAR1"):
        return ParquetFile(path)
    if head.startswith(b"ARROW1"):
        return ArrowFile(path)
    if b"\0" in head:
        raise BadInput(f"{path} is no data file that mlpack reads", HINT)
    return CsvFile(path)


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    import polars
    import pyarrow as pa

    try:
        yield
    except (
        polars.exceptions.PolarsError, polars.exceptions.PanicException, pa.ArrowException, OSError, NotImplementedError,
    ) as fault:  # fmt: skip
        raise damaged(path, fault) from fault
