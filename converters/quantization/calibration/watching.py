"""Histograms of tensors as they pass, and the tensors that have none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.quantization.calibration.histogram import Histogram, extremes
from mlpack_edge.converters.quantization.values import Method
from mlpack_edge.core.errors import Unsupported

Array = NDArray[Any]


class Watch:
    """histograms: by tensor name, of those that held floats. refused: why a tensor has none, by name. channels: the least and the
    largest of each channel, float64 `[channels]`, of the `images` ([rows, channels, ...]) whose number of channels stayed the same."""

    def __init__(
        self,
        methods: Sequence[Method],
        columns: frozenset[str],
        place_of: Callable[[int], int],
        images: frozenset[str] = frozenset(),
    ) -> None:
        self.histograms: dict[str, Histogram] = {}
        self.channels: dict[str, tuple[Array, Array]] = {}
        self._images = set(images)
        self.refused: dict[str, str] = {}
        self._binned = any(method != "minmax" for method in methods)
        self._columns, self._place_of = columns, place_of

    def see(self, name: str, values: Any, first: int, rows: int) -> None:
        """What a tensor holds on `rows` rows, the first of which is row `first` of the stream.

        Sequences, maps and tensors of other than floats are passed over. Raises Unsupported where the last axis of a tensor
        whose columns are kept apart changes its size: the rows are right, and there are no columns to keep apart.
        """
        if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or not values.size or name in self.refused:
            return
        apart = name in self._columns and values.ndim > 0
        columns = values.shape[-1] if apart else None
        with np.errstate(invalid="ignore"):
            low, high = extremes(values, columns)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            self.refused[name] = self._where(values, first, rows)
            self.histograms.pop(name, None)
            self.channels.pop(name, None)
            return
        if name in self._images:
            self._see_channels(name, values)
        if name not in self.histograms:
            self.histograms[name] = Histogram(columns, self._binned)
        histogram = self.histograms[name]
        if histogram.columns != columns:
            raise Unsupported(
                f"tensor {name!r} has {columns} columns from row {self._place_of(first)} (counted from 0) on, and had "
                f"{histogram.columns} before",
                "give rows of one width, or choose another --scheme: the others need no ranges",
            )
        histogram.add(values, low, high)

    def _see_channels(self, name: str, values: Array) -> None:
        """values: finite."""
        before = self.channels.pop(name, None)
        if values.ndim < 2 or (before is not None and before[0].shape != values.shape[1:2]):
            self._images.remove(name)
            return
        spread = values.reshape(*values.shape[:2], -1)
        # Rows first: four times as fast as both axes at once where the last one is short.
        low = spread.min(axis=0).min(axis=1).astype(np.float64)
        high = spread.max(axis=0).max(axis=1).astype(np.float64)
        if before is not None:
            low, high = np.minimum(low, before[0]), np.maximum(high, before[1])
        self.channels[name] = low, high

    def _where(self, values: Array, first: int, rows: int) -> str:
        place = np.unravel_index(int(np.argmin(np.isfinite(values))), values.shape)
        value = values[place]
        what = "NaN" if np.isnan(value) else "infinity" if value > 0 else "minus infinity"
        if values.ndim and values.shape[0] == rows:
            return f"holds {what} in row {self._place_of(first + int(place[0]))} (counted from 0)"
        if rows == 1:
            return f"holds {what} in row {self._place_of(first)} (counted from 0)"
        return f"holds {what} in rows {self._place_of(first)} to {self._place_of(first + rows - 1)} (counted from 0)"
