"""What the cells of a CSV column can be read as. A type follows from all cells, never from the first ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from mlpack_edge.batch.inputs.schemas import TEXT
from mlpack_edge.batch.inputs.wanted import NUMBER, NUMBERS, TRUTH, WHOLE
from mlpack_edge.core.errors import BadInput

#: What people and programs write where a number is missing. In a text column each of them is a text.
MISSING = ("NA", "N/A", "n/a", "NULL", "null", "None")
#: Numbers that are codes when nobody says they are numbers: a plus sign (telephone numbers), leading zeros, more digits
#: than a float holds: 16 of a whole number, 18 significant ones of a fraction (17 tell every float64 apart).
_CODE = r"^ *\+|^ *-?0[0-9]|^ *-?[0-9]{16,}|^ *-?[0.]*[1-9](?:\.?[0-9]){17,}"
#: The type of a column without one value, which speaks against none: what the model takes.
EMPTY = {NUMBER: pa.float64(), WHOLE: pa.int64(), TRUTH: pa.bool_()}
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


@dataclass(slots=True)
class Cells:
    """What is known of the cells of a column seen so far.

    wanted: what the model takes it as: one of NUMBERS, "text", or "" where it does not. missing: cells that hold a word for a
    missing number. odd: the first cell that is no number, with its row counted from 0.
    """

    wanted: str
    filled: int = 0
    missing: int = 0
    whole: bool = True
    number: bool = True
    truth: bool = True
    code: bool = False
    odd: tuple[int, str] | None = None

    def see(self, column: Any, row: int) -> None:
        """Take in text cells (`pyarrow.StringArray`) of which the first stands in row `row`."""
        if self.wanted == "text" or (not self.wanted and not self.number):
            return
        text = pl.Series(pl.from_arrow(column))
        if not self.wanted:
            self.code = self.code or _holds_code(column)
        if self.number and _cast(text, pa.int64() if self.whole else pa.float64()) is not None:
            filled = len(text) - text.null_count()
            self.filled += filled
            self.truth = self.truth and not filled
            return
        self._see_odd(text, row)

    def _see_odd(self, text: Any, row: int) -> None:
        text = _stripped(text)
        absent = text.is_in(MISSING).fill_null(False)
        self.missing += int(absent.sum())
        cells = text.set(absent, None)
        filled = cells.drop_nulls()
        self.filled += len(filled)
        self.truth = self.truth and bool(filled.is_in(list(_TRUTHS)).all())
        if not self.number:
            return
        self.whole = self.whole and _cast(filled, pa.int64()) is not None
        bad = cells.is_not_null() & cells.cast(pl.Float64, strict=False).is_null()
        if bad.any():
            first = int(bad.arg_true()[0])
            self.number, self.whole, self.odd = False, False, (row + first, str(cells[first]))

    def kind(self, name: str, column: str) -> Any:
        """The Arrow type of the column. Raises BadInput where a number is wanted and a cell is none."""
        if self.wanted == "text":
            return TEXT
        if not self.wanted:
            sure = self.filled and self.number and not self.missing and not self.code
            return (pa.int64() if self.whole else pa.float64()) if sure else TEXT
        if self.filled and self.truth:
            return pa.bool_()
        if self.odd is not None:
            row, value = self.odd
            raise BadInput(
                f"{name}: column {column!r} should hold numbers, and holds {value[:80]!r} in row {row} (counted from 0)",
                "mend the cell; leave it empty where the number is missing",
                column=column, row=row,
            )  # fmt: skip
        if not self.filled:
            return EMPTY[self.wanted]
        return pa.int64() if self.whole else pa.float64()


def read_as(column: Any, kind: Any, wanted: str) -> Any | None:
    """The text cells as an array of type `kind`; None where one of them cannot be read so."""
    if kind == TEXT:
        return column
    if wanted not in NUMBERS and _holds_code(column):
        return None
    text = pl.Series(pl.from_arrow(column))
    made = _cast(text, kind)
    if made is None:  # seldom: spaces, words for missing
        text = _stripped(text)
        made = _cast(text.set(text.is_in(MISSING).fill_null(False), None) if wanted in NUMBERS else text, kind)
    return None if made is None else made.to_arrow()


def _holds_code(column: Any) -> bool:
    return bool(pc.any(pc.match_substring_regex(column, _CODE)).as_py())


def _cast(text: Any, kind: Any) -> Any | None:
    if pa.types.is_boolean(kind):
        made = text.replace_strict(_TRUTHS, default=None, return_dtype=pl.Boolean)
    else:
        made = text.cast(pl.Int64 if pa.types.is_integer(kind) else pl.Float64, strict=False)
    return None if made.null_count() != text.null_count() else made


def _stripped(text: Any) -> Any:
    """Without spaces around cells; cells of nothing but spaces are missing."""
    text = text.str.strip_chars(" ")
    return text.set(text == "", None)
