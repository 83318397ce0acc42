"""Columns of numbers: as the arrays a model takes, and which of their rows it does not take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Array = NDArray[Any]
Mask = NDArray[np.bool_]

MISSING, INFINITY, INEXACT = "missing", "infinity", "inexact"


def numbers(array: pa.Array, dtype: np.dtype[Any]) -> Array:
    """`[rows]` in `dtype`, a view of the Arrow buffer where that is the same; nulls are NaN in floats and 0 in others.

    Rows that `number_faults` names hold no meaning.
    """
    array = _plain(array)
    if not array.null_count:
        return _values(array, dtype)
    made = _values(pc.fill_null(array, zero(array.type)), dtype)
    if dtype.kind == "f":
        made = np.array(made)
        made[nulls(array)] = np.nan
    return made


def number_faults(array: pa.Array, dtype: np.dtype[Any], missing: bool) -> Iterator[tuple[str, Mask]]:
    """(rule, bool `[rows]`) of what does not go into `dtype`; nothing where every row does.

    missing: whether NaN (and null, which becomes it) is taken. "missing": it is not, or `dtype` has no NaN. "infinity":
    as such, or above what the dtype holds. "inexact": a whole number that `dtype` does not hold exactly.
    """
    array = _plain(array)
    absent = array.null_count and not (missing and dtype.kind == "f")
    if array.null_count:
        if absent:
            yield MISSING, nulls(array)
        array = pc.fill_null(array, zero(array.type))
    if pa.types.is_boolean(array.type) or not len(array):
        return
    values = _source(array)
    if values.dtype.kind == "f":
        yield from _float_faults(values, dtype, missing)
    elif dtype.kind in "iu":
        limits = np.iinfo(dtype)
        low, high = int(values.min()), int(values.max())
        if low < limits.min or high > limits.max:
            yield INEXACT, _below(values, limits.min) | _above(values, limits.max)
    elif max(-int(values.min()), int(values.max())) > 2 ** (np.finfo(dtype).nmant + 1):
        yield INEXACT, _rounded(values, dtype)


def nulls(array: pa.Array) -> Mask:
    """bool `[rows]`."""
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False))


def zero(kind: pa.DataType) -> pa.Scalar:
    """0 or false of a numpy type's Arrow twin; Arrow itself makes no bool or float16 of a Python 0."""
    return pa.array(np.zeros(1, kind.to_pandas_dtype()))[0]


def _plain(array: pa.Array) -> pa.Array:
    """Dictionaries of numbers written out, nothing known (null) as float64, decimals as the nearest float64."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if pa.types.is_null(kind) or pa.types.is_decimal(kind):
        array = array.cast(pa.float64())
    return array


def _source(array: pa.Array) -> Array:
    """Without nulls, as numpy has them."""
    if pa.types.is_boolean(array.type):
        return np.asarray(array.to_numpy(zero_copy_only=False))
    return np.asarray(array.to_numpy(zero_copy_only=True))


def _values(array: pa.Array, dtype: np.dtype[Any]) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        return _source(array).astype(dtype, copy=False)


def _float_faults(values: Array, dtype: np.dtype[Any], missing: bool) -> Iterator[tuple[str, Mask]]:
    with np.errstate(over="ignore", invalid="ignore"):
        # One pass that NaN and infinity do not get through; a sum that merely overflows is looked at again.
        finite = bool(np.isfinite(values.sum(dtype=None if values.dtype.itemsize > 2 else np.float32)))
    narrower = dtype.itemsize < values.dtype.itemsize
    if finite and not (narrower and not _within(values, dtype)):
        return
    if not missing:
        mask = np.isnan(values)
        if mask.any():
            yield MISSING, mask
    with np.errstate(over="ignore"):
        mask = np.isinf(values.astype(dtype, copy=False))
    if mask.any():
        yield INFINITY, mask


def _within(values: Array, dtype: np.dtype[Any]) -> bool:
    limit = float(np.finfo(dtype).max)
    return bool(values.min() >= -limit and values.max() <= limit)


def _below(values: Array, limit: int) -> Mask:
    # An unsigned number is below no limit, and numpy compares no negative Python number with it.
    return np.zeros(len(values), bool) if values.dtype.kind == "u" else np.asarray(values < max(limit, -(2**63)))


def _above(values: Array, limit: int) -> Mask:
    return np.asarray(values > limit) if limit <= np.iinfo(values.dtype).max else np.zeros(len(values), bool)


def _rounded(values: Array, dtype: np.dtype[Any]) -> Mask:
    """Which whole numbers are others in the float `dtype`."""
    with np.errstate(over="ignore", invalid="ignore"):
        made = values.astype(dtype).astype(np.float64)
        # A float at the end of the integers' range has no integer: what the cast gives there differs between processors.
        inside = (made < float(np.iinfo(values.dtype).max)) & (made >= float(np.iinfo(values.dtype).min))
        back = np.where(inside, made, 0.0).astype(values.dtype)
    return np.asarray(~inside | (back != values))
