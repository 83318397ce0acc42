"""From a batch of rows to the arrays a model takes, and the rows it does not take: the default rules of every run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlpack_edge.batch.scoring.coded import Coded, add_coded
from mlpack_edge.batch.scoring.columns import Cell, Fed, levels
from mlpack_edge.batch.scoring.findings import Finding
from mlpack_edge.batch.scoring.numbers import INEXACT, INFINITY, MISSING, number_faults, numbers
from mlpack_edge.batch.scoring.runner import Feeds
from mlpack_edge.batch.scoring.text_tables import TextTable
from mlpack_edge.batch.scoring.texts import ENCODING, Texts, text_faults, texts
from mlpack_edge.batch.scoring.vectors import flattened, spread
from mlpack_edge.core.signature import MISSING_TEXT
from mlpack_edge.runtimes.category_codes import codes_from_text

Array = NDArray[Any]
Mask = NDArray[np.bool_]

SIZE = "size"
#: A text column may be NULL where the contract says so (`nulls`), and never silently.
NULL_TEXT = "null"
_REASONS = {
    MISSING: "a missing value, and the model takes none in this column",
    NULL_TEXT: "NULL, which the model would take for an unknown text",
    INFINITY: "infinite, or too large for the model's {dtype}",
    INEXACT: "a whole number that the model's {dtype} does not hold exactly",
    ENCODING: "a text that is not UTF-8",
    SIZE: "not a list of {width} values",
}


class Feeding:
    """From a batch to what the model, cut or not, takes. It remembers texts from batch to batch."""

    def __init__(self, fed: Sequence[Fed], cut: Coded | None) -> None:
        self._fed, self._cut = fed, cut
        self._codes = {
            cell.column: TextTable(_codes_of(item, cell))
            for item in fed
            for cell in item.cells
            if cell.text and item.spec.dtype != "string"
        }

    def __call__(self, batch: pa.RecordBatch) -> Feeds:
        """Arrays of the inputs' shapes and dtypes, contiguous; views of Arrow's memory where they can be.

        Rows that `faults` names hold no meaning.
        """
        feeds = Feeds({}, {})
        for item in self._fed:
            if self._cut is None or item.spec.name in self._cut.takes:
                feeds.rows[item.spec.name] = self._feed(item, batch)
            elif item.vector:
                matrix = self._feed(item, batch).reshape(batch.num_rows, -1)
                add_coded(feeds, self._cut, item.spec.name, [pa.array(column, pa.string()) for column in matrix.T])
            else:
                add_coded(feeds, self._cut, item.spec.name, [batch.column(cell.column) for cell in item.cells])
        return feeds

    def _feed(self, item: Fed, batch: pa.RecordBatch) -> Array:
        rows = batch.num_rows
        shape = (rows, *(int(size) for size in item.spec.shape[1:]))
        first = item.cells[0]
        if item.vector:
            flat, good = flattened(batch.column(first.column), _sizes(item, batch))
            made = spread(self._values(item, first, flat), good, item.width)
            if first.text and not good.all():
                made[~good] = MISSING_TEXT
            return made.reshape(shape)
        if len(item.cells) == 1:
            return np.ascontiguousarray(self._values(item, first, batch.column(first.column))).reshape(shape)
        made = np.empty((rows, item.width), object if item.spec.dtype == "string" else np.dtype(item.spec.dtype))
        for place, cell in enumerate(item.cells):
            made[:, place] = self._values(item, cell, batch.column(cell.column))
        return made.reshape(shape)

    def _values(self, item: Fed, cell: Cell, column: pa.Array) -> Array:
        if not cell.text:
            return numbers(column, np.dtype(item.spec.dtype))
        table = self._codes.get(cell.column)
        if table is None:
            return texts(column)
        codes, (values,) = table.look_up(column)
        return np.asarray(values.take(codes))


def _codes_of(item: Fed, cell: Cell) -> Callable[[Texts], tuple[Array, ...]]:
    assert cell.known is not None
    categories, dtype = cell.known.categories, np.dtype(item.spec.dtype)
    return lambda values: (codes_from_text(values, categories).astype(dtype),)


def faults(fed: Sequence[Fed], batch: pa.RecordBatch, null_texts: Collection[str]) -> Iterator[tuple[Finding, Mask]]:
    """What in the rows no model may be given, by column in the order of the inputs. null_texts: text columns that somebody
    said may be NULL."""
    for item in fed:
        for cell in item.cells:
            column = batch.column(cell.column)
            known = cell.column in null_texts
            for rule, mask in (
                _vector_faults(item, cell, batch, known) if item.vector else _faults(item, cell, column, known)
            ):
                yield finding(item, cell, rule), mask


def finding(item: Fed, cell: Cell, rule: str) -> Finding:
    return Finding(rule, cell.column, _REASONS[rule].format(dtype=item.spec.dtype, width=item.width))


def _faults(item: Fed, cell: Cell, column: pa.Array, null_texts: bool) -> Iterator[tuple[str, Mask]]:
    if not cell.text:
        yield from number_faults(column, np.dtype(item.spec.dtype), cell.missing)
        return
    for rule, mask in text_faults(column, cell.missing and null_texts):
        yield NULL_TEXT if rule == MISSING and cell.missing else rule, mask


def _vector_faults(item: Fed, cell: Cell, batch: pa.RecordBatch, null_texts: bool) -> Iterator[tuple[str, Mask]]:
    column = batch.column(cell.column)
    flat, good = flattened(column, _sizes(item, batch))
    if not good.all():
        absent = np.asarray(column.is_null().to_numpy(zero_copy_only=False))
        yield MISSING, absent
        yield SIZE, ~good & ~absent
    for rule, mask in _faults(item, cell, flat, null_texts):
        yield rule, np.asarray(spread(mask, good, item.width).any(axis=1))


def _sizes(item: Fed, batch: pa.RecordBatch) -> tuple[int, ...]:
    _, sizes = levels(batch.schema.field(item.cells[0].column).type)
    return (item.width,) if len(sizes) == 1 else tuple(int(size) for size in item.spec.shape[1:])
