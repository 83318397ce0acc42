"""Whether a key names every row once: counted by DuckDB, within its memory, over any number of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet

from mlpack_edge.batch.counted import counted
from mlpack_edge.batch.outputs.duckdb_session import connected, literal_paths, plain_allocator
from mlpack_edge.batch.sql_text import name
from mlpack_edge.core.errors import CheckFailed

Json = dict[str, Any]
#: So many values are named.
EXAMPLES = 3
_MOST_SLICES = 256


@dataclass(frozen=True, slots=True)
class Findings:
    """repeated: values that stand in more than one row. rows: how many rows have one of those. nulls: rows where the key,
    or a column of it, is NULL. examples: at most three of the repeated values with their number of rows, the most
    frequent first."""

    repeated: int
    rows: int
    nulls: int
    examples: tuple[tuple[str, int], ...]

    @property
    def unique(self) -> bool:
        return not self.repeated and not self.nulls


def check(payload: Json, stage: Callable[[str], None]) -> Json:
    """payload: {"parts": paths of Parquet files, "columns": of one key, "memory": bytes or None, "spill": a folder}.

    Gives the fields of `Findings`. NaN counts as equal to NaN. Raises IoFault and WorkerFault (no memory, no room to spill).
    """
    stage(f"looking for rows with the same {', '.join(payload['columns'])}")
    plain_allocator()
    spill = Path(payload["spill"])
    spill.mkdir(exist_ok=True)
    if not payload["parts"]:
        return asdict(Findings(0, 0, 0, ()))
    with connected(None, payload["memory"], spill) as connection:
        held = set(pyarrow.parquet.read_schema(payload["parts"][0]).names)
        # A column of a partitioned table stands in the names of its directories.
        hive = "false" if held >= set(payload["columns"]) else "true, hive_types_autocast = false"
        source = f"read_parquet(?, hive_partitioning = {hive})"
        return repeated(connection, source, [literal_paths(payload["parts"])], payload["columns"])


def repeated(connection: duckdb.DuckDBPyConnection, source: str, parameters: list[Any], columns: Sequence[str]) -> Json:
    """The fields of `Findings`, over the rows of `source` (SQL, with its parameters)."""
    key = ", ".join(name(column) for column in columns)
    missing = " OR ".join(f"{name(column)} IS NULL" for column in columns)
    nulls = connection.execute(f"SELECT count(*) FROM {source} WHERE {missing}", parameters).fetchall()[0][0]
    slices = 1
    while True:
        try:
            return asdict(_counted(connection, source, parameters, key, missing, nulls, slices))
        except duckdb.OutOfMemoryException:
            # Groups do not always spill; keys of one hash slice are all in it, so slices can be counted one by one.
            if slices >= _MOST_SLICES:
                raise
            slices *= 4


def _counted(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    parameters: list[Any],
    key: str,
    missing: str,
    nulls: int,
    slices: int,
) -> Findings:
    values = rows = 0
    examples: list[tuple[str, int]] = []
    for part in range(slices):
        inside = f" AND hash({key}) % {slices} = {part}" if slices > 1 else ""
        groups = f"SELECT {key}, count(*) AS n FROM {source} WHERE NOT ({missing}){inside} GROUP BY {key} HAVING count(*) > 1"
        found = connection.execute(f"SELECT count(*), coalesce(sum(n), 0) FROM ({groups})", parameters).fetchall()[0]
        if found[0]:
            shown = connection.execute(f"{groups} ORDER BY n DESC, {key} LIMIT {EXAMPLES}", parameters).fetchall()
            examples += [(", ".join(str(value) for value in row[:-1]), row[-1]) for row in shown]
        values, rows = values + found[0], rows + int(found[1])
    return Findings(values, rows, nulls, tuple(sorted(examples, key=lambda item: -item[1])[:EXAMPLES]))


def refuse_key(found: Findings, key: str) -> None:
    """Raise CheckFailed where a key does not name every row once."""
    if found.unique:
        return
    said = []
    if found.repeated:
        shown = ", ".join(f"{value} ({counted(rows, 'row')})" for value, rows in found.examples)
        more = found.repeated - len(found.examples)
        said.append(
            f"{counted(found.repeated, 'value')} {'stands' if found.repeated == 1 else 'stand'} in several rows: {shown}"
            + (f" and {more:,} more" if more else "")
        )
    if found.nulls:
        said.append(f"it is NULL in {counted(found.nulls, 'row')}")
    raise CheckFailed(
        f"the key column {key!r} does not name every row once: {'; '.join(said)}",
        "name another --key, or leave it out: rows are then named by their file and number; where an input of an --incremental "
        "table was renamed, run once with --fresh",
        **asdict(found),
    )  # fmt: skip
