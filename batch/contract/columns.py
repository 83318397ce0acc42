"""Arrow columns as rules look at them: numbers with their extremes, and codes into the distinct values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow
import pyarrow.compute
from numpy.typing import NDArray
from pyarrow import types

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of numbers: `values` `[rows]`, which say nothing where `missing` (null or NaN; None is nowhere).

    low, high: the least and the largest value that is there, None where none is. Decimals are float64, half floats
    float32, bools 0 and 1, dates and times whole numbers of their own unit.
    """

    values: NDArray[Any]
    missing: Mask | None
    low: int | float | None
    high: int | float | None

    def where(self, mask: Mask) -> Mask:
        """`mask`, without the places that hold no value."""
        return mask if self.missing is None else mask & ~self.missing

    def zeros(self) -> int:
        """How many values are zero, -0.0 among them."""
        if self.low is None or self.high is None or not self.low <= 0 <= self.high:
            return 0
        if self.missing is None:
            return len(self.values) - int(np.count_nonzero(self.values))
        return int(np.count_nonzero(self.where(self.values == 0)))


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of values of which few differ: `values[codes]` is row by row what it holds, where it is not `missing`.

    codes: `[rows]`, 0 where missing. values: an Arrow array; a value may be there twice, or not be used.
    """

    codes: NDArray[Any]
    values: Any
    missing: Mask | None

    def rows(self, of_values: Mask) -> Mask:
        """Row by row what `of_values` says of each value; no for what is missing."""
        if not of_values.any():
            return np.zeros(len(self.codes), np.bool_)
        mask: Mask = of_values[self.codes]
        return mask if self.missing is None else mask & ~self.missing

    def counts(self) -> NDArray[np.int64]:
        """How often each of `values` comes."""
        codes = self.codes if self.missing is None else self.codes[~self.missing]
        return np.bincount(codes, minlength=len(self.values)).astype(np.int64, copy=False)


class Views:
    """The columns of one batch as `Numbers` and as `Coded`, each made once for whoever looks at them next."""

    def __init__(self) -> None:
        self._batch: Any = None
        self._made: dict[tuple[Callable[[Any], Any], str], Any] = {}

    def of(self, batch: pyarrow.RecordBatch) -> Views:
        """These views, of this very batch; what was made of another is let go."""
        if self._batch is not batch:
            self._batch, self._made = batch, {}
        return self

    def numbers(self, name: str) -> Numbers:
        """See `numbers_of`."""
        return cast("Numbers", self._view(numbers_of, name))

    def coded(self, name: str) -> Coded:
        """See `coded`."""
        return cast("Coded", self._view(coded, name))

    def missing(self, name: str) -> Mask | None:
        """See `missing_of`; of a view that is there already, if any."""
        for make in (numbers_of, coded):
            if (make, name) in self._made:
                return cast("Mask | None", self._made[make, name].missing)
        return cast("Mask | None", self._view(missing_of, name))

    def _view(self, make: Callable[[Any], Any], name: str) -> Any:
        if (make, name) not in self._made:
            self._made[make, name] = make(self._batch.column(name))
        return self._made[make, name]


def numbers_of(array: Any) -> Numbers:
    """Of an Arrow array of numbers, bools, dates or times; a column that is null throughout is numbers as well."""
    array = _plain(array)
    if not array.null_count:
        values = array.to_numpy(zero_copy_only=True)
        if not len(values):
            return Numbers(values, None, None, None)
        low, high = values.min(), values.max()
        if not np.isnan(low):  # numpy hands a NaN on
            return Numbers(values, None, low.item(), high.item())
        missing = np.isnan(values)
    else:
        values = array.fill_null(0).to_numpy(zero_copy_only=False)
        missing = mask_of(array.is_null(nan_is_null=types.is_floating(array.type)))
    there = values[~missing]
    low, high = (there.min().item(), there.max().item()) if len(there) else (None, None)
    return Numbers(values, missing, low, high)


def coded(array: Any) -> Coded:
    """Of an Arrow array of any plain type, dictionaries as they are."""
    if types.is_null(array.type):
        return Coded(np.zeros(len(array), np.int32), array.cast(pyarrow.string())[:0], np.ones(len(array), np.bool_))
    if types.is_string_view(array.type):
        array = array.cast(pyarrow.large_string())
    if not types.is_dictionary(array.type):
        array = array.dictionary_encode()
    indices, values = array.indices, array.dictionary
    if types.is_string_view(values.type):  # for which Arrow has few functions
        values = values.cast(pyarrow.large_string())
    missing = mask_of(indices.is_null()) if indices.null_count else None
    codes = (indices.fill_null(0) if indices.null_count else indices).to_numpy(zero_copy_only=False)
    absent = mask_of(values.is_null(nan_is_null=types.is_floating(values.type)))
    if absent.any():
        missing = absent[codes] if missing is None else missing | absent[codes]
    return Coded(codes, values, missing)


def missing_of(array: Any) -> Mask | None:
    """bool `[rows]`: null, or NaN in floats; None where no row is."""
    if types.is_dictionary(array.type):
        return coded(array).missing if array.null_count or array.dictionary.null_count else None
    if types.is_floating(array.type) or types.is_null(array.type):
        return numbers_of(array).missing
    return mask_of(array.is_null()) if array.null_count else None


def mask_of(array: Any) -> Mask:
    """An Arrow array of bools without nulls as numpy's."""
    return np.asarray(array.to_numpy(zero_copy_only=False), np.bool_)


def _plain(array: Any) -> Any:
    """Of a type that numpy takes as it is."""
    kind = array.type
    if types.is_dictionary(kind):
        return _plain(array.dictionary_decode())
    if types.is_decimal(kind):
        return array.cast(pyarrow.float64())
    if types.is_float16(kind):
        return array.cast(pyarrow.float32())
    if types.is_boolean(kind):
        return array.cast(pyarrow.uint8())
    if types.is_date32(kind):
        return array.cast(pyarrow.int32())
    if types.is_date64(kind) or types.is_timestamp(kind):
        return array.cast(pyarrow.int64())
    if types.is_null(kind):
        return array.cast(pyarrow.float64())
    return array
