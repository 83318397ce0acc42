"""The child's side of outputs/delta.py: one commit.

Delta has no fixed-size lists, no dictionaries, no unsigned and no half-precision numbers. Vectors become lists of the same
length, dictionaries their values, unsigned integers the next wider signed ones (uint64 int64, refused where a value does
not fit), half precision single; whatever else it does not have is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import deltalake
import deltalake.exceptions
import pyarrow
import pyarrow.parquet

from mlpack_edge.batch.outputs.duckdb_session import connected, literal_paths, plain_allocator
from mlpack_edge.batch.shard_table import SOURCE_FILE, SOURCE_ROW
from mlpack_edge.batch.sql_text import name as quoted
from mlpack_edge.batch.sql_text import text
from mlpack_edge.batch.uniqueness import repeated
from mlpack_edge.batch.watching import refuse_repeated
from mlpack_edge.core.errors import BadInput, IoFault

Json = dict[str, Any]
_ROWS = 65_536
_WIDER = {
    pyarrow.uint8(): pyarrow.int16(),
    pyarrow.uint16(): pyarrow.int32(),
    pyarrow.uint32(): pyarrow.int64(),
    pyarrow.uint64(): pyarrow.int64(),
    pyarrow.float16(): pyarrow.float32(),
    pyarrow.large_string(): pyarrow.string(),
    pyarrow.string_view(): pyarrow.string(),
    pyarrow.large_binary(): pyarrow.binary(),
}


def commit(payload: Json, stage: Callable[[str], None]) -> Json:
    """Replace the table, or add to it: rows of the inputs `drop` go in the same commit.

    Raises BadInput for a column that Delta cannot hold, CheckFailed where the key (or what the contract calls so) is not
    unique, IoFault.
    """
    stage("writing the Delta table")
    plain_allocator()
    directory = payload["directory"]
    if payload["key"] or payload["unique"]:
        _refuse_repeated(payload)
    options: Json = {"mode": "overwrite", "schema_mode": "overwrite"}
    if payload["add"]:
        options = {"mode": "append"}
        if payload["drop"]:
            options = {"mode": "overwrite", "predicate": _predicate(payload)}
    properties = deltalake.CommitProperties(custom_metadata=payload["metadata"], max_commit_retries=0)
    try:
        rows = _rows(payload)
        deltalake.write_deltalake(directory, rows, commit_properties=properties, **options)
    except (deltalake.exceptions.DeltaError, OSError) as fault:
        said = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise IoFault(
            f"deltalake could not write {directory}; the table is what it was",
            "check the disk, the permissions, and that nobody else writes to the table", why=said,
        ) from fault  # fmt: skip
    return {}


def delta_type(kind: pyarrow.DataType, column: str) -> pyarrow.DataType:
    """The Arrow type of what Delta holds for a column. Raises BadInput, naming it, where that would be something else."""
    if pyarrow.types.is_dictionary(kind):
        return delta_type(kind.value_type, column)
    if pyarrow.types.is_fixed_size_list(kind) or pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
        return pyarrow.list_(delta_type(kind.value_type, column))
    if pyarrow.types.is_timestamp(kind):
        return pyarrow.timestamp("us", kind.tz and "UTC")
    if kind in _WIDER:
        return _WIDER[kind]
    holds = (
        pyarrow.types.is_boolean, pyarrow.types.is_signed_integer, pyarrow.types.is_floating, pyarrow.types.is_string,
        pyarrow.types.is_binary, pyarrow.types.is_date32, pyarrow.types.is_decimal128,
    )  # fmt: skip
    if any(is_kind(kind) for is_kind in holds):
        return kind
    raise BadInput(f"column {column!r} is {kind}, which a Delta table cannot hold", "leave it out of --keep")


def _rows(payload: Json) -> pyarrow.RecordBatchReader:
    if not payload["parts"]:
        schema = pyarrow.schema(deltalake.DeltaTable(payload["directory"]).schema())
        return pyarrow.RecordBatchReader.from_batches(schema, [])
    first = pyarrow.parquet.read_schema(payload["parts"][0]).remove_metadata()
    schema = pyarrow.schema([(field.name, delta_type(field.type, field.name)) for field in first])
    return pyarrow.RecordBatchReader.from_batches(schema, _batches(payload["parts"], schema))


def _batches(parts: list[str], schema: pyarrow.Schema) -> Iterator[pyarrow.RecordBatch]:
    for path in parts:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS, use_threads=False):
                columns = [_cast(batch.column(field.name), field) for field in schema]
                yield pyarrow.record_batch(columns, schema=schema)


def _cast(column: pyarrow.Array, field: pyarrow.Field) -> pyarrow.Array:
    try:
        return column.cast(field.type)
    except pyarrow.ArrowInvalid as fault:
        raise BadInput(
            f"column {field.name!r}: a value does not fit {field.type}, which is what a Delta table can hold",
            "leave it out of --keep", why=str(fault),
        ) from fault  # fmt: skip


def _predicate(payload: Json) -> str:
    """The rows that go, and among which all new ones are: those of every input that is scored as a whole, and of inputs
    that grew the rows that follow."""
    names = sorted(set(payload["drop"]) | set(payload["whole"]))
    terms = [f"{SOURCE_FILE} = {text(name)}" for name in names]
    terms += [f"({SOURCE_FILE} = {text(name)} AND {SOURCE_ROW} >= {int(skip)})" for name, skip in payload["grown"]]
    return " OR ".join(terms)


def _refuse_repeated(payload: Json) -> None:
    """The key, and what the contract calls unique, must be so in the table as it will be."""
    standing = deltalake.DeltaTable(payload["directory"]).file_uris() if payload["add"] else []
    pieces = [(payload["parts"], "true"), (standing, f"NOT ({_predicate(payload)})" if payload["drop"] else "true")]
    pieces = [(literal_paths(files), condition) for files, condition in pieces if files]
    if not pieces:
        return
    spill = Path(payload["spill"])
    spill.mkdir(exist_ok=True)
    with connected(None, payload["memory"], spill) as connection:
        for column in filter(None, [payload["key"], *payload["unique"]]):
            selects = [
                f"SELECT {quoted(column)} FROM read_parquet(?, hive_partitioning = false) WHERE {condition}"
                for _, condition in pieces
            ]
            found = repeated(connection, f"({' UNION ALL '.join(selects)})", [files for files, _ in pieces], [column])
            refuse_repeated(found, column, is_key=column == payload["key"])
