"""From a batch of rows to the arrays a model takes, and the rows it does not take: the default rules of every run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlpack_edge.batch.scoring.columns import Cell, Fed, depth
from mlpack_edge.batch.scoring.findings import Finding
from mlpack_edge.batch.scoring.numbers import INEXACT, INFINITY, MISSING, number_faults, numbers
from mlpack_edge.batch.scoring.texts import ENCODING, text_faults, texts
from mlpack_edge.batch.scoring.vectors import flattened, spread
from mlpack_edge.core.signature import MISSING_TEXT

Array = NDArray[Any]
Mask = NDArray[np.bool_]

SIZE = "size"
_REASONS = {
    MISSING: "a missing value, and the model takes none in this column",
    INFINITY: "infinite, or too large for the model's {dtype}",
    INEXACT: "a whole number that the model's {dtype} does not hold exactly",
    ENCODING: "a text that is not UTF-8",
    SIZE: "not a list of {width} values",
}


def feed(item: Fed, batch: pa.RecordBatch) -> Array:
    """The array of one input: `[rows, ...]` of its shape and dtype, contiguous. A view of Arrow's memory where it can be."""
    rows = batch.num_rows
    shape = (rows, *(int(size) for size in item.spec.shape[1:]))
    if item.vector:
        flat, good = flattened(batch.column(item.cells[0].column), _sizes(item, batch))
        made = spread(_values(item, flat), good, item.width)
        if item.is_text and not good.all():
            made[~good] = MISSING_TEXT
        return made.reshape(shape)
    if len(item.cells) == 1:
        return np.ascontiguousarray(_values(item, batch.column(item.cells[0].column))).reshape(shape)
    made = np.empty((rows, item.width), object if item.is_text else np.dtype(item.spec.dtype))
    for place, cell in enumerate(item.cells):
        made[:, place] = _values(item, batch.column(cell.column))
    return made.reshape(shape)


def faults(fed: Sequence[Fed], batch: pa.RecordBatch) -> Iterator[tuple[Finding, Mask]]:
    """What in the rows no model may be given, by column in the order of the inputs."""
    for item in fed:
        for cell in item.cells:
            column = batch.column(cell.column)
            for rule, mask in _vector_faults(item, cell, batch) if item.vector else _faults(item, cell, column):
                yield finding(item, cell, rule), mask


def finding(item: Fed, cell: Cell, rule: str) -> Finding:
    return Finding(rule, cell.column, _REASONS[rule].format(dtype=item.spec.dtype, width=item.width))


def _values(item: Fed, column: pa.Array) -> Array:
    return texts(column) if item.is_text else numbers(column, np.dtype(item.spec.dtype))


def _faults(item: Fed, cell: Cell, column: pa.Array) -> Iterator[tuple[str, Mask]]:
    if item.is_text:
        return text_faults(column, cell.missing)
    return number_faults(column, np.dtype(item.spec.dtype), cell.missing)


def _vector_faults(item: Fed, cell: Cell, batch: pa.RecordBatch) -> Iterator[tuple[str, Mask]]:
    column = batch.column(cell.column)
    flat, good = flattened(column, _sizes(item, batch))
    if not good.all():
        absent = np.asarray(column.is_null().to_numpy(zero_copy_only=False))
        yield MISSING, absent
        yield SIZE, ~good & ~absent
    for rule, mask in _faults(item, cell, flat):
        yield rule, spread(mask, good, item.width).any(axis=1)


def _sizes(item: Fed, batch: pa.RecordBatch) -> tuple[int, ...]:
    levels = depth(batch.schema.field(item.cells[0].column).type)
    return (item.width,) if levels == 1 else tuple(int(size) for size in item.spec.shape[1:])
