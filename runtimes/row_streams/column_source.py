"""Rows of Parquet, Arrow and CSV files, read by Polars' streaming engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlpack_edge.core.errors import BadInput
from mlpack_edge.runtimes.data import HINT, Table, column_array, damaged


class StoredColumns:
    """A file of columns as `Source`.

    What is true of a column only as a whole is found by one pass at opening: the types of a CSV file, and whether whole
    numbers or truth values are missing anywhere, which makes floats or objects of all of them (see data.read_table).
    """

    def __init__(self, path: Path, head: bytes) -> None:
        self.path = path
        with _faults(path):
            self._scan = _scanned(path, head)
            self.names: tuple[str, ...] = tuple(self._scan.collect_schema())
        self._wanted: tuple[str, ...] = ()
        self.rows, self.head = 0, Table(path, {}, {})
        self._holes: Mapping[str, bool] = {}

    def choose(self, wanted: Sequence[str]) -> None:
        """Read the columns named `wanted` and no others. Raises BadInput where one is neither number nor text."""
        import polars

        self._wanted = tuple(wanted)
        schema = self._scan.collect_schema()
        counted = [name for name in wanted if schema[name].is_integer() or schema[name] == polars.Boolean]
        with _faults(self.path):
            missing = [polars.col(name).null_count().alias(f"{place}") for place, name in enumerate(counted)]
            facts = self._scan.select(polars.len().alias("rows"), *missing).collect(engine="streaming").row(0)
        self.rows = int(facts[0])
        self._holes = {name: count > 0 for name, count in zip(counted, facts[1:], strict=True)}
        self.head = self._table(polars.DataFrame(schema={name: schema[name] for name in wanted}), 0)

    def pieces(self, rows: int) -> Iterator[Table]:
        """Tables of about `rows` rows."""
        start = 0
        batches = self._scan.select(self._wanted).collect_batches(chunk_size=rows, maintain_order=True, lazy=True)
        while True:
            with _faults(self.path):
                frame = next(batches, None)
            if frame is None:
                return
            if frame.height:
                yield self._table(frame, start)
            start += frame.height

    def _table(self, frame: Any, start: int) -> Table:
        columns = {
            name: column_array(self.path, frame[name], self._holes.get(name))
            for name in self._wanted
        }  # fmt: skip
        return Table(self.path, columns, {}, start)


def _scanned(path: Path, head: bytes) -> Any:
    import polars

    if head.startswith(b"PAR1"):
        return polars.scan_parquet(path, glob=False, hive_partitioning=False)
    if head.startswith(b"ARROW1"):
        return polars.scan_ipc(path, glob=False, hive_partitioning=False)
    if b"\0" in head:
        raise BadInput(f"{path} is no data file that mlpack reads", HINT)
    schema = polars.scan_csv(path, infer_schema_length=None, glob=False).collect_schema()
    return polars.scan_csv(path, schema=schema, glob=False)


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    import polars

    try:
        yield
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError) as fault:
        raise damaged(path, fault) from fault
