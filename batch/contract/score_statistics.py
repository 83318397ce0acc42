"""What the rules of scores need to know of a shard."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyarrow import types

from mlpack_edge.batch.contract.columns import coded, numbers_of
from mlpack_edge.batch.contract.merging import KEPT, counted, plain_number, text_of
from mlpack_edge.batch.contract.rules import ScoreRules
from mlpack_edge.batch.contract.schema import family_of_type

Json = dict[str, Any]


class ScoreStatistics:
    """Of one output, a plain column or a vector in each row: extremes by place, zeros, and rows by label."""

    def __init__(self, rules: ScoreRules) -> None:
        self._labelled = bool(rules.shares)
        self._rows = self._numbers = self._nans = self._zeros = 0
        self._low: NDArray[Any] | None = None
        self._high: NDArray[Any] | None = None
        self._labels: Json = counted({}, max(KEPT, 2 * len(rules.shares)))
        self._wanted = tuple(rules.shares)

    def update(self, array: Any, accepted: NDArray[np.bool_]) -> None:
        """array: the output, null where a row was not accepted. accepted: bool `[rows]`."""
        if not accepted.all():
            array = array.filter(accepted)
        if array.null_count:
            array = array.drop_null()
        self._rows += len(array)
        if not len(array):
            return
        if types.is_fixed_size_list(array.type):
            width = array.type.list_size
            self._take(numbers_of(array.flatten()).values.reshape(len(array), width))
            return
        if family_of_type(array.type) == "text" or self._labelled:
            self._take_labels(array)
        if family_of_type(array.type) != "text":
            self._take(numbers_of(array).values.reshape(len(array), 1))

    def _take(self, values: NDArray[Any]) -> None:
        """values: `[rows, width]`."""
        low, high = values.min(axis=0), values.max(axis=0)
        self._numbers += values.size
        if np.isnan(low).any():
            self._nans += int(np.count_nonzero(np.isnan(values)))
            low, high = np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)
        if not ((low > 0).all() or (high < 0).all()):
            self._zeros += values.size - int(np.count_nonzero(values))
        self._low = low if self._low is None else np.fmin(self._low, low)
        self._high = high if self._high is None else np.fmax(self._high, high)

    def _take_labels(self, array: Any) -> None:
        view = coded(array)
        counts = dict(self._labels["of"])
        for value, count in zip(view.values.to_pylist(), view.counts().tolist(), strict=True):
            if count:
                text = label_of(value)
                counts[text] = counts.get(text, 0) + count
        self._labels = counted(counts, self._labels["limit"], self._labels["many"])

    def state(self) -> Json:
        return {
            "rows": self._rows,
            "numbers": self._numbers,
            "nans": self._nans,
            "zeros": self._zeros,
            "low": None if self._low is None else _plain(self._low),
            "high": None if self._high is None else _plain(self._high),
            "labels": self._labels,
        }


def label_of(value: Any) -> str:
    """A label as a contract writes it: a whole number without its point."""
    return text_of(int(value)) if isinstance(value, float) and value.is_integer() else text_of(value)


def _plain(extremes: NDArray[Any]) -> list[Any]:
    """By place; None where there was nothing but NaN.

    A float32 is the decimal that it is written as, so that 0.1 does not exceed a maximum of 0.1.
    """
    if extremes.dtype == np.float32:
        extremes = np.array([float(str(item)) for item in extremes])
    return [None if np.isnan(item) else plain_number(item) for item in extremes.tolist()]
