"""Data of any format opened as batches of Arrow columns. Runs where foreign files are opened: in a child process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from mlpack_edge.batch.inputs.discover import Found, discover
from mlpack_edge.batch.inputs.fingerprint import fingerprint_of
from mlpack_edge.batch.inputs.reader import ShardReader
from mlpack_edge.batch.inputs.sources import database_table, is_url, matches
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.plan import InputFile, cut_shards
from mlpack_edge.batch.profiling.array_files import is_array_file, stage_arrays
from mlpack_edge.batch.shard_writer import row_width
from mlpack_edge.batch.unchanged import source_file
from mlpack_edge.core.artifact import sha256_of_file
from mlpack_edge.core.signature import Signature

Json = dict[str, Any]
Stage = Callable[[str], None]

#: Rows read at once, and the bytes they may take.
_ROWS, _BYTES = 1 << 16, 24 << 20


@dataclass(frozen=True, slots=True)
class Data:
    """named: what the user named, for what was staged. schema: of all columns."""

    found: Found
    named: Mapping[str, str]

    @property
    def schema(self) -> pa.Schema:
        return self.found.schema

    @property
    def rows(self) -> int:
        return sum(item.rows for item in self.found.files)

    def lineage(self) -> list[Json]:
        """Each input with its digest and rows: no folder, no host, no clock."""
        return [
            {"name": Path(self._name(item)).name, "sha256": self._digest(item), "rows": item.rows}
            for item in self.found.files
        ]

    @property
    def written(self) -> list[int]:
        """When each of the user's files was written, ns since 1970; nothing of databases, queries and URLs."""
        return [item.fingerprint.mtime_ns for item in map(self._user, self.found.files) if source_file(item)]

    def first(self, column: str) -> pa.Array | None:
        """The first values of a column; None where there is no such column, or no row."""
        if column not in self.schema.names:
            return None
        batch = next(self.batches([column], (), 1, lambda text: None), None)
        return None if batch is None else batch.column(0)

    def batches(self, columns: Collection[str], coded: Collection[str], block_rows: int, stage: Stage) -> Iterator[Any]:
        """`pyarrow.RecordBatch`es of all rows in order. They begin and end where batches of scoring could: a whole number of
        blocks after the start of a shard."""
        names = [name for name in self.schema.names if name in set(columns)]
        width = row_width(pa.schema([self.schema.field(name) for name in names]))
        size = max(1, min(_ROWS, _BYTES // max(1, width)) // block_rows) * block_rows
        done = 0
        for file, groups in zip(self.found.files, self.found.groups, strict=True):
            reader = ShardReader(file, self.schema, names, [name for name in coded if name in names])
            for shard in cut_shards([groups]):
                for batch in reader.read(shard, size):
                    stage(f"{done:,} of {self.rows:,} rows")
                    yield batch
                    done += batch.num_rows
            reader.close()

    def _user(self, item: InputFile) -> InputFile:
        """Arrays as the file that they were staged from."""
        if item.name not in self.named:
            return item
        return replace(item, fingerprint=fingerprint_of(Path(self.named[item.name])))

    def _name(self, item: InputFile) -> str:
        return self.named.get(item.name, item.name)

    def _digest(self, item: InputFile) -> str:
        path = Path(self._name(item))
        return sha256_of_file(path) if path.is_file() and not item.elsewhere else item.fingerprint.digest


def open_data(
    names: Sequence[str], staging: Path, stage: Stage, wanted: Mapping[str, str], inputs: Mapping[str, Sequence[str]]
) -> Data:
    """names: files, globs, `FILE.duckdb::TABLE`, URLs. wanted, inputs: as `discover` and `stage_arrays` take them.

    staging: an empty folder. Raises BadInput, MissingExtra or IoFault naming the input.
    """
    stage("looking at the data")
    staging.mkdir(exist_ok=True)
    paths: list[str] = []
    named: dict[str, str] = {}
    for name in names:
        for path in [name] if is_url(name) or database_table(name) else matches([name]):
            if is_url(path) or database_table(path) or not is_array_file(Path(path)):
                paths.append(path)
                continue
            target = staging / f"{len(named)}.{Path(path).name[:80]}.arrow"
            stage_arrays(Path(path), target, inputs)
            named[str(target)] = path
            paths.append(str(target))
    job = Job("", tuple(paths), "")
    found = discover(job, staging, stage, wanted)
    return Data(replace(found, notes=tuple(_renamed(note, named) for note in found.notes)), named)


def columns_of_inputs(signature: Signature) -> dict[str, list[str]]:
    """By input the names of its columns in order, as `stage_arrays` takes them."""
    ordered = sorted(signature.columns, key=lambda column: column.index)
    return {spec.name: [column.name for column in ordered if column.input == spec.name] for spec in signature.inputs}


def _renamed(note: str, named: Mapping[str, str]) -> str:
    for staged, path in named.items():
        note = note.replace(staged, path)
    return note
