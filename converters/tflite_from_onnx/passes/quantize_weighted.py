"""int8 kernels of operators with weights: convolutions and matrix products, their bias in the scale of their sums."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.codes import (
    LIMITS,
    CodedEdges,
    one_scale,
    scale_of,
    shifted,
)
from mlpack_edge.converters.tflite_from_onnx.passes.quantize_elementwise import Rule
from mlpack_edge.converters.tflite_graph.model import Op, Quantization, Tensor

#: Operator -> where its input, weights and bias are, and the axis of the weights on which its outputs lie.
_PLACES = {
    "CONV_2D": (0, 1, 2, 0), "DEPTHWISE_CONV_2D": (0, 1, 2, 3), "FULLY_CONNECTED": (0, 1, 2, 0),
    "TRANSPOSE_CONV": (2, 1, 3, 0),
}  # fmt: skip
_SUMS = (-(1 << 31), (1 << 31) - 1)
#: XNNPACK's limits of the scales of input and weights over that of the result.
_FACTORS = (2.0**-32, 2.0**8)


def _weighted(edges: CodedEdges, op: Op, quantizer: Op) -> bool:
    """The scales of weights are one, or one for each output. Their zero point is 0: where it is not, the codes are moved
    by it if they can be, and the operator works on uint8 codes otherwise, whose kernels take any zero point."""
    x_at, w_at, b_at, axis = _PLACES[op.kind]
    x, w = edges.codes(op.inputs[x_at]), edges.codes(op.inputs[w_at])
    if x is None or w is None or w.data is None or not one_scale(x) or x.dtype != "int8" or w.dtype != "int8":
        return False
    grid = w.quantization
    assert grid is not None
    if grid.per_channel and grid.axis != axis:
        return False
    bias = op.inputs[b_at] if b_at < len(op.inputs) else None
    w, grid = _coarse(edges, w, bias, scale_of(x), scale_of(quantizer.output))
    ratios = scale_of(x) * grid.scale.astype(np.float64) / scale_of(quantizer.output)
    if not ((ratios >= _FACTORS[0]) & (ratios < _FACTORS[1])).all():
        return False  # XNNPACK takes no others, and would not load the model
    outputs = w.shape[axis]
    sums = _sums(edges, bias, scale_of(x), grid, outputs)
    if sums is None and bias is not None:
        return False
    filters = _around_0(w)
    on_bytes = filters is None
    if filters is None:
        if grid.per_channel or op.kind == "TRANSPOSE_CONV":
            return False
        filters = shifted(w)
    edges.read(op, w_at, filters)
    if bias is not None:
        edges.read(op, b_at, sums)
    return _on_bytes(edges, op, x_at, x, quantizer) if on_bytes else _on_codes(edges, op, x_at, x, quantizer)


def _coarse(
    edges: CodedEdges, w: Tensor, bias: Tensor | None, given: float, made: float
) -> tuple[Tensor, Quantization]:
    """Channels of weights next to nothing in steps so large that XNNPACK takes their factor and int32 their bias.

    A bias of 2**30 steps outweighs what 8 bits can sum up of such weights: nothing is lost that the result's 8 bits could hold.
    """
    grid = w.quantization
    assert grid is not None and w.data is not None
    if not grid.per_channel or grid.zero_point.any():
        return w, grid
    reals = _content(edges, bias) if bias is not None else None
    least = np.full(grid.scale.size, _FACTORS[0] * 2 * made / given)
    if reals is not None and reals.size == least.size:
        least = np.maximum(least, np.abs(reals.reshape(-1)) / given / 2**30)
    if (grid.scale >= least).all():
        return w, grid
    along = [-1 if axis == grid.axis else 1 for axis in range(w.data.ndim)]
    scale = np.maximum(grid.scale, least).astype(np.float32)
    codes = np.rint(w.data * (grid.scale.astype(np.float64) / scale).reshape(along)).astype(np.int8)
    coarse = Quantization(scale, grid.zero_point, grid.axis)
    return Tensor(w.name, "int8", w.shape, codes, coarse), coarse


def _on_codes(edges: CodedEdges, op: Op, place: int, x: Tensor, quantizer: Op) -> bool:
    edges.read(op, place, x)
    edges.absorb(op, quantizer)
    return True


def _on_bytes(edges: CodedEdges, op: Op, place: int, x: Tensor, quantizer: Op) -> bool:
    """uint8 in, uint8 out; what is before and behind keeps its int8 codes."""
    given, made = shifted(x), shifted(quantizer.output)
    edges.put_before(op, Op("QUANTIZE", [x], [given]))
    edges.read(op, place, given)
    before = op.output
    edges.make(op, before, made)
    edges.read(quantizer, 0, made)
    return True


def _around_0(w: Tensor) -> Tensor | None:
    """The weights with zero point 0; None where their codes have no room for it."""
    assert w.quantization is not None and w.data is not None
    grid = w.quantization
    if not grid.zero_point.any():
        return w
    along = [-1 if grid.per_channel and axis == grid.axis else 1 for axis in range(w.data.ndim)]
    codes = w.data.astype(np.int64) - grid.zero_point.reshape(along)
    least, most = LIMITS["int8"]
    if (codes < least).any() or (codes > most).any():
        return None
    centered = Quantization(grid.scale, np.zeros_like(grid.zero_point), grid.axis)
    return Tensor(w.name, "int8", w.shape, codes.astype(np.int8), centered)


def _sums(edges: CodedEdges, bias: Tensor | None, scale: float, grid: Quantization, outputs: int) -> Tensor | None:
    """A bias in steps of the sums, the product of both scales; None where there is none or int32 does not hold it."""
    if bias is None:
        return None
    reals = _content(edges, bias)
    if reals is None or reals.size != outputs:
        return None
    steps = (np.float32(scale) * grid.scale).astype(np.float32)
    codes = np.rint(reals.reshape(-1).astype(np.float64) / steps)
    if (codes < _SUMS[0]).any() or (codes > _SUMS[1]).any():
        return None
    own = Quantization(steps, np.zeros(steps.size, np.int64), 0)
    return Tensor(bias.name, "int32", (outputs,), codes.astype(np.int32), own)


def _content(edges: CodedEdges, bias: Tensor) -> np.ndarray | None:
    if bias.data is not None:
        return bias.data
    codes = edges.codes(bias)
    if codes is None or codes.data is None or not one_scale(codes):
        return None
    assert codes.quantization is not None
    return (codes.data.astype(np.int64) - codes.quantization.zero_point) * codes.quantization.scale


RULES: dict[str, Rule] = dict.fromkeys(_PLACES, _weighted)
