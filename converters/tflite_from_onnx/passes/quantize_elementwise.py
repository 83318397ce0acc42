"""int8 kernels of operators without weights, and the scales they demand (LiteRT's kernels/*.cc, XNNPACK's limits)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.codes import (
    CodedEdges,
    one_scale,
    same_grid,
    scale_of,
    zero_of,
)
from mlpack_edge.converters.tflite_graph.model import Op, Quantization, Tensor

#: (edges, operator, the QUANTIZE behind it) -> whether the operator is on int8 now.
Rule = Callable[[CodedEdges, Op, Op], bool]


def _codes(edges: CodedEdges, op: Op, places: range) -> list[Tensor] | None:
    """The int8 codes of the inputs at `places`, each with one scale; None where one has none."""
    found = []
    for place in places:
        codes = edges.codes(op.inputs[place])
        if codes is None or not one_scale(codes) or codes.dtype != "int8":
            return None
        found.append(codes)
    return found


def take(edges: CodedEdges, op: Op, places: range, codes: list[Tensor], quantizer: Op) -> bool:
    """Let `op` read codes and write those that `quantizer` made of its result."""
    for place, tensor in zip(places, codes, strict=True):
        edges.read(op, place, tensor)
    edges.absorb(op, quantizer)
    return True


def _unary(edges: CodedEdges, op: Op, quantizer: Op) -> bool:
    """Kernels that take any scale before and behind: by tables, or with a factor."""
    codes = _codes(edges, op, range(1))
    return codes is not None and take(edges, op, range(1), codes, quantizer)


def _scaled_activation(edges: CodedEdges, op: Op, quantizer: Op) -> bool:
    """RELU, LEAKY_RELU and their like, whose factor XNNPACK wants between 2**-8 and 2**7."""
    codes = _codes(edges, op, range(1))
    if codes is None or not 2**-8 < scale_of(codes[0]) / scale_of(quantizer.output) < 2**7:
        return False
    return take(edges, op, range(1), codes, quantizer)


def _between_0_and_1(edges: CodedEdges, op: Op, quantizer: Op) -> bool:
    """LOGISTIC and SOFTMAX, whose kernels write with scale 1/256 and zero point -128 alone."""
    if scale_of(quantizer.output) != 1 / 256 or zero_of(quantizer.output) != -128:
        return False
    return _unary(edges, op, quantizer)


def _sum(edges: CodedEdges, op: Op, quantizer: Op) -> bool:
    """ADD and SUB: XNNPACK wants the inputs' scales within 2**-10 to 2**8 of the output's."""
    codes = _codes(edges, op, range(2))
    out = scale_of(quantizer.output)
    if codes is None or not all(2**-10 <= scale_of(one) / out < 2**8 for one in codes):
        return False
    return take(edges, op, range(2), codes, quantizer)


def _product(edges: CodedEdges, op: Op, quantizer: Op) -> bool:
    """MUL and BATCH_MATMUL: the product of the scales within 2**-16 to 2**8 of the output's."""
    codes = _codes(edges, op, range(2))
    if codes is None:
        return False
    if not 2**-16 <= scale_of(codes[0]) * scale_of(codes[1]) / scale_of(quantizer.output) < 2**8:
        return False
    return take(edges, op, range(2), codes, quantizer)


def _same_scales(edges: CodedEdges, op: Op, quantizer: Op) -> bool:
    """Kernels that leave codes as they are but for sums: scale and zero point before and behind have to be the same."""
    codes = _codes(edges, op, range(1))
    if codes is None or not same_grid(codes[0], quantizer.output):
        return False
    return take(edges, op, range(1), codes, quantizer)


def _mean(edges: CodedEdges, op: Op, quantizer: Op) -> bool:
    """MEAN over known axes."""
    axes = op.inputs[1]
    codes = _codes(edges, op, range(1))
    if codes is None or axes is None or axes.data is None:
        return False
    if not 2**-8 < scale_of(codes[0]) / scale_of(quantizer.output) < 2**7:
        return False
    return take(edges, op, range(1), codes, quantizer)


def _average_pool(edges: CodedEdges, op: Op, quantizer: Op) -> bool:
    """AVERAGE_POOL_2D where the scales are the same; else the depthwise convolution with ones that it is.

    The ones have the scale 1 / (height * width) of the window, so the result is rounded once, to its own scale.
    """
    codes = _codes(edges, op, range(1))
    if codes is None:
        return False
    source, out = codes[0], quantizer.output
    if same_grid(source, out):
        return take(edges, op, range(1), codes, quantizer)
    height, width, channels = int(op.options["filter_height"]), int(op.options["filter_width"]), source.shape[-1]
    ratio = scale_of(source) / (height * width) / scale_of(out)
    if op.options.get("padding") != "VALID" or channels < 1 or not 2**-32 <= ratio < 2**8:
        return False
    scale = np.full(channels, 1 / (height * width), np.float32)
    grid = Quantization(scale, np.zeros(channels, np.int64), 3)
    shape = (1, height, width, channels)
    ones = Tensor("window", "int8", shape, np.ones(shape, np.int8), grid)
    sums = Quantization(scale * np.float32(scale_of(source)), np.zeros(channels, np.int64), 0)
    none = Tensor("no_bias", "int32", (channels,), np.zeros(channels, np.int32), sums)
    op.kind = "DEPTHWISE_CONV_2D"
    op.options = {
        "padding": "VALID", "stride_h": op.options["stride_h"], "stride_w": op.options["stride_w"],
        "dilation_h_factor": 1, "dilation_w_factor": 1, "depth_multiplier": 1,
        "fused_activation_function": op.options.get("fused_activation_function", "NONE"),
    }  # fmt: skip
    op.inputs.extend([None, None])
    edges.read(op, 1, ones)
    edges.read(op, 2, none)
    return take(edges, op, range(1), codes, quantizer)


def _join(edges: CodedEdges, op: Op, quantizer: Op) -> bool:
    """CONCATENATION, MAXIMUM and MINIMUM in the scale of their result: inputs of another one are brought to it first."""
    places = range(len(op.inputs))
    codes = _codes(edges, op, places)
    if codes is None or op.options.get("fused_activation_function", "NONE") != "NONE":
        return False
    out = quantizer.output
    if not all(2**-8 < scale_of(one) / scale_of(out) < 2**7 for one in codes):
        return False
    aligned = []
    for tensor in codes:
        if same_grid(tensor, out):
            aligned.append(tensor)
            continue
        moved = Tensor("", "int8", tensor.shape, None, out.quantization)
        edges.put_before(op, Op("QUANTIZE", [tensor], [moved]))
        aligned.append(moved)
    return take(edges, op, places, aligned, quantizer)


RULES: dict[str, Rule] = {
    "ADD": _sum,
    "AVERAGE_POOL_2D": _average_pool,
    "BATCH_MATMUL": _product,
    "CONCATENATION": _join,
    "ELU": _unary,
    "GELU": _unary,
    "HARD_SWISH": _unary,
    "LEAKY_RELU": _scaled_activation,
    "LOGISTIC": _between_0_and_1,
    "MAXIMUM": _join,
    "MEAN": _mean,
    "MINIMUM": _join,
    "MUL": _product,
    "RELU": _scaled_activation,
    "RELU6": _scaled_activation,
    "RESIZE_BILINEAR": _same_scales,
    "SOFTMAX": _between_0_and_1,
    "SUB": _sum,
    "TANH": _unary,
}
