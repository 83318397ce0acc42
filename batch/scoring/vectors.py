"""Columns that hold a vector a row: lists of Arrow, of a fixed size or not, one in the other or flat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def flattened(array: pa.Array, sizes: tuple[int, ...]) -> tuple[pa.Array, Mask]:
    """The elements of the rows that have these sizes, one after the other, and which rows have them: bool `[rows]`.

    sizes: of each level of lists, the outermost first.
    """
    lengths = pc.fill_null(pc.list_value_length(array), -1).to_numpy(zero_copy_only=False)
    good = np.asarray(lengths == sizes[0])
    kept = array if good.all() else array.filter(pa.array(good))
    inner = kept.flatten()
    if len(sizes) == 1:
        return inner, good
    elements, right = flattened(inner, sizes[1:])
    if not right.all():
        whole = right.reshape(-1, sizes[0]).all(axis=1)
        good[good] = whole
        elements, _ = flattened(kept.filter(pa.array(whole)).flatten(), sizes[1:])
    return elements, good


def spread(flat: NDArray[Any], good: Mask, width: int) -> NDArray[Any]:
    """`[rows, width]`: the rows of `flat` at the places of `good`, zeros (None in object arrays) elsewhere."""
    if good.all():
        return flat.reshape(len(good), width)
    made = np.zeros((len(good), width), flat.dtype)
    made[good] = flat.reshape(-1, width)
    return made
