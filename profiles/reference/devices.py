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

#: Places that devices are told apart by; more share them. The totals of devices that share one are independent, so that the growth
#: is right on average all the same.
MOST = 8_192
#: Categories whose shares are followed, the most frequent, and the share from which one counts.
_CATEGORIES, _FREQUENT = 8, 0.05


class DeviceSums:
    """Rows, sums and sums of squares by device, for features whose level is a number: numbers within the range of their cells,
    and the shares of frequent categories, each of them a level. Of others nothing is said."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = [feature for feature in features if isinstance(feature, Numeric | Categorical)]
        self._places: dict[str, int] = {}
        self._rows = np.zeros((len(self._features), 0))
        self._sums = [np.zeros((_width(feature), 0)) for feature in self._features]
        self._squares = [np.zeros(_width(feature)) for feature in self._features]

    @property
    def devices(self) -> int:
        return len(self._places)

    def update(self, columns: Mapping[str, Column], devices: Coded) -> None:
        """columns: as `ColumnTally.add` takes them; devices: of the same rows."""
        names = [category_text(value) for value in devices.values]
        places = np.array([*(self._place(name) for name in names), -1], np.int64)[devices.places()]
        self._grow()
        size = self._rows.shape[1]
        for number, feature in enumerate(self._features):
            levels = _levels(feature, columns[feature.source.name])
            there = ~np.isnan(levels[0]) & (places >= 0)
            at = places[there]
            self._rows[number] += np.bincount(at, minlength=size)
            for place, mine in enumerate(levels[:, there]):
                self._sums[number][place] += np.bincount(at, mine, size)
                self._squares[number][place] += float(mine @ mine)

    def growth(self) -> dict[str, float]:
        """By feature name: the variance of the mean over all rows when whole devices are drawn, over that when rows are (the
        design effect, Kish 1965; the variance from the devices' residual totals), at least 1. Of categories the largest among those
        of 5 % of the rows and more: the one in the middle of an order hardly moves where those at its ends do."""
        found = {}
        for rows, sums, squares, feature in zip(self._rows, self._sums, self._squares, self._features, strict=True):
            there = int((rows > 0).sum())
            if there < 2:
                continue
            share = sums.sum(axis=1) / rows.sum()
            kept = [place for place in range(len(sums)) if len(sums) == 1 or _FREQUENT <= share[place] <= 1 - _FREQUENT]
            each = [_growth(rows, sums[place], float(squares[place]), there) for place in kept]
            found[feature.source.name] = max(each, default=1.0)
        return found

    def _place(self, name: str | None) -> int:
        if name is None:
            return -1
        return self._places.setdefault(name, len(self._places)) % MOST

    def _grow(self) -> None:
        more = min(len(self._places), MOST) - self._rows.shape[1]
        if more > 0:
            self._rows = np.hstack([self._rows, np.zeros((len(self._features), more))])
            self._sums = [np.hstack([sums, np.zeros((len(sums), more))]) for sums in self._sums]


def _growth(rows: Floats, sums: Floats, squares: float, places: int) -> float:
    count = rows.sum()
    mean = sums.sum() / count
    single = squares - count * mean**2
    whole = ((sums - rows * mean) ** 2).sum() * places / (places - 1)
    return max(float(whole / single), 1.0) if single > 1e-9 * squares else 1.0


def _width(feature: Feature) -> int:
    return min(max(len(feature.categories), 1), _CATEGORIES) if isinstance(feature, Categorical) else 1


def _levels(feature: Feature, column: Column) -> Floats:
    """float64 `[levels, rows]`, NaN where a row says nothing."""
    if isinstance(feature, Numeric):
        assert isinstance(column, np.ndarray)
        values = column.astype(np.float64)
        inner = (values >= feature.edges[0]) & (values < feature.edges[-1])
        return np.where(inner, (values - feature.centre) / feature.step / 1024, np.nan)[None]
    assert isinstance(feature, Categorical)
    if isinstance(column, Coded):
        followed = [*feature.categories[: _width(feature)], *[None] * (not feature.categories)]
        texts = [None if is_missing(value) else category_text(value) for value in column.values]
        missing = np.array([*(is_missing(value) for value in column.values), True])
        made = np.array([[*(text == name for text in texts), False] for name in followed], np.float64)
        return np.where(missing, np.nan, made)[:, column.places()]
    raise AssertionError("categories come as codes")
