"""The scales of a constant whose channels were put in another order, or of which a part was taken."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_graph.model import Quantization

Floats = NDArray[np.float32]
#: Pairs of a channel and a scale that are looked at.
_MOST_PAIRS = 1 << 24
#: Numbers of a channel that tell its scale from the others; all are looked at before it counts.
_TELLING = 4


def permuted_grid(grid: Quantization, data: Floats) -> Quantization | None:
    """The grid whose scales are some of `grid`'s, one for each place of an axis of `data`; None where there is none.

    Gates of recurrent layers and the heads of an attention are put in another order when they are lowered. Only scales
    around zero.
    """
    if not grid.per_channel or grid.zero_point.any():
        return None
    scales = np.unique(grid.scale)
    for axis, size in enumerate(data.shape):
        if size * scales.size > _MOST_PAIRS or size == 1:
            continue
        found = _of_channels(np.moveaxis(data, axis, 0).reshape(size, -1), scales)
        if found is not None:
            return Quantization(found, np.zeros(size, np.int64), axis)
    return None


def _of_channels(channels: Floats, scales: Floats) -> Floats | None:
    """For each row the largest of `scales` of which its numbers are whole multiples of at most 8 bits."""
    largest = np.argsort(-np.abs(channels), axis=1)[:, :_TELLING]
    telling = np.take_along_axis(channels, largest, axis=1)
    fits = np.ones((len(channels), scales.size), bool)
    for column in telling.T:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            steps = np.rint(column[:, None] / scales)
            fits &= (np.abs(steps) <= 128) & (steps * scales == column[:, None])
    if not fits.any(axis=1).all():
        return None
    found = np.empty(len(channels), np.float32)
    for place, row in enumerate(fits):
        for scale in scales[row][::-1]:
            steps = np.rint(channels[place] / scale)
            if np.array_equal(steps * scale, channels[place]):
                found[place] = scale
                break
        else:
            return None
    return found
