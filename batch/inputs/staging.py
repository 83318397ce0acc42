"""Inputs that are no Parquet and no Arrow are written as Parquet first, once a run: beside each file stands what it is of."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlpack_edge.batch.inputs.schemas import TEXT
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault

Json = dict[str, Any]
#: Changes when the same source would be staged as other rows, types or row groups.
FORM = 2
_ROWS, _FEWEST_ROWS, _CELLS = 1 << 17, 1 << 10, 1 << 22


def group_rows(schema: Any) -> int:
    """Rows of a row group: 2**17, fewer for many columns, so that a group stays small in memory; by the schema alone."""
    rows = _ROWS
    while rows > _FEWEST_ROWS and rows * len(schema) > _CELLS:
        rows //= 2
    return rows


def write_rows(path: Path, schema: Any, batches: Iterator[Any]) -> None:
    """Write `pyarrow.RecordBatch`es as Parquet. The bytes follow from the rows, however they are cut into batches.

    zstd at level 1 is as fast here as none. Dictionaries for text alone: of numbers they cost twice the whole time.
    Raises IoFault; what `batches` raises passes through, and the file is not there then.
    """
    rows = group_rows(schema)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = [field.name for field in schema if field.type == TEXT]
    try:
        with pq.ParquetWriter(
            draft, schema, compression="zstd", compression_level=1, use_dictionary=text or False,
            write_page_checksum=True, store_schema=True,
        ) as writer:  # fmt: skip
            for table in _tables(schema, batches, rows):
                writer.write_table(table, row_group_size=rows)
        draft.replace(path)
    except pa.ArrowNotImplementedError as fault:
        raise BadInput(
            "a column has a type that cannot be staged as Parquet", "leave it out", why=str(fault)
        ) from fault
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be written") from fault
    finally:
        draft.unlink(missing_ok=True)


def _tables(schema: Any, batches: Iterator[Any], rows: int) -> Iterator[Any]:
    """Tables of exactly `rows` rows, and what is left."""
    held: list[Any] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        while count >= rows:
            table = pa.Table.from_batches(held, schema)
            yield table.slice(0, rows).combine_chunks()
            held, count = table.slice(rows).to_batches(), count - rows
    if count:
        yield pa.Table.from_batches(held, schema).combine_chunks()


class Staging:
    """The folder of staged files, of one run at a time: what a killed process left half written is removed; with `fresh`
    everything in it is."""

    def __init__(self, folder: Path, fresh: bool = False) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob("*" if fresh else ".*"):
                if left.is_dir():
                    shutil.rmtree(left)
                else:
                    left.unlink()
        except OSError as fault:
            raise io_fault(fault, f"{folder} could not be prepared") from fault

    def path_of(self, name: str, suffix: str = ".parquet") -> Path:
        """Where the input of that name is staged."""
        return self.folder / (hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:24] + suffix)

    def reused(
        self, name: str, source: Json, make: Callable[[Path], Json], suffix: str = ".parquet"
    ) -> tuple[Path, Json]:
        """The staged file of an input and what `make` said of it: from before where the source is the same, else made now.

        source: everything that decides the content. make: writes the file under the path given, whole or not at all.
        A file is synced before its record is there, which vouches for it by size and time alone. Raises IoFault.
        """
        path = self.path_of(name, suffix)
        record = path.with_name(path.name + ".json")
        source = json.loads(json.dumps({**source, "form": FORM, "pyarrow": pa.__version__}))
        known = _read(record)
        if known.get("source") == source and _same_file(path, known.get("staged")):
            return path, known["facts"]
        record.unlink(missing_ok=True)
        facts = make(path)
        now = _synced(path)
        _write(record, {"source": source, "facts": facts, "staged": [now.st_size, now.st_mtime_ns]})
        return path, facts


def _synced(path: Path) -> os.stat_result:
    try:
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
            return os.fstat(stream.fileno())
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be brought to the disk") from fault


def _same_file(path: Path, known: Any) -> bool:
    if not path.is_file():
        return False
    now = path.stat()
    return bool(known == [now.st_size, now.st_mtime_ns])


def _read(record: Path) -> Json:
    """What stands beside a staged file; nothing where it is not there, or cut off by a loss of power."""
    try:
        known = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(record: Path, content: Json) -> None:
    draft = record.with_name(f".{record.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(json.dumps(content), encoding="utf-8")
        draft.replace(record)
    except OSError as fault:
        raise io_fault(fault, f"{record} could not be written") from fault
