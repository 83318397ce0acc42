"""The start of a data file: its first bytes, and its first rows with the types that the whole file gives them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault
from mlpack_edge.runtimes.data import HINT, NO_ROWS, Table
from mlpack_edge.runtimes.row_streams.array_source import StoredArray, members_of
from mlpack_edge.runtimes.row_streams.column_source import StoredColumns

NUMPY, ZIP = b"\x93NUMPY", b"PK\x03\x04"
#: Enough to see what columns hold; of images fewer.
HEAD_ROWS, HEAD_BYTES = 1000, 16 << 20


def first_bytes(path: Path) -> bytes:
    """What tells the formats apart. Raises BadInput for what is no file, IoFault where it cannot be read."""
    if path.exists() and not path.is_file():
        raise BadInput(f"{path} is no regular file", HINT)
    try:
        with path.open("rb") as stream:
            return stream.read(8)
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault


def head_of(path: Path, rows: int = HEAD_ROWS) -> Table:
    """What `data.read_table` gives, of the first `rows` rows alone, and of arrays of no more than fit HEAD_BYTES.

    Raises BadInput and IoFault as it does.
    """
    start = first_bytes(path)
    if start.startswith(NUMPY):
        table = Table(path, {}, _first({"": StoredArray(path)}, rows))
    elif start.startswith(ZIP):
        table = Table(path, {}, _first(members_of(path), rows))
    else:
        columns = StoredColumns(path, start)
        columns.choose(columns.names)
        piece = next(columns.pieces(rows), columns.head)
        table = Table(path, {name: array[:rows] for name, array in piece.columns.items()}, {})
    if table.rows == 0:
        raise BadInput(f"{path} holds no rows", NO_ROWS)
    return table


def _first(arrays: Mapping[str, StoredArray], rows: int) -> dict[str, NDArray[Any]]:
    """The first rows, at least one, of every array that has as many rows as the largest; others (a state, a rate) whole."""
    largest = max(arrays.values(), key=lambda array: math.prod(array.shape) * array.dtype.itemsize, default=None)
    cut = {name: array for name, array in arrays.items() if largest and array.shape and array.rows == largest.rows}
    row_bytes = sum(math.prod(array.shape[1:]) * array.dtype.itemsize for array in cut.values())
    most = min(rows, max(1, HEAD_BYTES // max(1, row_bytes)))
    return {
        name: next(array.pieces(most), np.empty(array.shape, array.dtype)) if name in cut else array.whole()
        for name, array in arrays.items()
    }
