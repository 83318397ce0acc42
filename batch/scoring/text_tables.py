"""Arrays that follow from a column's texts alone: made once for each text, and looked up for each row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlpack_edge.batch.scoring.texts import Texts, decoded
from mlpack_edge.core.signature import MISSING_TEXT

Array = NDArray[Any]

#: Texts that are remembered; beyond, all are forgotten, which costs time and changes nothing.
REMEMBERED = 1 << 16


class TextTable:
    """Rows of arrays by text. `compute` takes texts `[v]` and gives arrays `[v, ...]`, each row of its text alone."""

    def __init__(self, compute: Callable[[Texts], tuple[Array, ...]]) -> None:
        self._compute = compute
        self._places: dict[str, int] = {}
        self._tables: tuple[Array, ...] = ()
        self._forget()
        #: The dictionary of the last batch (kept, so that its address is its own) and its rows of the tables.
        self._last: tuple[tuple[int, ...], pa.Array] | None = None
        self._rows: tuple[Array, ...] = ()

    def rows(self, column: pa.Array) -> tuple[Array, ...]:
        """For each row of a column of texts, or of a dictionary of them, its rows of the tables: `[rows, ...]` each.

        Null is MISSING_TEXT, and so is a text that is no UTF-8.
        """
        if pa.types.is_null(column.type):
            column = column.cast(pa.string())
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        tables = self._of_dictionary(column.dictionary)
        codes = column.indices
        if codes.null_count:
            codes = codes.cast(pa.int64()).fill_null(len(column.dictionary))
        places = codes.to_numpy(zero_copy_only=True)
        return tuple(table.take(places, axis=0, mode="clip") for table in tables)

    def _of_dictionary(self, dictionary: pa.Array) -> tuple[Array, ...]:
        """The tables in the order of a dictionary, and behind it the row of the missing text."""
        address = (
            dictionary.offset,
            len(dictionary),
            *(buffer.address if buffer else 0 for buffer in dictionary.buffers()),
        )
        if self._last is None or self._last[0] != address:
            values, _ = decoded(dictionary)
            self._rows = self._of_texts([*values.tolist(), MISSING_TEXT])
            self._last = (address, dictionary)
        return self._rows

    def _of_texts(self, values: list[str]) -> tuple[Array, ...]:
        unseen = list(dict.fromkeys(value for value in values if value not in self._places))
        if len(self._places) + len(unseen) > REMEMBERED:
            self._forget()
            unseen = list(dict.fromkeys(value for value in values if value not in self._places))
        if unseen:
            made = self._compute(np.array([*unseen, None], object)[:-1])
            self._places.update(zip(unseen, range(len(self._places), len(self._places) + len(unseen)), strict=True))
            self._tables = tuple(np.concatenate(pair) for pair in zip(self._tables, made, strict=True))
        places = np.array([self._places[value] for value in values], np.int64)
        return tuple(table[places] for table in self._tables)

    def _forget(self) -> None:
        self._places = {MISSING_TEXT: 0}
        self._tables = self._compute(np.array([MISSING_TEXT, None], object)[:-1])
