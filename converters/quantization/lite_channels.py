"""A factor and a summand for each channel, between codes: a depthwise convolution of one place, which rounds once.

BatchNormalization in front of a convolution with padding is such, or behind an activation or a Concat.
"""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.codes import CodedEdges, content, one_scale, scale_of
from mlpack_edge.converters.tflite_graph.model import Op, Quantization, Tensor

#: XNNPACK's limits of a convolution: scale of the input times that of the weights over that of the output.
_RATIOS = (2.0**-32, 2.0**8)
#: What a kernel adds up in int32: the summand, and a product of codes.
_SUMS = float((1 << 31) - 1 - 127 * 255)
_FUSED = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


def channels_of_codes(edges: CodedEdges, last: Op, quantizer: Op) -> bool:
    """factor * x + summand of codes x, both of the last axis, becomes DEPTHWISE_CONV_2D in front of `quantizer`. last: the ADD, or the
    MUL where nothing is added. Whether it did: not where int32 does not hold a summand, and not beyond rank 4."""
    tensor, added = _operands(edges, last) if last.kind == "ADD" else (last.output, np.zeros(1))
    maker = edges.maker(tensor)
    factor: np.ndarray | None = np.ones(1)
    if maker is not None and maker.kind == "MUL" and (maker is last or _is_between(edges, maker, last)):
        tensor, factor = _operands(edges, maker)
    codes = edges.codes(tensor)
    if codes is None or not one_scale(codes) or codes.dtype != "int8" or added is None or factor is None:
        return False
    shape, activation = codes.shape, last.options.get("fused_activation_function", "NONE")
    if (
        not 2 <= len(shape) <= 4
        or shape != last.output.shape
        or activation not in _FUSED
        or sum(n < 0 for n in shape) > 1
    ):
        return False
    held = _weights(shape[-1], factor, added, scale_of(codes), scale_of(quantizer.output))
    if held is None:
        return False
    _write(edges, last, quantizer, codes, held, activation)
    return True


def _operands(edges: CodedEdges, op: Op) -> tuple[Tensor | None, np.ndarray | None]:
    """The activation, and the constant of the last axis that an operator reads with it."""
    found = [content(edges, one) for one in op.inputs]
    others = [one for one, data in zip(op.inputs, found, strict=True) if data is None]
    data = next((data for data in found if data is not None), None)
    if len(others) != 1 or data is None or data.size != (data.shape[-1] if data.ndim else 1):
        return None, None
    return (others[0], data.reshape(-1).astype(np.float64)) if np.isfinite(data).all() else (None, None)


def _is_between(edges: CodedEdges, product: Op, last: Op) -> bool:
    plain = product.options.get("fused_activation_function", "NONE") == "NONE"
    return plain and edges.sole_reader(product.output) is last


def _weights(
    channels: int, factor: np.ndarray, added: np.ndarray, given: float, made: float
) -> tuple[Tensor, Tensor] | None:
    """The filter `[1, 1, 1, channels]` and the bias; None where they have no grid."""
    if channels < 1 or {factor.size, added.size} - {1, channels}:
        return None
    factor, added = np.broadcast_to(factor, channels), np.broadcast_to(added, channels)
    scale = (np.abs(factor) / 127).astype(np.float32)
    scale[scale == 0] = scale.max() or np.float32(made / given)
    sums = np.float32(given) * scale
    steps = np.rint(added / sums)
    ratios = sums.astype(np.float64) / made
    if not ((ratios >= _RATIOS[0]) & (ratios < _RATIOS[1])).all() or not (np.abs(steps) <= _SUMS).all():
        return None
    codes = (127 * np.sign(factor)).astype(np.int8).reshape(1, 1, 1, channels)
    none = np.zeros(channels, np.int64)
    return (
        Tensor("factor", "int8", codes.shape, codes, Quantization(scale, none, 3)),
        Tensor("summand", "int32", (channels,), steps.astype(np.int32), Quantization(sums, none, 0)),
    )


def _write(
    edges: CodedEdges, op: Op, quantizer: Op, codes: Tensor, held: tuple[Tensor, Tensor], activation: str
) -> None:
    shape = codes.shape
    given, square = codes, (-1, 1, 1, shape[-1])
    if len(shape) != 4:
        given = Tensor(
            "", "int8", square if -1 in shape else (int(np.prod(shape[:-1])), *square[1:]), None, codes.quantization
        )
        edges.put_before(op, _reshape(codes, given, square))
    for place in range(len(op.inputs)):
        edges.read(op, place, None)
    op.kind, op.inputs = "DEPTHWISE_CONV_2D", [None, None, None]
    op.options = {
        "padding": "VALID", "stride_h": 1, "stride_w": 1, "dilation_h_factor": 1, "dilation_w_factor": 1,
        "depth_multiplier": 1, "fused_activation_function": activation,
    }  # fmt: skip
    for place, tensor in enumerate((given, *held)):
        edges.read(op, place, tensor)
    edges.absorb(op, quantizer)
    if len(shape) != 4:
        after = op.output
        made = Tensor("", "int8", given.shape, None, after.quantization)
        edges.make(op, after, made)
        edges.put_after(op, _reshape(made, after, shape))


def _reshape(given: Tensor, made: Tensor, shape: tuple[int, ...]) -> Op:
    sizes = Tensor("shape", "int32", (len(shape),), np.array(shape, np.int32))
    return Op("RESHAPE", [given, sizes], [made], {"new_shape": list(shape)})
