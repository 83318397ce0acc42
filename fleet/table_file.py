"""Reading files of the table. pyarrow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from mlpack_edge.core.errors import BadInput, MlpackError
from mlpack_edge.core.files import io_fault
from mlpack_edge.fleet.known import Index


def read_columns(path: Path, columns: Sequence[str]) -> Any:
    """The pyarrow Table. Raises BadInput naming the file where it is damaged or none of a store's, IoFault where it cannot be read."""
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            table = file.read(list(columns), use_threads=False)
    except (OSError, pyarrow.ArrowException) as fault:
        raise unreadable(path, fault) from fault
    if set(table.column_names) != set(columns):
        raise unreadable(path, KeyError(f"it has the columns {', '.join(table.column_names)}"))
    return table


def stored_index(paths: Sequence[Path]) -> Index:
    """The ids and checksums that some files hold. Raises as `read_columns`."""
    tables = [read_columns(path, ["report_id", "checksum"]) for path in paths]
    ids = b"".join(b"".join(table["report_id"].to_pylist()) for table in tables)
    sums = [table["checksum"].to_numpy().astype(np.uint32) for table in tables]
    return Index(ids, np.concatenate(sums) if sums else None)


def unreadable(path: Path, fault: Exception) -> MlpackError:
    if isinstance(fault, OSError) and fault.errno:
        return io_fault(fault, f"{path} could not be read")
    return BadInput(
        f"{path} is no table of a fleet store, or is damaged",
        "restore it from a backup; where there is none, remove it and deliver the day's reports again",
        why=str(fault),
    )
