"""Normalizations over the batch, over the image of each channel, and over neighbouring channels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.normalization import affine, floats, normalized
from mlpack_edge.converters.tflite_from_onnx.operators.spatial import FLOATS
from mlpack_edge.converters.tflite_from_onnx.sizes import known
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, channels_last


def batch_normalization(node: Node) -> Value:
    """BatchNormalization-7 to BatchNormalization-15 as it runs in inference: one scale and one shift for each channel."""
    if node.attr("training_mode", 0) or (node.version < 14 and any(node.wants(place) for place in range(1, 5))):
        raise node.refuse(
            "it is in training mode, in which its result depends on the whole batch",
            "export the model in inference mode (model.eval() in torch)",
        )
    if not node.attr("spatial", 1):
        raise node.refuse("it has spatial=0, statistics for each place of the image, which newer opsets dropped")
    x, scale, shift, mean, variance = (node.input(place) for place in range(5))
    epsilon = float(node.attr("epsilon", 1e-5))
    arrays = [value.array for value in (scale, shift, mean, variance)]
    low = node.low
    if all(array is not None for array in arrays):
        s, b, m, v = (np.asarray(array, np.float64) for array in arrays)
        factor = s / np.sqrt(v + epsilon)
        made = low.op("Mul", x, _constant(factor, x))
        return low.op("Add", made, _constant(b - m * factor, x))
    if x.dtype != variance.dtype or x.dtype != scale.dtype:
        raise node.refuse("its statistics are known only when it runs and have another element type than its input")
    spread = low.op("Sqrt", low.op("Add", variance, np.array(epsilon, variance.dtype)))
    factor_value = low.op("Div", scale, spread)
    shift_value = low.op("Sub", shift, low.op("Mul", mean, factor_value))
    return low.op("Add", low.op("Mul", x, _channel(node, factor_value)), _channel(node, shift_value))


def _constant(per_channel: np.ndarray, x: Value) -> np.ndarray:
    """`[C]` for a broadcast with `[N, C, ...]`; all of a rank 1 batch is one channel."""
    return per_channel.reshape(-1, *[1] * max(x.rank - 2, 0)).astype(x.dtype)


def _channel(node: Node, value: Value) -> Value:
    """`[C]` as `[C, 1, ...]` under `[N, C, ...]`."""
    after = max(node.input(0).rank - 2, 0)
    return node.low.op("Unsqueeze", value, np.arange(1, after + 1)) if after else value


def instance_normalization(node: Node) -> Value:
    """InstanceNormalization-1 to InstanceNormalization-22: over the image of each channel."""
    x = node.input(0)
    scale, shift = (_channel(node, node.input(place)) for place in (1, 2))
    return affine(
        node, normalized(node, floats(node, x), range(2, x.rank), float(node.attr("epsilon", 1e-5))), scale, shift
    )


def local_response_normalization(node: Node) -> Value:
    """LRN-1 and LRN-13: over `size` neighbouring channels, one more behind than before where that is even."""
    x, size = node.input(0), int(node.attr("size"))
    alpha, beta, bias = (
        float(node.attr(name, given)) for name, given in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1))
    )
    low = node.low
    if x.dtype not in FLOATS:
        raise node.refuse(f"TFLite normalizes floats, not {x.dtype}")
    before, behind = (size - 1) // 2, size // 2
    if before == behind and x.rank == 4:
        perm = channels_last(4)
        return low.emit_value(
            "LOCAL_RESPONSE_NORMALIZATION",
            [low.tensor(x, perm)],
            Spec(x.dtype, x.shape),
            perm,
            radius=before,
            bias=bias,
            alpha=alpha / size,
            beta=beta,
        )
    channels = known(x.shape[1:2])
    if channels is None:
        raise node.refuse("the number of its channels is open", "fix it with --shape")
    place = np.arange(channels[0])
    near = (place[None] >= place[:, None] - before) & (place[None] <= place[:, None] + behind)
    perm = channels_last(x.rank)
    square = low.op("Mul", x, x)
    sums = low.emit_value(
        "FULLY_CONNECTED",
        [low.tensor(square, perm), near.astype(np.float32), None],
        Spec(x.dtype, x.shape),
        perm,
        keep_num_dims=True,
    )
    scaled = low.op("Mul", sums, np.array(alpha / size, x.dtype))
    divisor = low.op("Pow", low.op("Add", scaled, np.array(bias, x.dtype)), np.array(beta, x.dtype))
    return low.op("Div", x, divisor)


OPERATORS: dict[str, Callable[[Node], Value]] = {
    "BatchNormalization": batch_normalization,
    "InstanceNormalization": instance_normalization,
    "LRN": local_response_normalization,
}
