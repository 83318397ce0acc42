"""Convolutions: channel-last inside."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.values import Value, channels_last


def conv(node: Node) -> Value:
    """Conv-1 to Conv-22 in two dimensions."""
    x, w = node.input(0), node.input(1)
    perm = channels_last(x.rank)
    pads = node.attr("pads", [0] * 4)
    spec = node.spec()
    if any(pads):
        raise node.refuse("padding is not there yet")
    strides = node.attr("strides", [1, 1])
    filters = node.low.tensor(w, (0, 2, 3, 1))
    bias = node.optional(2)
    b = np.zeros(w.shape[0], np.float32) if bias is None else node.low.tensor(bias)
    return node.low.emit_value(
        "CONV_2D",
        [node.low.tensor(x, perm), filters, b],
        spec,
        perm,
        padding="VALID",
        stride_h=strides[0],
        stride_w=strides[1],
        dilation_h_factor=1,
        dilation_w_factor=1,
    )


OPERATORS = {
    "Conv": conv,
}
