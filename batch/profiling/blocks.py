"""Which block each row belongs to: a day, an hour, a value of a column, or so many rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

from mlpack_edge.batch.contract.columns import coded
from mlpack_edge.batch.counted import counted
from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.cells import category_text

DAY, HOUR, VALUE, ROWS = "day", "hour", "value", "rows"
#: Blocks of a reference for which nobody said how to cut it, and the fewest rows of one.
BLOCKS, FEWEST_ROWS = 100, 100
#: What is advised where a column is no time: of a spec, and of a build, which takes days alone.
_VALUES = "; --block value takes each value of a column"
_TO_DAYS = ": pandas.to_datetime(column, unit='s') makes times of seconds since 1970, format='%d.%m.%Y' of other texts"
_DAY_TEXT = re.compile(r"\d{4}-\d{2}-\d{2}(?![0-9])")
SECONDS = {DAY: 86_400, HOUR: 3600}
_ROWS_TEXT = re.compile(r"([1-9][0-9]{0,11})(?: ?rows?)?")
Key = int | float | str


@dataclass(frozen=True, slots=True)
class BlockRule:
    """unit: DAY, HOUR, VALUE or ROWS. by: the column, "" for rows. size: rows of a block. advice: where a value is no day."""

    unit: str
    by: str = ""
    size: int = 0
    advice: str = _VALUES

    def of(self, batch: Any, first: int) -> Iterator[tuple[Key, str, NDArray[np.int64]]]:
        """The key that orders a block, its label, and its rows in this batch; first: the number of the batch's first row.

        Raises BadInput where the column says nothing of a row, or no day of it.
        """
        if self.unit == ROWS:
            numbers = (first + np.arange(batch.num_rows)) // self.size
            return _grouped(
                numbers,
                [(int(number), f"row {number * self.size:,}") for number in np.unique(numbers).tolist()],
                numbers=True,
            )
        view = coded(batch.column(self.by))
        if view.missing is not None and view.missing.any():
            at = int(np.flatnonzero(view.missing)[0])
            raise BadInput(
                f"column {self.by!r} is missing in {counted(int(view.missing.sum()), 'row')}, first in row {first + at:,} (from 0)",
                "leave those rows out: every row belongs to a block",
            )
        keys = [self._key(value) for value in _plain(view.values, self.by)]
        return _grouped(view.codes.astype(np.int64), keys)

    def _key(self, value: Any) -> tuple[Key, str]:
        if self.unit == VALUE:
            text = category_text(value) or ""
            return (value if isinstance(value, int | float) else text), text
        when = _time(value, self.by, self.advice)
        number = int(when.replace(tzinfo=UTC).timestamp()) // SECONDS[self.unit]
        return number, when.strftime("%Y-%m-%d" if self.unit == DAY else "%Y-%m-%dT%H")


def rule_of(text: str, by: str, schema: pa.Schema, rows: int, first: pa.Array | None = None) -> BlockRule:
    """text: what --block says, "" for what the column suggests: days of times, and of texts that are all days among the
    `first` values of the column, else values; without a column 100 blocks of rows. Raises BadInput naming what does not go
    together."""
    if by:
        _expect(by, schema)
    if match := _ROWS_TEXT.fullmatch(text):
        if by:
            raise BadInput(f"--block {text} goes without --by", "rows are taken in the order of the file")
        return BlockRule(ROWS, "", int(match[1]))
    if text not in ("", DAY, HOUR, VALUE):
        raise BadInput(
            f"--block {text!r} is no size of a block", "day, hour, value, or a number of rows such as '5000 rows'"
        )
    if not by:
        if text:
            raise BadInput(f"--block {text} needs the column of the time", "name it with --by")
        return BlockRule(ROWS, "", max(FEWEST_ROWS, -(-rows // BLOCKS)))
    kind = schema.field(by).type
    temporal = types.is_timestamp(kind) or types.is_date(kind)
    if text in (DAY, HOUR) and not temporal and not _is_text(kind):
        raise _no_time(by, kind, _VALUES)
    if not text and first is not None and _is_text(kind) and _are_days(first):
        return BlockRule(DAY, by)
    return BlockRule(text or (DAY if temporal else VALUE), by)


def days_of(by: str, schema: pa.Schema) -> BlockRule:
    """A block a day, and no other. Raises BadInput where the data has no such column, or it is no time."""
    _expect(by, schema)
    kind = schema.field(by).type
    if not (types.is_timestamp(kind) or types.is_date(kind) or _is_text(kind) or types.is_null(kind)):
        raise _no_time(by, kind, _TO_DAYS)
    return BlockRule(DAY, by, advice=_TO_DAYS)


def _expect(by: str, schema: pa.Schema) -> None:
    if by not in schema.names:
        shown = ", ".join(schema.names[:20]) + (" ..." if len(schema.names) > 20 else "")
        raise BadInput(f"--by: the data has no column {by!r}", f"its columns are {shown}")


def _no_time(by: str, kind: Any, advice: str) -> BadInput:
    return BadInput(
        f"--by: column {by!r} is {kind}, no time",
        f"name a column of dates, timestamps, or texts that begin as 2026-02-28{advice}",
    )


def _are_days(values: Any) -> bool:
    """Whether all texts begin as days are written: 2026-02-28."""
    texts = [text for text in values.unique().to_pylist() if text is not None]
    return bool(texts) and all(_DAY_TEXT.match(text) for text in texts)


def _plain(values: Any, by: str) -> list[Any]:
    """Distinct values; times as wall clocks of their own zone."""
    try:
        if types.is_timestamp(values.type):
            if values.type.tz is not None:
                values = pc.local_timestamp(values)
            values = pc.floor_temporal(values, unit="second").cast(pa.timestamp("s"))
        return list(values.to_pylist())
    except (ValueError, OverflowError, pa.ArrowException) as fault:
        raise BadInput(
            f"column {by!r} holds a value that is no time or text",
            "leave those rows out, or take another column",
            why=str(fault)[:200],
        ) from fault


def _time(value: Any, by: str, advice: str) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    try:
        return datetime.fromisoformat(str(value)).replace(tzinfo=None)
    except ValueError:
        raise BadInput(
            f"column {by!r} holds {str(value)[:40]!r}, which is no day",
            f"write days as 2026-02-28{advice}",
        ) from None


def _grouped(
    codes: NDArray[np.int64], keys: list[tuple[Key, str]], numbers: bool = False
) -> Iterator[tuple[Key, str, NDArray[np.int64]]]:
    """numbers: the codes are the keys themselves."""
    blocks: dict[tuple[Key, str], list[int]] = {}
    for code, key in enumerate(keys):
        blocks.setdefault(key, []).append(int(key[0]) if numbers else code)
    for key, mine in blocks.items():
        rows = np.flatnonzero(codes == mine[0] if len(mine) == 1 else np.isin(codes, mine))
        if len(rows):
            yield *key, rows


def _is_text(kind: Any) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind))
