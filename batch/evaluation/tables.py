"""The two tables of an evaluation as relations of DuckDB: stored scores, and labels from wherever they come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpack_edge.batch.evaluation.database import described, fetch, naming_faults
from mlpack_edge.batch.inputs.sources import database_table, format_of_name, matches
from mlpack_edge.batch.sql_text import name, text
from mlpack_edge.core.errors import BadInput, IoFault
from mlpack_edge.core.extensions import missing_extra
from mlpack_edge.core.files import io_fault

DELTA_MARK = "delta::"
_MAGIC = {b"PAR1": "parquet", b"ARRO": "arrow"}


@dataclass(frozen=True, slots=True)
class Table:
    """relation: what stands after FROM. columns: by name, with DuckDB's types."""

    title: str
    relation: str
    columns: dict[str, str]

    def column(self, wanted: str, option: str) -> str:
        """The column's type. Raises BadInput naming the option and the columns there are."""
        if wanted not in self.columns:
            shown = ", ".join(list(self.columns)[:20]) + (" ..." if len(self.columns) > 20 else "")
            raise BadInput(f"{option}: {self.title} has no column {wanted!r}", f"its columns are {shown}")
        return self.columns[wanted]


def scores_table(connection: Any, source: str) -> Table:
    """A table that `mlpack score` wrote: a directory of Parquet, `FILE.duckdb::TABLE`, `delta::DIRECTORY`.

    Raises BadInput where it is none of them, IoFault where it cannot be read.
    """
    if source.startswith(DELTA_MARK):
        folder = source.removeprefix(DELTA_MARK)
        return _parquet(connection, source, _delta_files(folder))
    if (part := database_table(source)) is not None:
        relation = _attached(connection, *part)
        return Table(source, relation, described(connection, relation))
    return _parquet(connection, source, matches([source]))


def labels_table(connection: Any, source: str, wanted: Mapping[str, str]) -> Table:
    """Labels: files of Parquet, Arrow, CSV or JSON lines (a glob or a directory), or `FILE.duckdb::TABLE`.

    wanted: the types that columns are read as where a file says none (CSV, JSON lines). Raises BadInput where the
    files are of several formats or of none.
    """
    if (part := database_table(source)) is not None:
        relation = _attached(connection, *part)
        return Table(source, relation, described(connection, relation))
    files = matches([source])
    formats = {_format(file) for file in files}
    if len(formats) > 1:
        raise BadInput(f"{source} names files of several formats: {', '.join(sorted(formats))}", "name those of one")
    with naming_faults(source):
        return _LABEL_FORMATS[formats.pop()](connection, source, files, wanted)


def _parquet(connection: Any, title: str, files: list[str]) -> Table:
    if not files:
        raise BadInput(f"{title} holds no files", "score first")
    root = len(Path(title.removeprefix(DELTA_MARK).split("*")[0]).parts)
    hive = any("=" in part for file in files for part in Path(file).parts[root:-1])
    listed = ", ".join(text(file) for file in files)
    # Values of directory names stay texts: 007 and 7 may be two stations.
    options = f"hive_partitioning = {str(hive).lower()}, hive_types_autocast = false, union_by_name = true"
    relation = f"read_parquet([{listed}], {options})"
    with naming_faults(title):
        return Table(title, relation, described(connection, relation))


def _arrow(connection: Any, title: str, files: list[str], wanted: Mapping[str, str]) -> Table:
    import pyarrow
    import pyarrow.dataset

    try:
        connection.register("arrow_labels", pyarrow.dataset.dataset(files, format="arrow"))
    except (pyarrow.ArrowInvalid, OSError) as fault:
        raise BadInput(f"{title} cannot be read as Arrow files", "write them again", why=str(fault)) from fault
    return Table(title, "arrow_labels", described(connection, "arrow_labels"))


def _csv(connection: Any, title: str, files: list[str], wanted: Mapping[str, str]) -> Table:
    """Header line, separator and quotes as DuckDB finds them; the columns that matter have the type of the scores."""
    listed = ", ".join(text(file) for file in files)
    found = described(connection, f"read_csv([{listed}], header = true, union_by_name = true)")
    types = ", ".join(f"{text(column)}: {text(wanted[column])}" for column in found if column in wanted)
    forced = f", types = {{{types}}}" if types else ""
    relation = f"read_csv([{listed}], header = true, union_by_name = true{forced})"
    return Table(title, relation, described(connection, relation))


def _jsonl(connection: Any, title: str, files: list[str], wanted: Mapping[str, str]) -> Table:
    listed = ", ".join(text(file) for file in files)
    start = f"read_json([{listed}], format = 'newline_delimited', union_by_name = true"
    found = described(connection, start + ")") | {}
    types = {column: wanted.get(column, kind) for column, kind in found.items()}
    fields = ", ".join(f"{text(column)}: {text(kind)}" for column, kind in types.items())
    return Table(title, f"{start}, columns = {{{fields}}})", types)


_LABEL_FORMATS = {
    "parquet": lambda connection, title, files, wanted: _parquet(connection, title, files),
    "arrow": _arrow,
    "csv": _csv,
    "jsonl": _jsonl,
}


def _format(file: str) -> str:
    try:
        with Path(file).open("rb") as stream:
            magic = stream.read(4)
    except OSError as fault:
        raise io_fault(fault, f"{file} could not be read") from fault
    found = _MAGIC.get(magic) or format_of_name(file)
    if found not in _LABEL_FORMATS:
        raise BadInput(
            f"{file} is neither Parquet, Arrow, CSV nor JSON lines",
            "give labels as .parquet, .arrow, .csv or .jsonl, or as FILE.duckdb::TABLE",
        )
    return found


def _attached(connection: Any, file: str, table: str) -> str:
    """A table of a database file, opened for reading only; a file is attached once."""
    if not Path(file).is_file():
        raise BadInput(f"there is no database {file}", "check the path")
    alias = f"db_{len(fetch(connection, 'SELECT 1 FROM duckdb_databases() WHERE NOT internal'))}"
    known = fetch(
        connection, "SELECT database_name FROM duckdb_databases() WHERE path = ?", [str(Path(file).resolve())]
    )
    if known:
        alias = known[0][0]
    else:
        import duckdb

        try:
            connection.execute(f"ATTACH {text(str(Path(file).resolve()))} AS {name(alias)} (READ_ONLY)")
        except duckdb.Error as fault:
            raise IoFault(
                f"the database {file} could not be opened", "check that no other process is writing to it",
                why=str(fault).strip().splitlines()[0],
            ) from fault  # fmt: skip
    rows = fetch(
        connection,
        "SELECT schema_name, table_name FROM (SELECT database_name, schema_name, table_name FROM duckdb_tables() "
        "UNION ALL SELECT database_name, schema_name, view_name FROM duckdb_views() WHERE NOT internal) "
        "WHERE database_name = ? ORDER BY ALL",
        [alias],
    )
    schema, _, plain = table.rpartition(".")
    for wanted in (("main", table), (schema, plain)):
        if wanted in rows:
            return f"{name(alias)}.{name(wanted[0])}.{name(wanted[1])}"
    shown = ", ".join(found if schema == "main" else f"{schema}.{found}" for schema, found in rows[:20]) or "none"
    raise BadInput(f"{file} has no table {table!r}", f"its tables are {shown}")


def _delta_files(folder: str) -> list[str]:
    """The files of a Delta table's last version."""
    try:
        import deltalake
        from deltalake.exceptions import DeltaError
    except ModuleNotFoundError as fault:
        raise missing_extra("deltalake", "Delta tables") from fault
    try:
        table = deltalake.DeltaTable(folder)
        files = table.file_uris()
        features = table.protocol().reader_features or []
    except (DeltaError, OSError) as fault:
        raise BadInput(f"{folder} cannot be read as a Delta table", "check the path", why=str(fault)) from fault
    if "deletionVectors" in features or "columnMapping" in features:
        raise BadInput(
            f"{folder} uses {' and '.join(sorted(set(features) & {'deletionVectors', 'columnMapping'}))}, "
            "so its files alone do not say what its rows are",
            "copy the table to Parquet with the engine that wrote it",
        )
    return list(files)
