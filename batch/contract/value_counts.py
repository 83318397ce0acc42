"""How often each value of a column comes, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
from numpy.typing import NDArray

from mlpack_edge.batch.contract.columns import Coded, Mask, mask_of
from mlpack_edge.batch.contract.known import KnownValues
from mlpack_edge.batch.contract.merging import KEPT, PREFIX, counted, text_of
from mlpack_edge.batch.contract.schema import family_of_type

Json = dict[str, Any]


class ValueCounts:
    """Counts over a dictionary, which become texts only where the dictionary changes.

    limit: so many distinct values are kept, None is no count of them. categories: the known values; others are counted
    as unseen, and some of them kept. Which ones does not depend on where batches begin.
    """

    def __init__(self, limit: int | None, categories: tuple[Any, ...] | None) -> None:
        self._values = None if limit is None else counted({}, limit)
        self._known = None if categories is None else KnownValues(categories)
        self._strange = counted({}, KEPT)
        self._unseen = 0
        self._dictionary: Any = None
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)

    def update(self, view: Coded) -> None:
        """Take so many rows more."""
        counts = view.counts()
        if self._dictionary is not None and self._dictionary.equals(view.values):
            self._counts += counts
            return
        self._settle()
        self._dictionary, self._counts = view.values, counts

    def state(self) -> Json:
        """`values`, and with categories `unseen` and `strange`, as `merging.merge_statistics` has them."""
        self._settle()
        state: Json = {} if self._values is None else {"values": self._values}
        return state if self._known is None else state | {"unseen": self._unseen, "strange": self._strange}

    def _settle(self) -> None:
        """Count by text what was counted by place."""
        if self._dictionary is None:
            return
        used = self._counts > 0
        if self._values is not None:
            self._values = _added(self._values, self._dictionary, self._counts, used)
        if self._known is not None:
            unknown = used & self._known.unknown(self._dictionary)
            if unknown.any():
                self._unseen += int(self._counts[unknown].sum())
                self._strange = _added(self._strange, self._dictionary, self._counts, unknown)
        self._dictionary = None


def _added(state: Json, dictionary: Any, counts: NDArray[np.int64], chosen: Mask) -> Json:
    """`state` (see `counted`) with the chosen values of a dictionary, in which a value may be twice."""
    if state["many"] and family_of_type(dictionary.type) == "text":
        chosen = chosen & _may_be_shown(dictionary, max(state["of"]))
    places = np.flatnonzero(chosen)
    made: dict[str, int] = dict(state["of"])
    for value, count in zip(dictionary.take(pyarrow.array(places)).to_pylist(), counts[places].tolist(), strict=True):
        text = text_of(value)
        made[text] = made.get(text, 0) + count
    return counted(made, state["limit"], state["many"])


def _may_be_shown(dictionary: Any, last: str) -> Mask:
    """Which values may come before the last one that is shown: of thousands, a handful that is worth a look in Python."""
    begin = pyarrow.compute.utf8_slice_codeunits(dictionary, 0, PREFIX)
    return mask_of(pyarrow.compute.less_equal(begin, pyarrow.scalar(last[:PREFIX], begin.type)).fill_null(False))
