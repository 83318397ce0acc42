"""What the calibration rows say of themselves: constant columns, and values that the signature does not know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.signature import MISSING_TEXT, Column, Signature

Array = NDArray[Any]
_SHOWN = 5
#: Distinct unknown values that are remembered of a column, and columns that a warning names.
_MOST_VALUES, _MOST_NAMES = 1000, 10


class InputFacts:
    """Looks at feeds as they pass. signature: names the columns, and knows categories and what may be missing."""

    def __init__(self, signature: Signature | None) -> None:
        self._columns: dict[tuple[str, int], Column] = {}
        if signature is not None:
            self._columns = {(column.input, column.index): column for column in signature.columns}
        self._first: dict[str, Array] = {}
        self._varies: dict[str, NDArray[np.bool_]] = {}
        self._unknown: dict[str, dict[str, int]] = {}
        self._missing: dict[str, int] = {}
        self._rows = 0

    def see(self, feeds: Mapping[str, Array], rows: int) -> None:
        """Feeds of `rows` rows."""
        self._rows += rows
        for name, array in feeds.items():
            if array.ndim and array.size and len(array) == rows:
                self._see_variation(name, array)
        for (name, index), column in self._columns.items():
            array = feeds.get(name, np.empty(0))
            if array.ndim == 2 and index < array.shape[1]:
                self._see_column(column, array[:, index])

    def warnings(self) -> list[str]:
        """In plain words, a line each."""
        found = []
        constant = [word for name in self._varies for word in self._constant(name)] if self._rows > 1 else []
        if constant:
            more = f" and {len(constant) - _MOST_NAMES} more" if len(constant) > _MOST_NAMES else ""
            found.append(
                f"the same value in all {self._rows} calibration rows: {', '.join(constant[:_MOST_NAMES])}{more}; "
                "what the model does with other values there is not known to calibration"
            )
        for name, values in self._unknown.items():
            shown = ", ".join(list(values)[:_SHOWN]) + (", ..." if len(values) > _SHOWN else "")
            count = sum(values.values())
            found.append(
                f"column {name!r} holds values that the model does not know, in {count} "
                f"row{'' if count == 1 else 's'}: {shown}"
            )
        for name, count in self._missing.items():
            found.append(
                f"column {name!r} is missing in {count} row{'' if count == 1 else 's'}, and the model was made for rows that have it"
            )
        return found

    def _see_variation(self, name: str, array: Array) -> None:
        """Per column of a table; else of the whole: whether any number differs from the first of all."""
        cells = array if array.ndim == 2 else array.reshape(-1, 1)
        if name not in self._first:
            self._first[name] = cells[0].copy()
            self._varies[name] = np.zeros(cells.shape[1], bool)
        varies = self._varies[name]
        if cells.shape[1] != len(varies):  # a sequence of another length
            varies[:] = True
        if not varies.all():
            open_ones = np.flatnonzero(~varies)
            first = self._first[name][open_ones]
            seen = cells[:, open_ones]
            same = seen == first
            if array.dtype.kind == "f":
                same |= np.isnan(seen) & np.isnan(first)
            varies[open_ones] = ~same.all(axis=0)

    def _constant(self, name: str) -> list[str]:
        varies = self._varies[name]
        if len(varies) == 1 and (name, 0) not in self._columns:
            return [] if varies[0] else [f"input {name!r}"]
        if not varies.any():
            return [f"input {name!r}"]
        return [
            f"column {self._columns[name, index].name!r}"
            if (name, index) in self._columns
            else f"column {index} of {name!r}"
            for index in np.flatnonzero(~varies).tolist()
        ]

    def _see_column(self, column: Column, cells: Array) -> None:
        gone = (
            cells == MISSING_TEXT if cells.dtype.kind == "O" else np.isnan(cells) if cells.dtype.kind == "f" else None
        )
        if gone is not None and gone.any():
            known = column.missing or (cells.dtype.kind == "O" and (column.kind == "text" or "" in column.categories))
            if not known:
                self._missing[column.name] = self._missing.get(column.name, 0) + int(gone.sum())
            cells = cells[~gone]
        if column.kind != "categorical" or not column.categories:
            return
        values, counts = np.unique(cells, return_counts=True)
        seen = self._unknown.get(column.name, {})
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            if value not in column.categories and (repr(value) in seen or len(seen) < _MOST_VALUES):
                self._unknown.setdefault(column.name, seen)[repr(value)] = seen.get(repr(value), 0) + count
