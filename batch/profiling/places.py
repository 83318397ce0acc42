"""Where the values of a spec's inputs stand in a table, and Arrow columns as profiles count them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

from mlpack_edge.batch.contract.columns import coded, mask_of
from mlpack_edge.batch.scoring.columns import levels
from mlpack_edge.batch.scoring.vectors import flattened
from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.arrays.counting import Coded, Column
from mlpack_edge.profiles.spec import Source

HINT = "rename or cast it: mlpack profile reads files whose columns are named as the model's"


@dataclass(frozen=True, slots=True)
class Place:
    """A column, or element `element` of the lists that it holds (of `width` in all)."""

    column: str
    element: int | None = None
    width: int = 1


def places_of(sources: Sequence[Source], schema: pa.Schema, aside: Collection[str] = ()) -> dict[str, Place]:
    """By feature name; as scoring matches columns and inputs: by the feature's own name, in a column of lists named as the
    input, else all columns but those `aside` in their order, where they are exactly as many and none is called as a feature.
    Raises BadInput naming a column that is missing."""
    found: dict[str, Place] = {}
    by_tensor: dict[str, list[Source]] = {}
    for source in sources:
        by_tensor.setdefault(source.tensor, []).append(source)
    names = set(schema.names)
    for tensor, mine in by_tensor.items():
        columns = {source.name: _column_of(source, names) for source in mine}
        if names.issuperset(columns.values()):
            found |= {name: Place(column) for name, column in columns.items()}
        elif tensor in names and levels(schema.field(tensor).type)[1]:
            found |= {source.name: Place(tensor, source.index, len(mine)) for source in mine}
        elif tensor in names and len(mine) == 1:
            found[mine[0].name] = Place(tensor)
        else:
            found |= _in_order(mine, schema, aside, len(by_tensor) == 1)
    for name, place in found.items():
        _refuse_type(name, place, schema.field(place.column).type)
    return found


def _column_of(source: Source, names: Collection[str]) -> str:
    """A feature whose column is called as another group of the profile has the role behind its name."""
    name, role = source.name, f" ({source.role})"
    while name not in names and name.endswith(role):
        name = name.removesuffix(role)
    return name


def _refuse_type(name: str, place: Place, kind: Any) -> None:
    """Raise BadInput for what is counted in no way: lists that are no vectors of the input, structs, maps."""
    inner, sizes = levels(kind)
    if place.element is not None:
        known = [size for size in sizes if size is not None]
        if len(known) == len(sizes) and math.prod(known) != place.width:
            raise BadInput(
                f"column {place.column!r} holds lists of {math.prod(known)}, the spec counts {place.width} numbers of them", HINT,
                column=place.column,
            )  # fmt: skip
        kind = inner
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_nested(kind) or not (
        types.is_primitive(kind) or types.is_null(kind) or _is_text(kind) or types.is_decimal(kind)
    ):
        raise BadInput(
            f"column {place.column!r} is {kind}, which {name!r} cannot be counted from", HINT, column=place.column
        )


def _in_order(sources: Sequence[Source], schema: pa.Schema, aside: Collection[str], alone: bool) -> dict[str, Place]:
    rest = [name for name in schema.names if name not in aside]
    unnamed = all(source.name in (f"x{source.index}", f"Column_{source.index}", f"{source.tensor}[{source.index}]") for source in sources)  # fmt: skip
    if alone and unnamed and len(rest) == len(sources) and set(rest).isdisjoint(source.name for source in sources):
        return {source.name: Place(rest[source.index]) for source in sources}
    absent = [name for name in (_column_of(source, schema.names) for source in sources) if name not in schema.names]
    shown = ", ".join(schema.names[:20]) + (" ..." if len(schema.names) > 20 else "")
    raise BadInput(
        f"the data lacks {len(absent)} column{'s' * (len(absent) > 1)} of the spec: {', '.join(absent[:10])}", HINT,
        why=f"it has {shown}", columns=absent,
    )  # fmt: skip


class Columns:
    """The columns of one batch; lists are taken apart once."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch
        self._lists: dict[tuple[str, int], tuple[Any, NDArray[np.bool_]]] = {}

    def take(self, place: Place, category: bool) -> Column:
        """`[rows]`: numbers (NaN where missing), or codes into values where `category`, and where a column holds no numbers."""
        array = self._batch.column(place.column)
        if place.element is None:
            return as_category(array) if category else as_numbers(array)
        items, good = self._apart(place)
        part = items.take(pa.array(np.arange(int(good.sum())) * place.width + place.element))
        made = as_category(part) if category else as_numbers(part)
        return made if good.all() else _spread(made, good)

    def _apart(self, place: Place) -> tuple[Any, NDArray[np.bool_]]:
        key = (place.column, place.width)
        if key not in self._lists:
            array = self._batch.column(place.column)
            sizes = levels(array.type)[1]
            known = [size for size in sizes if size is not None]
            whole = (place.width,) if len(sizes) == 1 else tuple(known) if len(known) == len(sizes) else (place.width,)
            self._lists[key] = flattened(array, whole)
        return self._lists[key]


def as_category(array: Any) -> Coded:
    """Values of an Arrow array of any plain type with their codes, -1 where null or NaN."""
    view = coded(array)
    codes = view.codes.astype(np.int64)
    if view.missing is not None:
        codes[view.missing] = -1
    try:
        return Coded(codes, view.values.to_pylist())
    except (ValueError, OverflowError):  # times that Python has no number for: as good as unseen
        return Coded(codes, [str(value) for value in view.values.cast(pa.int64(), safe=False).to_pylist()])


def as_presence(array: Any) -> Coded:
    """Whether a value is there, whatever it is: its own text goes nowhere."""
    if types.is_dictionary(array.type):
        missing = mask_of(array.is_null())
        if array.dictionary.null_count:
            missing |= mask_of(array.dictionary.is_null())[array.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    else:
        missing = mask_of(array.is_null(nan_is_null=True))
    return Coded(np.where(missing, -1, 0), (True,))


def as_numbers(array: Any) -> Column:
    """Numbers in their own dtype, float64 with NaN where some are null; `as_category` for what is neither number nor bool."""
    kind = array.type
    if types.is_dictionary(kind):
        return as_numbers(array.dictionary_decode()) if not _is_text(kind.value_type) else as_category(array)
    if types.is_null(kind):
        return np.full(len(array), np.nan)
    if types.is_boolean(kind):
        array = array.cast(pa.uint8())
    elif types.is_decimal(kind):
        array = array.cast(pa.float64())
    elif types.is_float16(kind):
        array = array.cast(pa.float32())
    elif not (types.is_integer(kind) or types.is_floating(kind)):
        return as_category(array)
    if not array.null_count:
        return np.asarray(array.to_numpy(zero_copy_only=True))
    wide = array.cast(pa.float64(), safe=False)
    return np.asarray(pc.fill_null(wide, float("nan")).to_numpy(zero_copy_only=False))


def _is_text(kind: Any) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _spread(column: Column, good: NDArray[np.bool_]) -> Column:
    """At the places of `good`; missing elsewhere."""
    if isinstance(column, Coded):
        codes = np.full(len(good), -1)
        codes[good] = column.codes
        return Coded(codes, column.values)
    made = np.full(len(good), np.nan)
    made[good] = np.asarray(column, np.float64)
    return made


def rows_of(columns: Mapping[str, Column], rows: NDArray[np.int64]) -> dict[str, Column]:
    """The same columns of some rows only."""
    return {
        name: Coded(column.codes[rows], column.values) if isinstance(column, Coded) else np.asarray(column)[rows]
        for name, column in columns.items()
    }
