"""Parquet, Arrow and CSV files as frames of a few rows each. Parquet and Arrow are read by pyarrow, which holds little more
than a batch (Polars 2.1 held a whole row group of 960 MB); CSV by Polars, whose types `data.read_table` has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

_BUFFER, _COUNTED = 1 << 20, 1 << 16


class ColumnFile(Protocol):
    """names: of all columns, in their order. All raise what the reading library raises on damage."""

    names: tuple[str, ...]

    def empty(self, names: Sequence[str]) -> Any:
        """A polars DataFrame of these columns and no rows."""
        ...

    def missing(self, names: Sequence[str]) -> tuple[int, Mapping[str, int]]:
        """(rows of the file, empty cells of these columns)."""
        ...

    def frames(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        """polars DataFrames of these columns, in the order of the file, of about `rows` rows."""
        ...


class ParquetFile:
    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._path = path
        with pq.ParquetFile(path) as file:
            self._schema = file.schema_arrow
            self._rows = file.metadata.num_rows
        self.names: tuple[str, ...] = tuple(self._schema.names)

    def empty(self, names: Sequence[str]) -> Any:
        return _empty(self._schema, names)

    def missing(self, names: Sequence[str]) -> tuple[int, Mapping[str, int]]:
        """From the footer, where the writer counted."""
        import pyarrow.parquet as pq

        found = dict.fromkeys(names, 0)
        unknown: set[str] = set()
        with pq.ParquetFile(self._path) as file:
            groups = [file.metadata.row_group(place) for place in range(file.metadata.num_row_groups)]
        for column in (group.column(place) for group in groups for place in range(group.num_columns)):
            name, statistics = column.path_in_schema, column.statistics
            if name in found and statistics is not None and statistics.has_null_count:
                found[name] += statistics.null_count
            elif name in found:
                unknown.add(name)
        return self._rows, found | _counted(self.frames(sorted(unknown), _COUNTED) if unknown else ())

    def frames(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        import polars
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._path, buffer_size=_BUFFER, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size=rows, columns=list(names), use_threads=False):
                yield polars.from_arrow(batch.select(list(names)))


class ArrowFile:
    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self._path = path
        with pa.OSFile(str(path)) as stream, pa.ipc.open_file(stream) as file:
            self._schema = file.schema
            self._batches = file.num_record_batches
        self.names: tuple[str, ...] = tuple(self._schema.names)

    def empty(self, names: Sequence[str]) -> Any:
        return _empty(self._schema, names)

    def missing(self, names: Sequence[str]) -> tuple[int, Mapping[str, int]]:
        rows, found = 0, dict.fromkeys(names, 0)
        for batch in self._read(list(names) or self.names[:1]):
            rows += batch.num_rows
            for name in names:
                found[name] += batch.column(name).null_count
        return rows, found

    def frames(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        import polars

        for batch in self._read(names):
            for start in range(0, batch.num_rows, rows):
                yield polars.from_arrow(batch.select(list(names)).slice(start, rows))

    def _read(self, names: Sequence[str]) -> Iterator[Any]:
        import pyarrow as pa

        options = pa.ipc.IpcReadOptions(included_fields=[self.names.index(name) for name in names], use_threads=False)
        with pa.OSFile(str(self._path)) as stream, pa.ipc.open_file(stream, options=options) as file:
            for place in range(self._batches):
                batch = file.get_batch(place)
                batch.validate(full=True)  # offsets that point beyond the file would be followed
                yield batch


class CsvFile:
    """The types are those that all cells agree on: one pass finds them."""

    def __init__(self, path: Path) -> None:
        import polars

        self._schema = polars.scan_csv(path, infer_schema_length=None, glob=False).collect_schema()
        self._scan = polars.scan_csv(path, schema=self._schema, glob=False)
        self.names: tuple[str, ...] = tuple(self._schema)

    def empty(self, names: Sequence[str]) -> Any:
        import polars

        return polars.DataFrame(schema={name: self._schema[name] for name in names})

    def missing(self, names: Sequence[str]) -> tuple[int, Mapping[str, int]]:
        import polars

        counts = [polars.col(name).null_count().alias(f"{place}") for place, name in enumerate(names)]
        found = self._scan.select(polars.len().alias("rows"), *counts).collect(engine="streaming").row(0)
        return found[0], dict(zip(names, found[1:], strict=True))

    def frames(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        yield from self._scan.select(names).collect_batches(chunk_size=rows, maintain_order=True, lazy=True)


def _empty(schema: Any, names: Sequence[str]) -> Any:
    import polars
    import pyarrow as pa

    return polars.from_arrow(pa.schema([schema.field(name) for name in names]).empty_table())


def _counted(frames: Iterable[Any]) -> dict[str, int]:
    """Empty cells by column."""
    found: dict[str, int] = {}
    for frame in frames:
        for name in frame.columns:
            found[name] = found.get(name, 0) + frame[name].null_count()
    return found
