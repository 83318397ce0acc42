"""What the channels of tensors hold, and grids that differ by channel where that costs nothing.

A convolution's kernel multiplies each of its sums by a factor of its channel anyway, so what it gives may lie on a grid a
channel: the factor goes into the weights, the zero point into the bias, and the DequantizeLinear at the border to float
has a scale a channel. It is the equalization of Nagel et al. 2019, "Data-Free Quantization through Weight Equalization
and Bias Correction" (section 4.1), but of grids, so that no function between the layers has to be homogeneous.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import onnx

from mlpack_edge.converters.quantization.static.grids import Grid
from mlpack_edge.converters.quantization.static.operators import CLIPPING, MOVES
from mlpack_edge.converters.quantization.static.plan import Plan, sharing
from mlpack_edge.converters.quantization.static.units import Weights, reached
from mlpack_edge.converters.quantization.static.view import Array, View

#: How far beyond what was seen of a channel its codes reach, in its span (see `columns`).
_ROOM = 0.25
#: The smallest share that a channel's steps may be of the tensor's: what was always small may not stay so.
_LEAST = 2.0**-6
#: Every which of the values rounding is tried on, and wider spans that are tried: backgrounds are most of an image, and one of them has the background on a code.
_EVERY = 4
_WIDER = np.linspace(1.0, 1.4, 21)


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """low, high: float64 `[channels]`, of all rows that were seen; infinite where nobody looked at all of them. values: float32 `[channels, samples]`. axis: of the channels, 1
    (images) or -1 (what matrix products read)."""

    low: Array
    high: Array
    values: Array
    axis: Literal[1, -1]
    _grids: dict[tuple[Grid, tuple[float, float]], ChannelGrid] = field(default_factory=dict, compare=False, repr=False)

    def grid(self, whole: Grid, clip: tuple[float, float]) -> ChannelGrid:
        """See `channel_grid`; kept, for a search makes a model many times."""
        if (whole, clip) not in self._grids:
            self._grids[whole, clip] = channel_grid(whole, self, clip)
        return self._grids[whole, clip]


@dataclass(frozen=True, slots=True)
class ChannelGrid:
    """real = (code - zeros) * factors * grid.scale. factors: float32 `[channels]`. zeros: `[channels]` of the grid's dtype.
    grid: that of the codes for the kernel that gives them, which knows nothing of channels."""

    grid: Grid
    factors: Array
    zeros: Array

    @property
    def scales(self) -> Array:
        scales: Array = np.float32(self.grid.scale) * self.factors
        return scales


def may_differ(view: View, plan: Plan, tensor: str) -> bool:
    """Whether a tensor may have a grid a channel: a convolution gives its codes, float operators alone read them, none of
    which ONNX Runtime fuses, and float convolutions come next. Around convolutions on codes ONNX Runtime has channels
    last, and along a last axis its DequantizeLinear takes three times as long as the convolution gains."""
    maker = next((unit for unit in plan.active.values() if unit.output == tensor), None)
    if tensor not in plan.written or maker is None or maker.node.op_type != "Conv" or len(sharing(plan, maker)) > 1:
        return False
    readers = [node for _, node in reached(view, tensor, MOVES)]
    if any(node is not None and _is_fused(view, plan, node) for node in readers):
        return False
    return _before_convolutions(view, plan, tensor)


def _before_convolutions(view: View, plan: Plan, tensor: str) -> bool:
    """Whether on all ways convolutions in float are the next layers."""
    waiting, seen, found = [tensor], set[str](), False
    while waiting:
        name = waiting.pop()
        if view.is_seen(name):
            return False
        for node in view.readers.get(name, ()):
            if node.name in plan.active:
                return False
            if node.op_type == "Conv":
                found = True
            elif node.name not in seen:
                seen.add(node.name)
                waiting.extend(output for output in node.output if output)
    return found


def _is_fused(view: View, plan: Plan, node: onnx.NodeProto) -> bool:
    """Whether ONNX Runtime may put an operator on codes that is written in float: it does where all that an operator reads
    comes from a DequantizeLinear and a QuantizeLinear reads what it gives, and its kernels want one scale a tensor."""
    if not any(_is_quantized(view, plan, name) for name in node.output):
        return False
    return all(name in plan.sources for name in node.input if name and view.constant(name) is None)


def _is_quantized(view: View, plan: Plan, name: str) -> bool:
    behind = [node for node in view.readers.get(name, ()) if node.op_type in CLIPPING]
    return name in plan.sources or any(_is_quantized(view, plan, node.output[0]) for node in behind)


def channel_grid(whole: Grid, facts: ChannelFacts, clip: tuple[float, float]) -> ChannelGrid:
    """The grids of the channels of a tensor whose grid would be `whole`: 0 is among the codes of each, and none has wider
    steps than `whole` but for those that calibration found too narrow. Of spans up to _WIDER that one whose rounding loses
    least, and none that reaches beyond `clip`: the codes end where the activation that they stand for does."""
    most = 255 * whole.scale
    lowest = -(whole.zero - whole.lowest) * whole.scale
    low = np.clip(np.minimum(facts.low, 0.0), max(clip[0], lowest), 0.0)
    high = np.clip(np.maximum(facts.high, 0.0), 0.0, min(clip[1], lowest + most))
    room = np.clip(most / np.maximum(high - low, _LEAST * most), 1.0, 1 + _ROOM)
    low, high = np.maximum(low * room, clip[0]), np.minimum(high * room, clip[1])
    span = np.maximum(high - low, _LEAST * most)
    real = np.clip(facts.values[:, ::_EVERY].astype(np.float64), *clip)
    least, best, zeros = np.full(span.shape, np.inf), span, np.zeros(span.shape)
    for wider in _WIDER:
        step = span * wider / 255
        zero = np.clip(np.rint(-low / step), 0, 255)
        codes = np.clip(np.rint(real / step[:, None]) + zero[:, None], 0, 255)
        lost = np.square((codes - zero[:, None]) * step[:, None] - real).mean(axis=1)
        within = (255 - zero) * step <= clip[1] + step / 2
        better = (lost < least) & (within | (wider == 1))
        best, zeros = np.where(better, span * wider, best), np.where(better, zero, zeros)
        least = np.minimum(lost, least)
    return ChannelGrid(whole, (best / most).astype(np.float32), (zeros + whole.lowest).astype(whole.dtype))


def giving(weights: Weights, made: ChannelGrid) -> Weights:
    """The weights of a convolution that gives the codes of `made`."""
    factors = made.factors.astype(np.float64)
    content = weights.content / factors.reshape(-1, *[1] * (weights.content.ndim - 1))
    shift = (made.zeros.astype(np.float64) - made.grid.zero) * made.grid.scale
    bias = shift if weights.bias is None else shift + weights.bias / factors
    return replace(weights, content=content.astype(np.float32), bias=bias.astype(np.float32))
