"""DuckDB as it is used here: one thread, bounded memory, its own folder on disk, no extensions from the network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mlpack_edge.batch.sql_text import text
from mlpack_edge.core.errors import BadInput, IoFault, WorkerFault
from mlpack_edge.core.scratch import scratch_folder

#: Bytes that DuckDB may use before it goes to disk; the process itself needs about 200 MB more.
MEMORY = 512_000_000


@contextlib.contextmanager
def database(memory: int = MEMORY) -> Iterator[Any]:
    """A connection to a fresh database in a scratch folder (in TMPDIR), which is gone afterwards.

    One thread: sums of floating-point numbers are then taken in one order, and the same tables give the same figures.
    DuckDB's own errors leave as MlpackError.
    """
    import duckdb

    with scratch_folder() as folder:
        connection = duckdb.connect(str(Path(folder) / "evaluation.duckdb"))
        try:
            for setting in (
                "threads = 1", f"memory_limit = '{memory}B'", f"temp_directory = {text(folder + '/spill')}",
                "autoinstall_known_extensions = false", "TimeZone = 'UTC'", "enable_progress_bar = false",
                "disabled_optimizers = 'statistics_propagation'",  # it trusts Parquet's bounds, which leave NaN out
            ):  # fmt: skip
                connection.execute(f"SET {setting}")
            with naming_faults():
                yield connection
        finally:
            connection.close()


@contextlib.contextmanager
def naming_faults(subject: str = "the tables") -> Iterator[None]:
    """DuckDB's errors about data, files and memory as ours; a mistake in our SQL stays what it is."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as fault:
        raise WorkerFault(
            f"{subject}: evaluation needs more memory", "give it more with --memory", why=_first_line(fault)
        ) from fault
    except duckdb.IOException as fault:
        raise IoFault(
            f"{subject} could not be read, or there was no room for temporary files",
            "check the files, and that TMPDIR has room for the joined rows", why=_first_line(fault),
        ) from fault  # fmt: skip
    except (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.OutOfRangeException) as fault:
        raise BadInput(
            f"{subject} cannot be read as they are", "mend the value named above", why=_told(fault)
        ) from fault


def fetch(connection: Any, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows of a small answer."""
    rows: list[tuple[Any, ...]] = connection.execute(sql, list(parameters)).fetchall()
    return rows


def described(connection: Any, relation: str) -> dict[str, str]:
    """The columns of what may stand after FROM, with DuckDB's types."""
    return {row[0]: row[1] for row in fetch(connection, f"DESCRIBE SELECT * FROM {relation}")}


def _first_line(fault: Exception) -> str:
    return str(fault).strip().splitlines()[0]


def _told(fault: Exception) -> str:
    """The first lines of DuckDB's account: the value, the file and the line."""
    lines = [line.strip() for line in str(fault).strip().splitlines() if line.strip()]
    return "; ".join(lines[:4])
