"""Arrays that follow from a column's texts alone: made once for each text, and looked up for each row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlpack_edge.batch.scoring.texts import Texts, decoded
from mlpack_edge.core.errors import CheckFailed
from mlpack_edge.core.signature import MISSING_TEXT

Array = NDArray[Any]
Codes = NDArray[np.int32]

#: Texts that are remembered; beyond, all are forgotten, which costs time and changes nothing.
REMEMBERED = 1 << 16
#: Texts that are computed at once, and bytes that the distinct rows may take before they are forgotten too.
COMPUTED = 4096
TABLE_BYTES = 16 << 20
#: The code of a text on which `compute` stops: in no table, so that the model stops on the row.
STOPS = np.iinfo(np.int32).max


class TextTable:
    """Distinct rows of arrays, and which of them a text has.

    `compute` takes texts `[v]` and gives arrays `[v, ...]`, each row of its text alone. Thousands of unknown texts have
    one row together, so the tables stay small whatever the column holds.
    """

    def __init__(self, compute: Callable[[Texts], tuple[Array, ...]]) -> None:
        self._compute = compute
        self._codes: dict[str, int] = {}
        self._rows: dict[tuple[bytes, ...], int] = {}
        self.tables: tuple[Array, ...] = ()
        self._forget()
        #: The dictionary of the last batch (kept, so that its address is its own) and the code of each of its texts.
        self._last: tuple[tuple[int, ...], pa.Array] | None = None
        self._last_codes: Codes = np.zeros(0, np.int32)

    def look_up(self, column: pa.Array) -> tuple[Codes, tuple[Array, ...]]:
        """The rows of the tables, int32 `[rows]`, for a column of texts or a dictionary of them, and the tables `[v, ...]`.

        Null is MISSING_TEXT, and so is a text that is no UTF-8. The codes go with these tables, not with later ones.
        """
        if pa.types.is_null(column.type):
            column = column.cast(pa.string())
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        known = self._of_dictionary(column.dictionary)
        places = column.indices
        if places.null_count:
            places = places.cast(pa.int64()).fill_null(len(column.dictionary))
        # "clip" is numpy's fast way; Arrow's own places are never outside.
        return known.take(places.to_numpy(zero_copy_only=True), mode="clip"), self.tables

    def _of_dictionary(self, dictionary: pa.Array) -> Codes:
        """The codes in the order of a dictionary, and behind them that of the missing text."""
        buffers = (buffer.address if buffer else 0 for buffer in dictionary.buffers())
        address = (dictionary.offset, len(dictionary), *buffers)
        if self._last is None or self._last[0] != address:
            values, _ = decoded(dictionary)
            self._last_codes = self._of_texts([*values.tolist(), MISSING_TEXT])
            self._last = (address, dictionary)
        return self._last_codes

    def _of_texts(self, values: list[str]) -> Codes:
        if len(self._codes) > REMEMBERED or sum(table.nbytes for table in self.tables) > TABLE_BYTES:
            self._forget()
        unseen = list(dict.fromkeys(value for value in values if value not in self._codes))
        for start in range(0, len(unseen), COMPUTED):
            self._learn(unseen[start : start + COMPUTED])
        return np.array([self._codes[value] for value in values], np.int32)

    def _learn(self, values: list[str]) -> None:
        try:
            made = self._compute(objects(values))
        except CheckFailed:
            if len(values) == 1:
                self._codes[values[0]] = STOPS
                return
            for value in values:
                self._learn([value])
            return
        fresh = []
        for row, value in enumerate(values):
            key = tuple(array[row].tobytes() for array in made)
            if key not in self._rows:
                self._rows[key] = len(self._rows)
                fresh.append(row)
            self._codes[value] = self._rows[key]
        if fresh:
            new = tuple(array[fresh] for array in made)
            both = zip(self.tables, new, strict=True) if self.tables else ()
            self.tables = tuple(np.concatenate(pair) for pair in both) or new

    def _forget(self) -> None:
        self._codes, self._rows, self.tables = {}, {}, ()
        self._learn([MISSING_TEXT])


def objects(values: list[str]) -> Texts:
    """`[v]`, never anything but objects."""
    made = np.empty(len(values), object)
    made[:] = values
    return made
