"""Read the rows a user has: .parquet, .csv, .arrow/.feather, .npy, .npz, told apart by content."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault
from mlpack_edge.core.signature import MISSING_TEXT, Column, Signature, TensorSpec

Array = NDArray[Any]
HINT = "pass .parquet, .csv, .arrow/.feather, .npy, or .npz with one array per input"
#: What to do about a file that could be read and holds nothing.
NO_ROWS = "look at what wrote the file, or pass one that holds rows"


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns `[rows]` (`columns`), or whole arrays by input name (`arrays`; "" is the one of a .npy file).

    Text columns are object arrays of str with None where a cell is missing; numeric ones have NaN there.
    start: which row of the file the first one is, where the table is a piece of it.
    """

    path: Path
    columns: Mapping[str, Array]
    arrays: Mapping[str, Array]
    start: int = 0

    @property
    def rows(self) -> int:
        return next((len(array) for array in (self.columns or self.arrays).values() if array.ndim), 0)


def read_table(path: Path) -> Table:
    """Read a data file whole. Raises BadInput for what is none of the known formats, is damaged, or has no rows."""
    if path.exists() and not path.is_file():
        raise BadInput(f"{path} is no regular file", HINT)
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault
    if head.startswith(b"\x93NUMPY"):
        table = Table(path, {}, {"": _load_numpy(path)})
    elif head.startswith(b"PK\x03\x04"):
        table = Table(path, {}, _load_npz(path))
    else:
        table = Table(path, _load_columns(path, head), {})
    if table.rows == 0:
        raise BadInput(f"{path} holds no rows", NO_ROWS)
    return table


def _load_numpy(path: Path) -> Array:
    try:
        with path.open("rb") as stream:
            array: Array = np.load(stream, allow_pickle=False)
    except (ValueError, OSError, EOFError) as fault:
        raise damaged(path, fault) from fault
    return array


def _load_npz(path: Path) -> dict[str, Array]:
    import zipfile

    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, AttributeError) as fault:
        raise damaged(path, fault) from fault


def _load_columns(path: Path, head: bytes) -> dict[str, Array]:
    import polars

    try:
        if head.startswith(b"PAR1"):
            frame = polars.read_parquet(path)
        elif head.startswith(b"ARROW1"):
            frame = polars.read_ipc(path)
        elif b"\0" in head:
            raise BadInput(f"{path} is no data file that mlpack reads", HINT)
        else:
            frame = polars.read_csv(path, infer_schema_length=None)
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError) as fault:
        # Arrow's damage comes as OSError, though the file did open, or as a panic of the Rust code.
        raise damaged(path, fault) from fault
    return {name: column_array(path, frame[name]) for name in frame.columns}


def column_array(path: Path, series: Any, holes: bool | None = None) -> Array:
    """A polars Series as a column of `Table`. holes: whether cells are missing anywhere in the column that this is a piece
    of, None for a whole column. Raises BadInput for what is neither number nor text."""
    import polars

    dtype, holes = series.dtype, bool(series.null_count()) if holes is None else holes
    if dtype in (polars.String, polars.Categorical, polars.Enum) or isinstance(dtype, polars.Enum):
        return np.array(series.cast(polars.String).to_list(), dtype=object)
    if dtype == polars.Boolean:
        if holes:
            return np.array(series.to_list(), dtype=object)
        return np.asarray(series.to_numpy(), dtype=bool)
    if dtype.is_integer() and holes:
        return np.asarray(series.cast(polars.Float64).fill_null(float("nan")).to_numpy())
    if dtype.is_numeric():
        if dtype.is_float():
            series = series.fill_null(float("nan"))
        elif dtype.is_decimal():
            series = series.cast(polars.Float64).fill_null(float("nan"))
        return np.asarray(series.to_numpy())
    if dtype.is_temporal():
        return np.asarray(series.to_physical().cast(polars.Float64).fill_null(float("nan")).to_numpy())
    raise BadInput(
        f"{path}: column {series.name!r} has the type {dtype}, which is neither a number nor text",
        "drop the column or cast it",
    )


def damaged(path: Path, fault: BaseException) -> BadInput:
    """The clear form of what a reading library raises on a file that is not what it should be."""
    first = (str(fault).strip().splitlines() or [type(fault).__name__])[0]
    return BadInput(f"{path} could not be read as data", HINT, why=first[:300])


def tensor_dtype(array: Array) -> str:
    """The dtype of a model input that takes this column: text is "string"."""
    return "string" if array.dtype.kind in "OSU" else str(array.dtype)


def feeds_from_table(table: Table, signature: Signature) -> dict[str, Array]:
    """The rows of a table as the named inputs of a model. Extra columns are left out, order does not matter.

    Floats are rounded where the model takes fewer digits. Raises BadInput naming the column or input that is missing,
    has another width, or holds what whole numbers or text cannot.
    """
    if table.columns:
        columns_wanted(table.path, tuple(table.columns), signature)
        if _takes_unnamed(signature, table.columns):
            return _feeds_without_columns(table, signature)
        if not signature.columns:
            return {spec.name: _one_column(table, spec) for spec in signature.inputs}
        return {spec.name: _from_columns(table, spec, signature.columns) for spec in signature.inputs}
    if set(table.arrays) == {""}:
        return _from_matrix(table, table.arrays[""], signature)
    feeds = {}
    for spec in signature.inputs:
        if spec.name not in table.arrays:
            raise BadInput(f"{table.path} has no array {spec.name!r}; it has {', '.join(table.arrays)}", HINT)
        feeds[spec.name] = _cast(table, spec.name, table.arrays[spec.name], spec.dtype)
    return feeds


def columns_wanted(path: Path, names: Sequence[str], signature: Signature) -> list[str]:
    """Which of the columns `names` of the file the inputs are made of, each once; of an input that names none: all, or
    the one that is called as the input. Raises BadInput naming the first that is missing."""
    if _takes_unnamed(signature, names):
        spec = signature.inputs[0]
        return [spec.name] if _is_named_alone(spec, names) else list(names)
    inputs = {spec.name for spec in signature.inputs}
    wanted = [column.name for column in signature.columns if column.input in inputs]
    for name in wanted or [spec.name for spec in signature.inputs]:
        if name not in names:
            raise BadInput(
                f"{path} has no column {name!r}; it has {', '.join(names[:20])}",
                "name the columns as the model was trained on them"
                if wanted
                else "name the columns after the model's inputs",
            )
    return list(dict.fromkeys(wanted or [spec.name for spec in signature.inputs]))


def _takes_unnamed(signature: Signature, names: Container[str]) -> bool:
    """Whether columns go by their order: one input that names none, and none of them is called x0, x1, ... as we would: where some
    are, another among them is no column of the model."""
    return len(signature.inputs) == 1 and not (
        _names_columns(signature) or any(column.name in names for column in signature.columns)
    )


def _is_named_alone(spec: TensorSpec, names: Container[str]) -> bool:
    return spec.name in names and spec.shape[1:] in ((1,), ())


def _names_columns(signature: Signature) -> bool:
    """Whether the model knows what its columns are called; x0, x1, ... are names that we gave."""
    return any(column.name != f"x{index}" for index, column in enumerate(signature.columns))


def _feeds_without_columns(table: Table, signature: Signature) -> dict[str, Array]:
    """Columns for a model of one input that names none: all columns in their order, or the one named as the input."""
    spec = signature.inputs[0]
    if _is_named_alone(spec, table.columns):
        column = table.columns[spec.name].reshape(-1, *spec.shape[1:])
        return {spec.name: _cast(table, spec.name, column, spec.dtype)}
    width = spec.shape[1] if len(spec.shape) == 2 else None
    if isinstance(width, int) and width != len(table.columns):
        raise BadInput(
            f"{table.path} has {len(table.columns)} columns, the model takes {width} without naming them",
            "pass a file with exactly the model's columns, in its order",
        )
    parts = [_cast(table, name, array, spec.dtype) for name, array in table.columns.items()]
    return {spec.name: np.stack(parts, axis=1)}


def _one_column(table: Table, spec: TensorSpec) -> Array:
    """The column named as an input of a model of several inputs."""
    column = table.columns[spec.name]
    return _cast(table, spec.name, column.reshape(-1, 1) if len(spec.shape) == 2 else column, spec.dtype)


def _from_columns(table: Table, spec: TensorSpec, columns: Sequence[Column]) -> Array:
    mine = sorted((column for column in columns if column.input == spec.name), key=lambda column: column.index)
    parts = []
    for column in mine:
        parts.append(_cast(table, column.name, table.columns[column.name], spec.dtype))
    return np.stack(parts, axis=1)


def _from_matrix(table: Table, array: Array, signature: Signature) -> dict[str, Array]:
    if len(signature.inputs) == 1:
        spec = signature.inputs[0]
        if array.ndim != len(spec.shape):
            raise BadInput(f"{table.path} has the shape {list(array.shape)}, the model takes {list(spec.shape)}", HINT)
        return {spec.name: _cast(table, spec.name, array, spec.dtype)}
    if array.ndim != 2 or array.shape[1] != len(signature.inputs):
        raise BadInput(
            f"{table.path} has the shape {list(array.shape)}, the model takes {len(signature.inputs)} named inputs",
            HINT,
        )
    return {
        spec.name: _cast(table, spec.name, array[:, [index]], spec.dtype) for index, spec in enumerate(signature.inputs)
    }


def _cast(table: Table, name: str, array: Array, dtype: str) -> Array:
    """To the dtype of the input: floats rounded, all else unchanged; BadInput naming the column where that cannot be."""
    if dtype == "string":
        if array.dtype.kind not in "OSU":
            raise BadInput(f"{table.path}: column {name!r} holds numbers, the model takes text there", HINT)
        flat = [MISSING_TEXT if cell is None else str(cell) for cell in array.ravel().tolist()]
        return np.array(flat, dtype=object).reshape(array.shape)
    wanted = np.dtype(dtype)
    if array.dtype == wanted:
        return array
    if array.dtype.kind in "OSU":
        raise BadInput(f"{table.path}: column {name!r} holds text, the model takes {dtype} there", HINT)
    if array.dtype.kind in "cV":
        raise BadInput(f"{table.path}: column {name!r} holds {array.dtype}, the model takes {dtype} there", HINT)
    with np.errstate(over="ignore", invalid="ignore"):
        made = array.astype(wanted)
    if wanted.kind in "iub" and not np.array_equal(made.astype(array.dtype), array):
        place = tuple(np.argwhere(made.astype(array.dtype) != array)[0].tolist())
        raise BadInput(
            f"{table.path}: column {name!r} ({array.dtype}) does not fit into {dtype} without loss: it holds "
            f"{array[place]}" + (f" in row {table.start + place[0]} (counted from 0)" if place else ""),
            HINT,
        )
    return made
