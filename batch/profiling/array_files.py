"""Arrays of .npy and .npz files as Arrow files, so that rows of every format are read in one way."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault
from mlpack_edge.runtimes.row_streams.array_source import StoredArray, StoredArrays, members_of
from mlpack_edge.runtimes.row_streams.head import NUMPY, ZIP, first_bytes

#: Bytes of the rows that are written together.
_BYTES = 16 << 20


def is_array_file(path: Path) -> bool:
    """Raises BadInput for what is no file, IoFault where it cannot be read."""
    return first_bytes(path).startswith((NUMPY, ZIP))


def stage_arrays(path: Path, target: Path, inputs: Mapping[str, Sequence[str]]) -> None:
    """Write the rows as an Arrow file.

    inputs: by input of the model the names of its columns, none where it has no names. An array `[rows, n]` of an input with
    n names becomes those columns, any other a column of lists named as the input; a .npy file is the model's one input.
    Arrays of an .npz file that are no inputs and `[rows]` are columns of their own (a day, a label). Raises BadInput, IoFault.
    """
    arrays = _arrays(path, inputs)
    source = StoredArrays(path, arrays, frozenset(arrays))
    names = {name: tuple(inputs.get(name, ())) for name in arrays}
    width = sum(math.prod(array.shape[1:]) * array.dtype.itemsize for array in arrays.values())
    schema = pa.schema([field for name in arrays for field in _columns(name, source.head.arrays[name], names[name])[0]])
    try:
        with pa.OSFile(str(target), "wb") as stream, pa.ipc.new_file(stream, schema) as writer:
            for piece in source.pieces(max(1, min(1 << 16, _BYTES // max(width, 1)))):
                made = [column for name in arrays for column in _columns(name, piece.arrays[name], names[name])[1]]
                writer.write_batch(pa.RecordBatch.from_arrays(made, schema=schema))
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be staged as {target}") from fault


def _arrays(path: Path, inputs: Mapping[str, Sequence[str]]) -> dict[str, StoredArray]:
    if first_bytes(path).startswith(NUMPY):
        if len(inputs) != 1:
            raise BadInput(
                f"{path} is one array, the model takes {len(inputs)}", "save them as arrays of one .npz file, by name"
            )
        return {next(iter(inputs)): StoredArray(path)}
    members = members_of(path)
    absent = [name for name in inputs if name not in members]
    if absent:
        raise BadInput(
            f"{path} has no array {absent[0]!r}; it has {', '.join(list(members)[:20])}",
            "name the arrays as the model's inputs",
        )
    return {name: array for name, array in members.items() if name in inputs or len(array.shape) == 1}


def _columns(name: str, array: NDArray[Any], names: Sequence[str]) -> tuple[Iterator[pa.Field], list[pa.Array]]:
    flat = np.ascontiguousarray(array).reshape(len(array), math.prod(array.shape[1:]))
    if flat.dtype.kind in "SU":
        flat = flat.astype(object)
    if flat.dtype.kind not in "biufO":
        raise BadInput(f"the array {name!r} holds {array.dtype}", "save numbers or texts")
    if len(names) == flat.shape[1] or array.ndim < 2 or flat.shape[1] == 1:
        titles = list(names) if len(names) == flat.shape[1] else [name]
        made = [pa.array(flat[:, place]) if flat.dtype.kind != "O" else pa.array(flat[:, place], pa.string()) for place in range(flat.shape[1])]  # fmt: skip
        return (pa.field(title, column.type) for title, column in zip(titles, made, strict=True)), made
    items = pa.array(flat.reshape(-1), pa.string() if flat.dtype.kind == "O" else None)
    column = pa.FixedSizeListArray.from_arrays(items, flat.shape[1])
    return iter([pa.field(name, column.type)]), [column]
