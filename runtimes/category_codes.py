"""Texts as integer codes and back, for runtimes that take no strings: the code table is a column's `categories`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput, CheckFailed
from mlpack_edge.core.signature import MISSING_TEXT, Category

Array = NDArray[Any]

#: The code of a text that is no category, and of a missing text (MISSING_TEXT) where that is no category itself.
UNKNOWN, MISSING = -1, -2


def codes_from_text(array: Array, categories: Sequence[Category]) -> NDArray[np.int64]:
    """The index of each text in `categories`, in an array of the same shape; UNKNOWN or MISSING where it is in none.

    array: texts, as objects or numpy strings. Raises BadInput where a value or a category is no text: 1 is not "1".
    """
    others = [value for value in categories if not isinstance(value, str)]
    if others:
        raise BadInput(f"the category {others[0]!r} is no text", "feed the numbers themselves to this column")
    table: dict[Any, int] = {MISSING_TEXT: MISSING}
    table.update((value, code) for code, value in enumerate(categories))
    values = array.ravel().tolist()
    strange = next((value for value in values if not isinstance(value, str)), None)
    if strange is not None or None in values:
        raise BadInput(f"{strange!r} among the texts is no text", f"a missing text is {MISSING_TEXT!r}")
    return np.array([table.get(value, UNKNOWN) for value in values], np.int64).reshape(array.shape)


def labels_from_codes(array: Array, classes: Sequence[Category]) -> NDArray[np.object_]:
    """The class at each index, in an object array of the same shape. Raises CheckFailed where there is no such class."""
    labels = np.empty(len(classes), object)
    labels[:] = list(classes)
    if array.size and (array.min() < 0 or array.max() >= len(classes)):
        bad = array[(array < 0) | (array >= len(classes))].flat[0]
        raise CheckFailed(
            f"the model gave the label code {bad}, and there are {len(classes)} classes",
            "convert the model again from its source",
        )
    found: NDArray[np.object_] = labels[array]
    return found
