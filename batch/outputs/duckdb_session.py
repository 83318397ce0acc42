"""DuckDB in a child process, kept within its memory, with its errors in the forms of this house."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow

from mlpack_edge.batch.sql_text import text
from mlpack_edge.core.errors import IoFault, WorkerFault
from mlpack_edge.runtimes.worker import physical_memory

#: DuckDB counts what its buffers hold; what it needs beside them, and Python, fits into the rest.
_SHARE = 0.5


@contextmanager
def connected(
    database: Path | None, memory: int | None, spill: Path, read_only: bool = False, wait: float = 0.0
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection, closed at the end. database: None is one in memory. spill: a folder that is there, for what does not fit.

    wait: seconds to wait for another process that has the file open. Raises IoFault, and WorkerFault for lack of memory.
    """
    share = int((physical_memory() if memory is None else memory) * _SHARE)
    config: dict[str, Any] = {"memory_limit": f"{max(share, 64_000_000) // 1000}kB", "threads": 2}
    what = str(database) if database else "the table"
    with translated(what):
        connection = _open(database, config, read_only, wait)
        try:
            connection.execute(f"SET temp_directory = {text(str(spill))}")
            yield connection
        finally:
            connection.close()


def _open(database: Path | None, config: dict[str, Any], read_only: bool, wait: float) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + wait
    while True:
        try:
            return duckdb.connect(str(database or ":memory:"), read_only=read_only, config=config)
        except duckdb.IOException as fault:
            if "lock" not in str(fault) or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """DuckDB's errors as IoFault or WorkerFault, naming `what`."""
    try:
        yield
    except duckdb.OutOfMemoryException as fault:
        raise WorkerFault(
            f"{what}: DuckDB ran out of memory", "give the run more with --memory", why=_first_line(fault)
        ) from fault
    except duckdb.Error as fault:
        said = _first_line(fault)
        if "Conflicting lock" in said or "Could not set lock" in said:
            raise IoFault(
                f"{what} is open in another process, and DuckDB lets only one write",
                "close it there, and start again: what was scored is kept", why=said,
            ) from fault  # fmt: skip
        if "not a valid DuckDB database file" in said:
            raise IoFault(f"{what} is no DuckDB database", "name another file", why=said) from fault
        full = "No space left" in said
        hint = "free some space on that file system" if full else "check the file, the disk and the permissions"
        raise IoFault(f"DuckDB could not work on {what}", hint, why=said) from fault


def plain_allocator() -> None:
    """Take pyarrow's memory from the C library: its own allocator reserves 1 GiB at once, which counts against the limits
    of a child process. To be called before pyarrow is used."""
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())


def literal_paths(paths: Sequence[str]) -> list[str]:
    """Paths that `read_parquet` takes as they are, whatever stands in them."""
    return ["".join(f"[{letter}]" if letter in "*?[" else letter for letter in path) for path in paths]


def _first_line(fault: BaseException) -> str:
    return str(fault).splitlines()[0] if str(fault) else type(fault).__name__
