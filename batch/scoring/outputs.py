"""From a model's arrays to the columns of the table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlpack_edge.batch.scoring.findings import NOT_FINITE, Finding, Findings, found
from mlpack_edge.batch.scoring.numbers import zero
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Category

Array = NDArray[Any]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Answer:
    """An output of the model as a column. name: in the table. tail: its shape beside the rows.

    classes: the texts that its whole numbers are the places of; the column is a dictionary of them then.
    """

    output: str
    name: str
    dtype: np.dtype[Any]
    tail: tuple[int, ...]
    classes: tuple[Category, ...] = ()

    @property
    def raw(self) -> np.dtype[Any]:
        """What the model gives: whole numbers where there are classes."""
        return np.dtype(np.int64) if self.classes and self.dtype.kind == "O" else self.dtype

    @property
    def width(self) -> int | None:
        """Numbers in a row's vector; None for a plain column."""
        return None if self.tail in ((), (1,)) else math.prod(self.tail)

    @property
    def field(self) -> pa.Field:
        """One number or text a row is a plain column, more are a list of fixed size, flattened."""
        if self.classes:
            value = pa.dictionary(pa.int32(), pa.string())
        else:
            value = pa.string() if self.dtype.kind == "O" else pa.from_numpy_dtype(self.dtype)
        return pa.field(self.name, value if self.width is None else pa.list_(value, self.width))


def answer(output: str, name: str, made: Array, rows: int, classes: Sequence[Category] = ()) -> Answer:
    """From what the model gave for `rows` rows. Raises BadInput where that is not one value, or vector, a row."""
    if made.ndim == 0 or made.shape[0] != rows:
        raise BadInput(
            f"the model's output {output!r} has the shape {list(made.shape)} for {rows} rows: no row of it belongs to "
            "a row of the table",
            "export the model without this output", output=output,
        )  # fmt: skip
    if made.dtype.kind not in "biufO" or 0 in made.shape[1:]:
        raise BadInput(
            f"the model's output {output!r} is {made.dtype} {list(made.shape)}, which no column holds",
            "export the model without this output", output=output,
        )  # fmt: skip
    return Answer(output, name, made.dtype, made.shape[1:], tuple(classes))


def column(item: Answer, made: Array, there: Mask | None) -> pa.Array:
    """The column of `field`'s type. made: `[rows, ...]`. there: bool `[rows]`, rows that are not null; None is all."""
    gone = None if there is None else pa.array(~there)
    flat = made.reshape(-1)
    value: pa.DataType = item.field.type
    if item.width is not None:
        inner = _values(item, flat, None, value.value_type)
        return pa.FixedSizeListArray.from_arrays(inner, type=value, mask=gone)
    return _values(item, flat, gone, value)


def _values(item: Answer, flat: Array, gone: pa.Array | None, value: pa.DataType) -> pa.Array:
    mask = None if gone is None else gone.to_numpy(zero_copy_only=False)
    if item.classes:
        texts = list(dict.fromkeys(item.classes))
        places = flat.astype(np.int32, copy=False)
        if flat.size and flat.min() < 0:  # as Gather counts, from the end
            places = np.where(places < 0, places + np.int32(len(item.classes)), places)
        if len(texts) < len(item.classes):
            places = np.array([texts.index(text) for text in item.classes], np.int32)[places]
        return pa.DictionaryArray.from_arrays(pa.array(places, pa.int32(), mask=mask), pa.array(texts, pa.string()))
    return pa.array(flat, value, mask=mask)


def output_faults(answers: Sequence[Answer], outputs: Mapping[str, pa.Array], accepted: Mask) -> Findings:
    """Accepted rows with a score that is NaN or infinite."""
    rows = len(accepted)
    faults = []
    for item in answers:
        if item.dtype.kind != "f":
            continue
        values = numbers_of(item, outputs[item.name])
        with np.errstate(over="ignore", invalid="ignore"):
            whole = bool(np.isfinite(values.sum()))
        if not whole:
            bad = ~np.isfinite(values).reshape(rows, -1).all(axis=1) & accepted
            faults.append((Finding(NOT_FINITE, item.name, "score is not finite"), bad))
    return found(rows, faults)


def numbers_of(item: Answer, array: pa.Array) -> Array:
    """The floats of a column of scores, one after the other; 0 where a row is null."""
    if item.width is not None:
        array = array.values.slice(array.offset * item.width, len(array) * item.width)
    elif array.null_count:
        array = array.fill_null(zero(array.type))
    return np.asarray(array.to_numpy(zero_copy_only=True))
