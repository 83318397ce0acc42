"""Columns of text: as the object arrays a model takes, and which of their rows it does not take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlpack_edge.batch.scoring.numbers import MISSING, nulls
from mlpack_edge.core.signature import MISSING_TEXT

Mask = NDArray[np.bool_]
Texts = NDArray[np.object_]

ENCODING = "encoding"


def texts(array: pa.Array) -> Texts:
    """`[rows]` of str; null, and what is no UTF-8, is MISSING_TEXT."""
    if pa.types.is_dictionary(array.type):
        values, codes = texts(array.dictionary), array.indices
        table = np.append(values, np.array([MISSING_TEXT], object))
        if codes.null_count:
            codes = codes.fill_null(pa.scalar(0, codes.type))
            places = codes.to_numpy().copy()
            places[nulls(array.indices)] = len(values)
            return np.asarray(table[places])
        return np.asarray(table[codes.to_numpy()])
    values, _ = decoded(array)
    return values


def text_faults(array: pa.Array, missing: bool) -> Iterator[tuple[str, Mask]]:
    """(rule, bool `[rows]`): "missing" where the model takes no missing text, "encoding" where bytes are no UTF-8."""
    if pa.types.is_dictionary(array.type):
        for rule, mask in text_faults(array.dictionary, missing):
            codes = array.indices.fill_null(pa.scalar(0, array.indices.type)).to_numpy()
            yield rule, mask[codes] & ~nulls(array.indices) if len(mask) else np.zeros(len(array), bool)
        if array.indices.null_count and not missing:
            yield MISSING, nulls(array.indices)
        return
    if array.null_count and not missing:
        yield MISSING, nulls(array)
    if pa.types.is_null(array.type):
        return
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        _, bad = decoded(array)
        yield ENCODING, bad


def decoded(array: pa.Array) -> tuple[Texts, Mask]:
    """Texts and which of them were no UTF-8; null and those are MISSING_TEXT. Of arrays that are no dictionary."""
    bad = np.zeros(len(array), bool)
    try:
        values = array.to_numpy(zero_copy_only=False).astype(object, copy=False)
    except (UnicodeDecodeError, pa.ArrowException):
        values = np.empty(len(array), object)
        for place, value in enumerate(array.cast(pa.large_binary(), safe=False).to_pylist()):
            text = _text(value)
            bad[place] = value is not None and text is None
            values[place] = text
    if array.null_count or bad.any():
        values = np.array(values)
        values[nulls(array) | bad] = MISSING_TEXT
    return values, bad


def _text(value: bytes | None) -> Any:
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        return None
