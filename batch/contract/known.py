"""Which values of a column are among the categories that are known."""

from __future__ import annotations

from typing import Any

import pyarrow
import pyarrow.compute
from pyarrow import types

from mlpack_edge.batch.contract.columns import Mask, mask_of
from mlpack_edge.batch.contract.schema import family_of_type


class KnownValues:
    """Which of a column's distinct values are among the known ones. Remembers the last dictionary, which often comes again."""

    def __init__(self, categories: tuple[Any, ...]) -> None:
        self._categories = categories
        self._last: tuple[Any, Mask] | None = None

    def unknown(self, values: Any) -> Mask:
        """bool, for each of `values`; null and NaN are not unknown, they are missing."""
        if self._last is None or not self._last[0].equals(values):
            self._last = (values, self._compared(values))
        return self._last[1]

    def _compared(self, values: Any) -> Mask:
        known = pyarrow.array([item for item in self._categories if fits(item, values.type)], values.type)
        unknown = ~mask_of(pyarrow.compute.is_in(values, value_set=known))
        return unknown & ~mask_of(values.is_null(nan_is_null=types.is_floating(values.type)))


def fits(item: Any, kind: Any) -> bool:
    """Whether a category can be a value of an Arrow type; a float is rounded to the type's own precision."""
    if isinstance(item, str):
        return family_of_type(kind) == "text"
    if family_of_type(kind) == "text":
        return False
    try:
        made = pyarrow.scalar(item, kind).as_py()
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
        return False
    return types.is_floating(kind) or bool(made == item)
