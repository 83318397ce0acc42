"""The grid on which an activation lies: a scale and a zero point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlpack_edge.converters.quantization.values import Range
from mlpack_edge.core.errors import BadInput

_LOWEST = {"uint8": 0, "int8": -128}
#: Steps below this would make products of scales that float32 does not hold as normal numbers.
_LEAST_SCALE = 2.0**-60


@dataclass(frozen=True, slots=True)
class Grid:
    """real = (code - zero) * scale. scale: as float32 holds it."""

    scale: float
    zero: int
    dtype: Literal["uint8", "int8"]

    @property
    def lowest(self) -> int:
        return _LOWEST[self.dtype]


def grid_of(name: str, found: Range, clip: tuple[float, float], dtype: Literal["uint8", "int8"]) -> Grid:
    """The 256 codes over what a tensor holds within `clip`, 0 among them exactly, as padding needs it.

    Raises BadInput where a limit is not a number.
    """
    low, high = found.whole
    if not np.isfinite([low, high]).all():
        raise BadInput(f"{name}: calibration found {low} to {high}", "calibrate on rows that give finite numbers")
    low, high = min(max(low, clip[0]), 0.0), max(min(high, clip[1]), 0.0)
    if low == high:
        high = 1.0 if low == 0 else high
    scale = float(np.float32(max((high - low) / 255, _LEAST_SCALE)))
    zero = int(np.clip(np.rint(-low / scale), 0, 255))
    return Grid(scale, _LOWEST[dtype] + zero, dtype)
