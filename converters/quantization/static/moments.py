"""What weights multiply, as far as rounding them has to know it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlpack_edge.converters.quantization.static.channels import ChannelFacts
from mlpack_edge.converters.quantization.static.grids import Grid
from mlpack_edge.converters.quantization.static.units import Weights
from mlpack_edge.converters.quantization.static.view import Array

#: What varies less than this share of the usual variance counts as if it varied so much.
_STILL = 1e-3
_NOTHING = 1e-30


@dataclass(frozen=True, slots=True)
class Moments:
    """Of each input of a row of weights, float64 `[1 or outputs, inner]` in the order of the kernel (see `sums`): the mean of
    the real numbers, of what their codes stand for, and the variance."""

    mean: Array
    coded: Array
    variance: Array

    def of(self, rows: slice) -> Moments:
        """Of some of the outputs."""
        return self if len(self.mean) == 1 else Moments(self.mean[rows], self.coded[rows], self.variance[rows])

    def offset(self, real: Array, made: Array) -> Array:
        """What codes add to each sum on average, `[outputs]`: to be taken off the bias ("bias correction", Nagel et al.
        2019, "Data-Free Quantization through Weight Equalization and Bias Correction", section 4.2, of what calibration
        saw). real: the weights, made: those of the codes, `[outputs, inner]`."""
        added: Array = (made * self.coded - real * self.mean).sum(axis=1)
        return added


def moments_of(facts: ChannelFacts, weights: Weights, grid: Grid) -> Moments | None:
    """Of weights that read a tensor on `grid`; None where its facts are those of another axis."""
    channels, wanted = len(facts.values), -1 if weights.content.ndim == 2 else 1
    inner = weights.content.shape[1 - weights.axis]
    depthwise = weights.is_depthwise
    transposed = weights.content.ndim > 2 and weights.axis == 1
    if facts.axis != wanted or transposed or (weights.groups > 1 and not depthwise):
        return None
    if channels != (weights.outputs if depthwise else inner):
        return None
    real = facts.values.astype(np.float64)
    codes = np.clip(np.rint(real / grid.scale) + grid.zero, grid.lowest, grid.lowest + 255)
    variance = real.var(axis=1)
    found = (
        real.mean(axis=1),
        ((codes - grid.zero) * grid.scale).mean(axis=1),
        variance + (variance.mean() * _STILL + _NOTHING),
    )
    places = weights.content[0, 0].size if weights.content.ndim > 2 else 1
    mean, coded, spread = (
        np.repeat(one[:, None], places, 1) if depthwise else np.tile(one, places)[None] for one in found
    )
    return Moments(mean, coded, spread)
