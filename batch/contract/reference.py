"""What a draft of a contract is made from: counts, extremes and categories of reference rows, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow
from pyarrow import types

from mlpack_edge.batch.contract.columns import Mask, coded, missing_of, numbers_of
from mlpack_edge.batch.contract.keys import MOST_CATEGORIES
from mlpack_edge.batch.contract.known import fits
from mlpack_edge.batch.contract.schema import family_of_type
from mlpack_edge.batch.contract.value_counts import ValueCounts
from mlpack_edge.core.signature import Column

#: With more different values a column is not one that a night's file may have only one of, as a month or a carrier.
MANY = 50


@dataclass(slots=True)
class ColumnReference:
    """Of one column. low, high: of its finite numbers; numbers: different ones, not many more than MANY of them.

    counts: its values, of texts and of what the model knows categories of.
    """

    column: Column
    kind: Any
    nulls: int = 0
    zeros: int = 0
    low: int | float | None = None
    high: int | float | None = None
    counts: ValueCounts | None = field(init=False)
    numbers: set[float] = field(default_factory=set)

    def __post_init__(self) -> None:
        categories = self.column.categories if self.comparable else None
        self.counts = ValueCounts(MOST_CATEGORIES, categories) if categories or self.family == "text" else None

    @property
    def family(self) -> str:
        return family_of_type(self.kind)

    @property
    def value_type(self) -> Any:
        """The Arrow type of its values, dictionary or not."""
        return self.kind.value_type if types.is_dictionary(self.kind) else self.kind

    @property
    def comparable(self) -> bool:
        """Whether the model's categories are of the type of the column."""
        return any(fits(item, self.value_type) for item in self.column.categories)

    @property
    def varies(self) -> bool:
        """Whether it has more than MANY different values."""
        state = self.state()
        if state is None:
            return len(self.numbers) > MANY
        return bool(state["values"]["many"]) or len(state["values"]["of"]) > MANY

    def state(self) -> dict[str, Any] | None:
        """`nulls`, `values`, and `unseen` and `strange` where the model knows categories; None where nobody counted."""
        return None if self.counts is None else {"nulls": self.nulls, **self.counts.state()}

    def add(self, array: Any) -> Mask:
        """Count a piece of the column; gives the rows that cannot be scored: missing where the model takes none, infinite."""
        bad = np.zeros(len(array), np.bool_)
        missing = missing_of(array)
        if missing is not None:
            self.nulls += int(np.count_nonzero(missing))
            if not self.column.missing:
                bad |= missing
        if self.counts:
            self.counts.update(coded(array))
        if self.family in ("whole", "number", "bool"):
            bad |= self._add_numbers(array)
        return bad

    def _add_numbers(self, array: Any) -> Mask:
        numbers = numbers_of(array)
        if len(self.numbers) <= MANY:
            there = numbers.values if numbers.missing is None else numbers.values[~numbers.missing]
            self.numbers.update(np.unique(there)[: MANY + 1].tolist())
        self.zeros += numbers.zeros()
        low, high = numbers.low, numbers.high
        infinite = np.zeros(len(array), np.bool_)
        if low is None or high is None:
            return infinite
        if math.isinf(low) or math.isinf(high):
            infinite = numbers.where(np.isinf(numbers.values))
            there = numbers.values[np.isfinite(numbers.values) & numbers.where(~infinite)]
            if not len(there):
                return infinite
            low, high = there.min().item(), there.max().item()
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)
        return infinite


@dataclass(frozen=True, slots=True)
class Reference:
    """Reference rows as counts. rejected: rows that cannot be scored."""

    rows: int
    rejected: int
    columns: dict[str, ColumnReference]


def gather(columns: Iterable[Column], batches: Iterable[pyarrow.RecordBatch], schema: pyarrow.Schema) -> Reference:
    """Read the rows once. KeyError where the schema lacks a column."""
    found = {column.name: ColumnReference(column, schema.field(column.name).type) for column in columns}
    rows = rejected = 0
    for batch in batches:
        bad = np.zeros(batch.num_rows, np.bool_)
        for name, column in found.items():
            bad |= column.add(batch.column(name))
        rows += batch.num_rows
        rejected += int(np.count_nonzero(bad))
    return Reference(rows, rejected, found)
