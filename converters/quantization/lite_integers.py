"""Operators that only devices without floats want on codes: on processors they are faster in float (see `lite_slow`).

All kernels used here are in LiteRT and in TFLite for microcontrollers (tflite-micro, `micro/kernels/`), up to rank 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlpack_edge.converters.quantization.lite_channels import channels_of_codes
from mlpack_edge.converters.tflite_from_onnx.passes.codes import (
    LIMITS,
    CodedEdges,
    content,
    one_scale,
    scale_of,
    zero_of,
)
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Quantization, Tensor

#: XNNPACK's limits of ADD: the inputs' scales over the output's.
_SUMMED = (2**-10, 2**8)
#: XNNPACK's limits of codes moved to another grid.
_MOVED = (2**-8, 2**7)
#: Dimensions that the kernels of microcontrollers broadcast over.
_MOST_DIMENSIONS = 4
#: HardSwish is x * HardSigmoid(x) with this slope and offset.
_SWISH = (1 / 6, 0.5)
#: (edges, operator, the QUANTIZE behind it) -> whether integers compute it now.
_Rule = Callable[[CodedEdges, Op, Op], bool]


def compute_with_integers(graph: Graph) -> bool:
    """What stands between DEQUANTIZE and QUANTIZE in float becomes int8 operators, where there are ones for it. Whether any did.

    - PRELU: its slopes become codes with one scale.
    - slope * x + offset (HardSigmoid, which its codes clip): a sum and a factor; x times HardSwish's gate: HARD_SWISH.
    - factor * x + summand for each channel: a depthwise convolution (see `lite_channels`).
    - MEAN on a grid much finer than that of what is averaged: in two steps.
    - POW with the exponent -1/2: RSQRT.
    Codes differ from those of the float operators by a step, slopes by half a step of the largest.
    """
    edges = CodedEdges(graph)
    for op in list(graph.ops):
        rule = _RULES.get(op.kind)
        quantizer = None if rule is None or edges.is_removed(op) else edges.quantizer(op.output)
        if rule is not None and quantizer is not None and quantizer.output.dtype == "int8":
            edges.changed |= rule(edges, op, quantizer)
    return edges.sweep()


def _codes(edges: CodedEdges, tensor: Tensor | None) -> Tensor | None:
    """The int8 codes of a tensor, of one scale; None where it has none."""
    codes = edges.codes(tensor)
    return codes if codes is not None and one_scale(codes) and codes.dtype == "int8" else None


def _prelu(edges: CodedEdges, op: Op, quantizer: Op) -> bool:
    given, slopes = _codes(edges, op.inputs[0]), content(edges, op.inputs[1])
    if given is None or slopes is None or len(given.shape) > _MOST_DIMENSIONS or not np.isfinite(slopes).all():
        return False
    edges.read(op, 0, given)
    edges.read(op, 1, _coded("slopes", slopes))
    edges.absorb(op, quantizer)
    return True


def _coded(name: str, data: np.ndarray) -> Tensor:
    """A constant on 256 codes of which one is 0."""
    low, high = min(float(data.min()), 0.0), max(float(data.max()), 0.0)
    scale = np.float32((high - low) / 255 or 1.0)
    least, most = LIMITS["int8"]
    zero = round(least - low / float(scale))
    codes = np.clip(np.rint(data.astype(np.float64) / float(scale)) + zero, least, most).astype(np.int8)
    return Tensor(name, "int8", data.shape, codes, Quantization(np.array([scale]), np.array([zero], np.int64)))


@dataclass(frozen=True, slots=True)
class _Line:
    """slope * x + offset of codes x."""

    x: Tensor
    slope: float
    offset: float


def _line(edges: CodedEdges, last: Op) -> _Line | None:
    """What an ADD of a number makes, maybe behind a MUL by one that nobody else reads."""
    tensor, offset = _operands(edges, last)
    slope, maker = 1.0, edges.maker(tensor)
    if tensor is not None and maker is not None and maker.kind == "MUL" and edges.sole_reader(tensor) is last:
        tensor, factor = _operands(edges, maker)
        slope = np.nan if factor is None else factor
    codes = _codes(edges, tensor)
    return None if codes is None or offset is None or not slope > 0 else _Line(codes, slope, offset)


def _operands(edges: CodedEdges, op: Op) -> tuple[Tensor | None, float | None]:
    """The activation and the number that an operator of two operands reads; None for what it does not read so."""
    numbers = [_constant(edges, one) for one in op.inputs]
    others = [one for one, number in zip(op.inputs, numbers, strict=True) if number is None]
    if len(others) != 1 or others[0] is None or op.options.get("fused_activation_function", "NONE") != "NONE":
        return None, None
    number = next(one for one in numbers if one is not None)
    return (others[0], number) if others[0].shape == op.output.shape else (None, None)


def _constant(edges: CodedEdges, tensor: Tensor | None) -> float | None:
    """The one finite number of a constant; None where it is none."""
    data = content(edges, tensor)
    return float(data.reshape(-1)[0]) if data is not None and data.size == 1 and np.isfinite(data).all() else None


def _linear(edges: CodedEdges, op: Op, quantizer: Op) -> bool:
    """slope * x + offset as slope * (x + offset / slope). The sum has the grid of the result, its scale over the slope, so that
    it saturates where the result would; the factor then leaves every code as it is."""
    line, out = _line(edges, op), quantizer.output
    if line is None:
        return channels_of_codes(edges, op, quantizer)
    if _is_swish(line) and _ends(out, 0.0, 1.0) and _hard_swish(edges, line, out):
        return True
    assert out.quantization is not None
    grid = Quantization((out.quantization.scale / line.slope).astype(np.float32), out.quantization.zero_point)
    if line.slope == 1 and abs(line.offset) <= scale_of(out) / 2:
        return _requantize(edges, op, quantizer, line.x)
    added = _number(line.offset / line.slope)
    if not all(_SUMMED[0] <= scale_of(one) / float(grid.scale[0]) < _SUMMED[1] for one in (line.x, added)):
        return False
    moved = Tensor("", "int8", line.x.shape, None, grid)
    edges.put_before(op, Op("ADD", [line.x, added], [moved], {"fused_activation_function": "NONE"}))
    op.kind = "MUL"
    edges.read(op, 0, moved)
    edges.read(op, 1, _number(line.slope))
    edges.absorb(op, quantizer)
    return True


def _requantize(edges: CodedEdges, op: Op, quantizer: Op, x: Tensor) -> bool:
    """x on another grid, whose codes tell nothing so small as what is added."""
    if not _MOVED[0] < scale_of(x) / scale_of(quantizer.output) < _MOVED[1]:
        return False
    op.kind, op.options = "QUANTIZE", {}
    for place in range(len(op.inputs)):
        edges.read(op, place, None)
    op.inputs = [None]
    edges.read(op, 0, x)
    edges.absorb(op, quantizer)
    return True


def _mean(edges: CodedEdges, op: Op, quantizer: Op) -> bool:
    """A mean on a grid so fine that XNNPACK does not take the factor (of rows that are all but centred, before they are): on one
    of 64 steps to a step of what is averaged first."""
    given, axes, out = _codes(edges, op.inputs[0]), op.inputs[1], quantizer.output
    if given is None or axes is None or axes.data is None:
        return False
    step = np.float32(scale_of(given) / 64)
    if not 2 < step / scale_of(out) < _MOVED[1]:
        return False
    coarse = Tensor("", "int8", out.shape, None, Quantization(np.array([step]), np.zeros(1, np.int64)))
    edges.read(op, 0, given)
    edges.make(op, op.output, coarse)
    edges.read(quantizer, 0, coarse)
    return True


def _inverse_root(edges: CodedEdges, op: Op, quantizer: Op) -> bool:
    """x to the power of -1/2: RSQRT. Its kernels refuse codes below the zero point when they run: there must be none."""
    given = _codes(edges, op.inputs[0])
    if given is None or _constant(edges, op.inputs[1]) != -0.5 or zero_of(given) != LIMITS["int8"][0]:
        return False
    if given.shape != op.output.shape:
        return False
    edges.read(op, 1, None)
    op.kind, op.options, op.inputs = "RSQRT", {}, op.inputs[:1]
    edges.read(op, 0, given)
    edges.absorb(op, quantizer)
    return True


def _number(value: float) -> Tensor:
    """A number as a code that is as exact as its scale."""
    scale = np.array([abs(value) / 127 or 1.0], np.float32)
    data = np.array(127 * np.sign(value), np.int8)
    return Tensor("number", "int8", (), data, Quantization(scale, np.zeros(1, np.int64)))


def _is_swish(line: _Line) -> bool:
    return bool(np.allclose((line.slope, line.offset), _SWISH, rtol=1e-5, atol=0))


def _ends(codes: Tensor, low: float, high: float) -> bool:
    """Whether the lowest and the highest code are these numbers, up to a step."""
    least, most = ((limit - zero_of(codes)) * scale_of(codes) for limit in LIMITS["int8"])
    return abs(least - low) <= scale_of(codes) / 2 and abs(most - high) <= 1.01 * scale_of(codes)


def _hard_swish(edges: CodedEdges, line: _Line, gate: Tensor) -> bool:
    """The product of x and its gate, where that alone reads the gate; False where there is none."""
    product = edges.sole_reader(gate)
    if product is None or product.kind != "MUL" or line.x not in product.inputs:
        return False
    if product.options.get("fused_activation_function", "NONE") != "NONE":
        return False
    for place in range(len(product.inputs)):
        edges.read(product, place, None)
    product.kind, product.options, product.inputs = "HARD_SWISH", {}, [None]
    edges.read(product, 0, line.x)
    return True


_RULES: dict[str, _Rule] = {
    "ADD": _linear,
    "MUL": channels_of_codes,
    "MEAN": _mean,
    "POW": _inverse_root,
    "PRELU": _prelu,
}
