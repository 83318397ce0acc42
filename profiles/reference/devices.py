"""How much less the rows of a few devices say than as many rows of as many devices. numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.arrays.counting import Coded, Column
from mlpack_edge.profiles.cells import category_text, is_missing
from mlpack_edge.profiles.spec import Categorical, Feature, Numeric

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Devices that are told apart; more share places, which makes the growth smaller and never larger.
MOST = 50_000


class DeviceSums:
    """Rows, sums and sums of squares of each feature by device, for features whose level is a number: numbers within the
    range of their cells, and the most frequent category (yes or no). Of others nothing is said."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = [feature for feature in features if isinstance(feature, Numeric | Categorical)]
        self._places: dict[str, int] = {}
        self._rows = np.zeros((len(self._features), 0))
        self._sums = np.zeros((len(self._features), 0))
        self._squares = np.zeros(len(self._features))

    @property
    def devices(self) -> int:
        return len(self._places)

    def update(self, columns: Mapping[str, Column], devices: Coded) -> None:
        """columns: as `ColumnTally.add` takes them; devices: of the same rows."""
        names = [category_text(value) for value in devices.values]
        places = np.array([*(self._place(name) for name in names), -1], np.int64)[devices.codes]
        self._grow()
        for number, feature in enumerate(self._features):
            levels = _levels(feature, columns[feature.source.name])
            there = ~np.isnan(levels) & (places >= 0)
            mine, at = levels[there], places[there]
            size = self._rows.shape[1]
            self._rows[number] += np.bincount(at, minlength=size)
            self._sums[number] += np.bincount(at, mine, size)
            self._squares[number] += float(mine @ mine)

    def growth(self) -> dict[str, float]:
        """By feature name: the variance of the mean over all rows when whole devices are drawn, over that when rows are (the
        design effect, Kish 1965; the variance from the devices' residual totals), at least 1."""
        found = {}
        for number, feature in enumerate(self._features):
            rows, sums = self._rows[number], self._sums[number]
            count, there = rows.sum(), int((rows > 0).sum())
            if there < 2:
                continue
            mean = sums.sum() / count
            single = self._squares[number] - count * mean**2
            whole = ((sums - rows * mean) ** 2).sum() * there / (there - 1)
            found[feature.source.name] = (
                max(float(whole / single), 1.0) if single > 1e-9 * self._squares[number] else 1.0
            )
        return found

    def _place(self, name: str | None) -> int:
        if name is None:
            return -1
        return self._places.setdefault(name, len(self._places)) % MOST

    def _grow(self) -> None:
        more = min(len(self._places), MOST) - self._rows.shape[1]
        if more > 0:
            nothing = np.zeros((len(self._features), more))
            self._rows, self._sums = np.hstack([self._rows, nothing]), np.hstack([self._sums, nothing])


def _levels(feature: Feature, column: Column) -> Floats:
    """float64 `[rows]`, NaN where a row says nothing."""
    if isinstance(feature, Numeric):
        assert isinstance(column, np.ndarray)
        values = column.astype(np.float64)
        inner = (values >= feature.edges[0]) & (values < feature.edges[-1])
        return np.where(inner, (values - feature.centre) / feature.step / 1024, np.nan)
    assert isinstance(feature, Categorical)
    first = feature.categories[0] if feature.categories else None
    if isinstance(column, Coded):
        kinds = [np.nan if is_missing(value) else float(category_text(value) == first) for value in column.values]
        return np.array([*kinds, np.nan])[column.codes]
    raise AssertionError("categories come as codes")
