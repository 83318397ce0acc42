"""The child's side of outputs/duckdb_table.py: what happens inside the database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow
import pyarrow.parquet

from mlpack_edge.batch.outputs.duckdb_session import connected, literal_paths, plain_allocator
from mlpack_edge.batch.outputs.duckdb_table import RUNS
from mlpack_edge.batch.shard_table import SOURCE_FILE
from mlpack_edge.batch.sql_text import name
from mlpack_edge.batch.uniqueness import Findings, refuse_key, repeated
from mlpack_edge.batch.watching import refuse_repeated
from mlpack_edge.core.errors import BadInput, OutputExists

Json = dict[str, Any]
_COLUMNS = [("table_name", "VARCHAR"), ("run_key", "VARCHAR"), ("manifest", "VARCHAR")]


def state(payload: Json, stage: Callable[[str], None]) -> Json:
    """{"manifest": text or None, "rows": of the table or None}. Raises OutputExists for a table that is not mlpack's."""
    with (
        TemporaryDirectory() as spill,
        connected(
            Path(payload["database"]), payload["memory"], Path(spill), read_only=True, wait=payload["wait"]
        ) as connection,
    ):
        return _state(connection, payload)


def publish(payload: Json, stage: Callable[[str], None]) -> Json:
    """Everything in one transaction. Raises CheckFailed where the key, or a column that the contract calls unique, is not."""
    stage(f"writing {payload['table']}")
    plain_allocator()
    spill = Path(payload["spill"])
    spill.mkdir(exist_ok=True)
    table = f"{name(payload['schema'])}.{name(payload['table'])}"
    runs = f"{name(payload['schema'])}.{name(RUNS)}"
    paths = literal_paths(payload["parts"])
    with connected(Path(payload["database"]), payload["memory"], spill, wait=payload["wait"]) as connection:
        _state(connection, payload)
        source = "read_parquet(?, hive_partitioning = false)"
        chosen = _columns(connection, source, payload["parts"], paths) if paths else ""
        connection.execute("BEGIN")
        if not payload["add"]:
            connection.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT {chosen} FROM {source}", [paths])
        else:
            if payload["drop"]:
                connection.execute(
                    f"DELETE FROM {table} WHERE {name(SOURCE_FILE)} IN (SELECT unnest(?))", [payload["drop"]]
                )
            if paths:
                _same_columns(connection, table, f"SELECT {chosen} FROM {source}", paths)
                connection.execute(f"INSERT INTO {table} SELECT {chosen} FROM {source}", [paths])
        if payload["key"]:
            refuse_key(Findings(**repeated(connection, table, [], [payload["key"]])), payload["key"])
        for column in payload["unique"]:
            refuse_repeated(repeated(connection, table, [], [column]), column, is_key=False)
        columns = ", ".join(f"{column} {kind}" for column, kind in _COLUMNS)
        connection.execute(f"CREATE TABLE IF NOT EXISTS {runs}({columns})")
        connection.execute(f"DELETE FROM {runs} WHERE table_name = ?", [payload["table"]])
        row = [payload["table"], payload["run_key"], payload["manifest"]]
        connection.execute(f"INSERT INTO {runs} VALUES (?, ?, ?)", row)
        connection.execute("COMMIT")
    return {}


def _state(connection: duckdb.DuckDBPyConnection, payload: Json) -> Json:
    schema, table = payload["schema"], payload["table"]
    schemas = [row[0] for row in connection.execute("SELECT schema_name FROM duckdb_schemas()").fetchall()]
    if schema not in schemas:
        raise BadInput(f"{payload['database']} has no schema {schema!r}", f'CREATE SCHEMA "{schema}", or leave it out')
    kinds = dict(
        connection.execute(
            "SELECT table_name, table_type FROM information_schema.tables "
            "WHERE table_schema = ? AND table_catalog = current_database()",
            [schema],
        ).fetchall()
    )
    manifest = None
    if RUNS in kinds:
        shown = connection.execute(f"DESCRIBE {name(schema)}.{name(RUNS)}").fetchall()
        if [(row[0], row[1]) for row in shown] != _COLUMNS:
            raise OutputExists(
                f"{payload['database']} has a table {RUNS} that mlpack did not make", "name another database or schema"
            )
        found = connection.execute(
            f"SELECT manifest FROM {name(schema)}.{name(RUNS)} WHERE table_name = ?", [table]
        ).fetchall()
        manifest = found[0][0] if found else None
    # DuckDB compares names without regard to case: "Scores" is the table "scores".
    same = next((known for known in kinds if known.lower() == table.lower()), None)
    if same is None:
        return {"manifest": None, "rows": None}
    if manifest is None or kinds[same] != "BASE TABLE":
        what = "table" if kinds[same] == "BASE TABLE" else "view"
        raise OutputExists(
            f"{payload['database']} has a {what} {same!r} that mlpack did not write", "name another table"
        )
    rows = connection.execute(f"SELECT count(*) FROM {name(schema)}.{name(table)}").fetchall()[0][0]
    return {"manifest": manifest, "rows": rows}


def _columns(connection: duckdb.DuckDBPyConnection, source: str, parts: list[str], paths: list[str]) -> str:
    """The columns, vectors as arrays of their width: Parquet knows lists only, Arrow's schema in the file the width."""
    fields = {field.name: field.type for field in pyarrow.parquet.read_schema(parts[0])}
    chosen = []
    for row in connection.execute(f"DESCRIBE SELECT * FROM {source}", [paths[:1]]).fetchall():
        widths = []
        kind = fields[row[0]]
        while pyarrow.types.is_fixed_size_list(kind):
            widths.append(kind.list_size)
            kind = kind.value_type
        if widths:
            inner = row[1].removesuffix("[]" * len(widths))
            array = inner + "".join(f"[{width}]" for width in reversed(widths))
            chosen.append(f"CAST({name(row[0])} AS {array}) AS {name(row[0])}")
        else:
            chosen.append(name(row[0]))
    return ", ".join(chosen)


def _same_columns(connection: duckdb.DuckDBPyConnection, table: str, query: str, paths: list[str]) -> None:
    """Rows are added by position: the columns must be those of the table."""
    old = [row[:2] for row in connection.execute(f"DESCRIBE {table}").fetchall()]
    new = [row[:2] for row in connection.execute(f"DESCRIBE {query}", [paths]).fetchall()]
    if old != new:
        odd = next((pair for pair in zip(old, new, strict=False) if pair[0] != pair[1]), (old[-1], new[-1]))
        raise BadInput(
            f"the table has the column {odd[0][0]} {odd[0][1]} where this run gives {odd[1][0]} {odd[1][1]}",
            "run once without --incremental, which makes the whole table anew",
        )
