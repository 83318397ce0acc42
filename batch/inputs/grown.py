"""Whether a table or the result of a query only grew since it was scored: then only its new rows are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mlpack_edge.batch.inputs.staging import write_rows
from mlpack_edge.batch.plan import Fingerprint
from mlpack_edge.core.artifact import sha256_of_file
from mlpack_edge.core.files import io_fault

_BATCH = 1 << 15


def grown_rows(staged: Path, rows: int, known: Fingerprint, known_rows: int) -> int:
    """How many rows at the start of a staged input are those an earlier run scored: `known_rows` or 0.

    staged: the Parquet file of its rows as they are now, `rows` of them. known: of the input then, whose digest is that of
    its staged file. Staged bytes follow from the rows alone, so the first rows, staged once more, have that digest where
    they are what they were. Rows that an ORDER BY or a key puts among the old ones give 0. Raises IoFault.
    """
    if not 0 < known_rows < rows:
        return 0
    again = staged.with_name(f".{staged.name}.then")
    try:
        with pq.ParquetFile(staged) as file:
            write_rows(again, file.schema_arrow, _first(file, known_rows))
        return known_rows if sha256_of_file(again) == known.digest else 0
    except OSError as fault:
        raise io_fault(fault, f"{again} could not be written") from fault
    finally:
        again.unlink(missing_ok=True)


def _first(file: Any, rows: int) -> Iterator[Any]:
    for batch in file.iter_batches(batch_size=_BATCH, use_threads=False):
        yield batch.slice(0, rows)
        rows -= batch.num_rows
        if rows <= 0:
            return
