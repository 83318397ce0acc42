"""Tables, views and queries of DuckDB, staged as Parquet by their content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from mlpack_edge.batch.inputs.columnar import layout_of
from mlpack_edge.batch.inputs.damage import FAULTS, first_line
from mlpack_edge.batch.inputs.opened import Opened
from mlpack_edge.batch.inputs.schemas import plain_schema
from mlpack_edge.batch.inputs.sources import TABLE_MARK, Source
from mlpack_edge.batch.inputs.staging import Staging, write_rows
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.plan import Fingerprint
from mlpack_edge.batch.sql_text import name as quoted
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault

Report = Callable[[str], None]
#: What a query is called where an input has a name.
SQL_NAME = "sql"
#: Of a database file: eight bytes of a checksum, then this (DuckDB's MainHeader).
_MAGIC, _MAGIC_AT = b"DUCK", 8
_SQLITE = b"SQLite format 3\0"  # DuckDB opens it where its extension is installed
_BATCH = 1 << 15
_LEAST, _MOST = 128_000_000, 2_000_000_000


def open_table(source: Source, job: Job, staging: Staging, stage: Report) -> Opened:
    """A table or view `FILE.duckdb::TABLE` or `FILE.duckdb::SCHEMA.TABLE`, ordered by `job.key` where there is one."""
    with _connection(source.name, Path(source.text), job, staging) as connection:
        table = _identifier(connection, source)
        return _staged(source.name, connection, f"SELECT * FROM {table}", job, staging, stage)


def open_query(job: Job, staging: Staging, stage: Report) -> Opened:
    """The rows of `job.sql`, in memory or in the one database of `job.inputs`, ordered by `job.key` where there is one."""
    if len(job.inputs) > 1 or any(TABLE_MARK in each for each in job.inputs):
        raise BadInput(
            "--sql reads at most one database", "--input FILE.duckdb --sql QUERY; the query names the tables"
        )
    database = Path(job.inputs[0].removesuffix(TABLE_MARK)) if job.inputs else None
    with _connection(SQL_NAME, database, job, staging) as connection:
        statements = connection.extract_statements(job.sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise BadInput("--sql is not one query", "write one SELECT; make tables beforehand with duckdb itself")
        return _staged(SQL_NAME, connection, _without_end(job.sql), job, staging, stage)


def _without_end(query: str) -> str:
    """One statement less its semicolon and the remarks behind it: DuckDB puts a relation's text into another query."""
    text = query.encode()
    for offset, kind in duckdb.tokenize(query):  # in bytes
        if kind == duckdb.token_type.operator and text[offset : offset + 1] == b";":
            return text[:offset].decode()
    return query


def _staged(name: str, connection: Any, query: str, job: Job, staging: Staging, stage: Report) -> Opened:
    """Run the query and write its rows. It is run each time: only its rows say whether they changed."""
    stage(f"reading {name}")
    path = staging.path_of(name)
    # A relation streams; the result of execute() would be held as a whole.
    relation = connection.sql(query)
    if job.key:
        relation = relation.order(quoted(job.key))
    reader = relation.to_arrow_reader(_BATCH)
    schema = plain_schema(name, reader.schema)

    def rows() -> Iterator[Any]:
        for batch in reader:
            columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    write_rows(path, schema, rows())
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    fingerprint = Fingerprint(path.stat().st_size, 0, digest, whole=True)
    return Opened(name, path, "parquet", fingerprint, layout_of(name, path, "parquet"), staged=True, elsewhere=True)


@contextmanager
def _connection(name: str, database: Path | None, job: Job, staging: Staging) -> Iterator[Any]:
    """A connection that writes nothing but spilled rows, in the staging folder, and installs nothing from the network.

    One thread: rows and groups then come in the same order each time.
    """
    if database is not None:
        _refuse_other_files(database)
    config = {
        "threads": 1,
        "memory_limit": f"{min(max((job.memory or 0) // 4, _LEAST), _MOST)}B",
        "temp_directory": str(staging.folder / f".spill-{os.getpid()}"),
        "autoinstall_known_extensions": False,
        "python_enable_replacements": False,
    }
    connection = None
    try:
        connection = duckdb.connect(str(database or ":memory:"), read_only=database is not None, config=config)
        connection.execute("SET enable_progress_bar = false")
        yield connection
    except MemoryError:
        raise
    except (duckdb.Error, *FAULTS) as fault:
        raise _refused(name, fault) from fault
    finally:
        if connection is not None:
            connection.close()


def _refuse_other_files(database: Path) -> None:
    """Raise BadInput or IoFault for what is no database: DuckDB's own words for a CSV file say nothing of it."""
    hint = f"--input FILE.duckdb{TABLE_MARK}TABLE"
    if not database.is_file():
        raise BadInput(f"there is no database file {database}", hint)
    try:
        with database.open("rb") as stream:
            head = stream.read(_MAGIC_AT + len(_MAGIC))
    except OSError as fault:
        raise io_fault(fault, f"{database} could not be read") from fault
    if head[_MAGIC_AT:] != _MAGIC and not (head and _SQLITE.startswith(head)):
        raise BadInput(f"{database} is no database of DuckDB", hint)


def _refused(name: str, fault: BaseException) -> BadInput:
    said = first_line(fault)
    what = f"DuckDB cannot read {name}" if name != SQL_NAME else "DuckDB cannot run the query of --sql"
    hint = "try the query with duckdb itself"
    if isinstance(fault, duckdb.OutOfMemoryException) or "Out of Memory" in said:
        hint = "give it more with --memory, or let it read fewer columns"
    elif "lock" in said:
        hint = "another process is writing to the database: start again when it has ended"
    elif "extension" in said:
        hint = "install the extension with duckdb (INSTALL name), as it is never done here"
    return BadInput(what, hint, why=said)


def _identifier(connection: Any, source: Source) -> str:
    """The table as SQL names it. Raises BadInput, saying which there are."""
    found = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal AND database_name = current_database() "
        "UNION SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal AND database_name = current_database() "
        "ORDER BY ALL"
    ).fetchall()
    names = {f"{schema}.{table}": (schema, table) for schema, table in found}
    names |= {table: (schema, table) for schema, table in found if schema == "main"}
    folded = {name.casefold(): parts for name, parts in names.items()}  # as SQL compares them
    parts = names.get(source.table) or folded.get(source.table.casefold())
    if parts is None:
        there = ", ".join(sorted(table if schema == "main" else f"{schema}.{table}" for schema, table in found)[:20])
        raise BadInput(f"{source.text} has no table or view {source.table!r}", f"it has: {there or 'none'}")
    return ".".join(quoted(part) for part in parts)
