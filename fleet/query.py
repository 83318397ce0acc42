"""DuckDB over the files of a store."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb

from mlpack_edge.core.errors import BadInput


def query(root: Path, text: str, given: Sequence[object]) -> list[tuple[Any, ...]]:
    """All rows. root: the store that the error names; given: the parameters of `text`. Raises BadInput for a damaged table."""
    with duckdb.connect() as connection:
        try:
            rows: list[tuple[Any, ...]] = connection.execute(text, given).fetchall()
        except duckdb.Error as fault:
            raise BadInput(
                f"the table of {root} could not be read", "restore the file that is named from a backup", why=str(fault)
            ) from fault
    return rows


def exactly(files: Iterable[Path]) -> list[str]:
    """As DuckDB's `read_parquet` takes them: where a store lies may look like a pattern."""
    return [glob.escape(str(file)) for file in files]
