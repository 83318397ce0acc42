"""Feeds in pieces of few rows, where the model takes any number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import onnx
from numpy.typing import NDArray

from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.onnx_files.signature import real_inputs, shape_of
from mlpack_edge.runtimes.row_streams.cutting import by_row

Array = NDArray[Any]
Feeds = Mapping[str, Array]


class Pieces:
    """Knows which inputs of a model have a part for each row (`row_streams.cutting.by_row`), and whether its batch is open."""

    def __init__(self, model: onnx.ModelProto) -> None:
        specs = []
        for value in real_inputs(model.graph):
            shape = shape_of(value)
            sizes = ("?",) if shape is None else tuple("?" if size is None else size for size in shape)
            specs.append(TensorSpec(value.name, "", sizes))
        self._cut, self._fixed = by_row(Signature(tuple(specs), ()))

    def rows(self, feeds: Feeds) -> int:
        """Rows in feeds; 1 where no input has a part for each."""
        return next((len(array) for name, array in feeds.items() if name in self._cut and array.ndim), 1)

    def of(self, feeds: Feeds, rows: int) -> Iterator[tuple[int, Feeds]]:
        """(place of the first row, feeds of at most `rows` rows); the feeds as they are where they cannot be cut."""
        held = self.rows(feeds)
        lengths = {len(array) for name, array in feeds.items() if name in self._cut and array.ndim}
        if self._fixed is not None or len(lengths) != 1 or held <= rows:
            yield 0, feeds
            return
        for start in range(0, held, rows):
            yield (
                start,
                {
                    name: array[start : start + rows] if name in self._cut and array.ndim else array
                    for name, array in feeds.items()
                },
            )
