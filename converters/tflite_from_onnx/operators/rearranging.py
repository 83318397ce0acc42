"""Operators that put elements elsewhere: blocks of pixels into channels and back, sequences turned round."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.indices import cast, int32, recast
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, product, quotient
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, channels_last, permuted, physical

_BLOCKS = ("float32", "float64", "float16", "int8", "uint8", "int32", "int64")


def depth_to_space(node: Node) -> Value:
    """DepthToSpace-1 to DepthToSpace-13. Its DCR order is TFLite's own; for CRD the channels are put into that first."""
    value, block = node.input(0), int(node.attr("blocksize"))
    channels = value.shape[1]
    if not isinstance(channels, int) or channels % (block * block):
        raise node.refuse(f"its {channels} channels are no multiple of {block} x {block}")
    out = channels // (block * block)
    inside = value if value.dtype in _BLOCKS else recast(node.low, value, "int32")
    perm = channels_last(4)
    if node.attr("mode", "DCR") == "CRD":
        order = np.arange(channels).reshape(out, block * block).T.reshape(-1)
        inside = node.low.op("Gather", inside, order, axis=1)
    shape: tuple[Size, ...] = (
        value.shape[0], out, product((value.shape[2], block)), product((value.shape[3], block)),
    )  # fmt: skip
    made = node.low.emit_value(
        "DEPTH_TO_SPACE", [node.low.tensor(inside, perm)], Spec(inside.dtype, shape), perm, block_size=block
    )
    return recast(node.low, made, value.dtype)


def space_to_depth(node: Node) -> Value:
    """SpaceToDepth-1 to SpaceToDepth-13."""
    value, block = node.input(0), int(node.attr("blocksize"))
    if any(isinstance(size, int) and size % block for size in value.shape[2:]):
        raise node.refuse(f"its {value.shape[2]} x {value.shape[3]} places are no multiple of {block}")
    halves = [quotient(size, block) or node.spec().shape[axis + 2] for axis, size in enumerate(value.shape[2:])]
    inside = value if value.dtype in _BLOCKS else recast(node.low, value, "int32")
    perm = channels_last(4)
    shape: tuple[Size, ...] = (value.shape[0], product((value.shape[1], block * block)), *halves)
    made = node.low.emit_value(
        "SPACE_TO_DEPTH", [node.low.tensor(inside, perm)], Spec(inside.dtype, shape), perm, block_size=block
    )
    return recast(node.low, made, value.dtype)


def reverse_sequence(node: Node) -> Value:
    """ReverseSequence-10: the first places of each row of the batch, as many as it is long, turned round."""
    value, low = node.input(0), node.low
    batch, time = int(node.attr("batch_axis", 1)), int(node.attr("time_axis", 0))
    wide = "int32" if value.dtype in ("int8", "bool") else value.dtype
    inside = recast(low, value, wide)
    perm = inside.layout
    held_shape = permuted(value.shape, perm)
    made = low.emit(
        "REVERSE_SEQUENCE",
        [low.tensor(inside, perm), int32(low, node.input(1))],
        wide,
        held_shape,
        seq_dim=physical(time, perm),
        batch_dim=physical(batch, perm),
    )
    return low.value(cast(low, made, low.tensor(value, perm).dtype, held_shape), Spec(value.dtype, value.shape), perm)


def cum_sum(node: Node) -> Value:
    """CumSum-11 to CumSum-14, in the layout at hand."""
    value = node.input(0)
    axis = int(node.constant(1, "axis").reshape(()))
    if not -value.rank <= axis < value.rank:
        raise node.refuse(f"its axis {axis} lies outside its {value.rank} dimensions")
    perm = value.layout
    return node.low.emit_value(
        "CUMSUM",
        [node.low.tensor(value, perm), np.array(physical(axis, perm), np.int32)],
        Spec(value.dtype, value.shape),
        perm,
        exclusive=bool(node.attr("exclusive", 0)),
        reverse=bool(node.attr("reverse", 0)),
    )


def cum_prod(node: Node) -> Value:
    """CumProd-26, by doubling: after step k each place holds the product of the 2^k places up to it."""
    value = node.input(0)
    axis = int(node.constant(1, "axis").reshape(())) % max(value.rank, 1)
    size = value.shape[axis]
    if not isinstance(size, int):
        raise node.refuse(
            f"the size {size} along which it multiplies is known only when the model runs",
            f"fix it with --shape {size}=...",
        )
    low, backwards = node.low, bool(node.attr("reverse", 0))
    if node.attr("exclusive", 0):
        value = _shifted(node, value, axis, 1, backwards)
    step = 1
    while step < size:
        value = low.op("Mul", value, _shifted(node, value, axis, step, backwards))
        step *= 2
    return low.op("Identity", value)


def _shifted(node: Node, value: Value, axis: int, step: int, backwards: bool) -> Value:
    """`value` moved by `step` places along the axis, ones where nothing comes from."""
    pads = [0] * (2 * value.rank)
    pads[axis], pads[axis + value.rank] = (-step, step) if backwards else (step, -step)
    one = np.ones((), np.float32 if value.dtype == "bfloat16" else value.dtype)
    return node.low.op("Pad", value, np.array(pads, np.int64), one)


OPERATORS = {
    "CumProd": cum_prod,
    "CumSum": cum_sum,
    "DepthToSpace": depth_to_space,
    "ReverseSequence": reverse_sequence,
    "SpaceToDepth": space_to_depth,
}
