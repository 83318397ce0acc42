"""Attention and RotaryEmbedding of the standard."""

from __future__ import annotations

import math

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators import attention_core as core
from mlpack_edge.converters.tflite_from_onnx.operators.normalization import floats
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Value


def attention(node: Node) -> list[Value]:
    """Attention-23 to -25: heads apart (4-D) or side by side (3-D), keys shared by heads, masks, caches, windows."""
    q, k, v = (floats(node, node.input(place)) for place in range(3))
    apart = q.rank == 4
    if not apart:
        own, shared = int(node.attr("q_num_heads", 0)), int(node.attr("kv_num_heads", 0))
        if own < 1 or shared < 1:
            raise node.refuse("its inputs are 3-D, and the numbers of heads are not given")
        q, k, v = core.heads(node, q, own), core.heads(node, k, shared), core.heads(node, v, shared)
    past = node.optional(4), node.optional(5)
    if past[0] is not None and past[1] is not None:
        k = node.low.op("Concat", past[0], k, axis=2)
        v = node.low.op("Concat", past[1], v, axis=2)
    width = q.shape[3]
    if not node.has("scale") and not isinstance(width, int):
        raise node.refuse("the width of its heads is known only when the model runs", "fix it with --shape")
    scale = float(node.attr("scale", 0.0)) or (1 / math.sqrt(width) if isinstance(width, int) else 1.0)
    added, guarded = _added(node, q, k)
    cap = float(node.attr("softcap", 0.0))
    made, scores = core.attend(node, q, k, v, scale=scale, cap=cap, added=added, guarded=guarded)
    mode = int(node.attr("qk_matmul_output_mode", 0))
    shown = (scores.raw, scores.capped, scores.masked, scores.shares)[mode]
    made = made if apart else core.joined(node, made)
    return [made, k, v, shown][: node.outputs]


def _added(node: Node, q: Value, k: Value) -> tuple[Value | None, bool]:
    """What is added to the scores, and whether a whole row of it may be -inf."""
    rows, columns = q.shape[2], k.shape[2]
    mask, valid = node.optional(3), node.optional(6)
    if mask is not None:
        mask = _padded(node, mask, columns)
    past = node.optional(4)
    offset: Size | Value = 0 if past is None else past.shape[2]
    window = _window(node)
    guarded = mask is not None or valid is not None
    allowed: Value | None = None
    if valid is not None:
        column = node.low.op("Reshape", valid, np.array([-1, 1, 1, 1], np.int64))
        column = node.low.op("Cast", column, to=7)
        allowed = node.low.op("Less", core.counted(node, columns), column)
        if past is None:
            offset = node.low.op("Sub", column, core.number_of(rows))
    if window != (None, None):
        allowed = core.both(node, core.in_window(node, rows, columns, offset, *window), allowed)
        guarded = guarded or window[0] is not None
    added = core.both(node, mask, allowed)
    if added is not None and added.dtype == "bool":
        added = core.as_bias(node, added, q.dtype)
    return added, guarded


def _window(node: Node) -> tuple[int | None, int | None]:
    """How far behind and before its own place a query sees; None is without bound."""
    left, right = int(node.attr("left_window_size", -1)), int(node.attr("right_window_size", -1))
    after = None if right < 0 else right
    if node.attr("is_causal", 0):
        after = 0
    return (None if left < 0 else left), after


def _padded(node: Node, mask: Value, columns: Size) -> Value:
    """A mask that covers fewer keys than there are masks the others."""
    width = mask.shape[-1]
    if width in (columns, 1) and not (width == 1 and columns != 1):
        return mask
    if not isinstance(width, int) or not isinstance(columns, int):
        return mask  # sizes under different names that are the same when the model runs
    pads = np.array([0] * (2 * mask.rank - 1) + [columns - width], np.int64)
    fill = np.array(mask.dtype != "bool" and -np.inf, mask.dtype)
    return node.low.op("Pad", mask, pads, fill)


def rotary(node: Node) -> Value:
    """RotaryEmbedding-23: each pair of numbers is turned by an angle that belongs to its place in the sequence."""
    value, cos, sin, places = node.input(0), node.input(1), node.input(2), node.optional(3)
    return turned(node, value, cos, sin, places, int(node.attr("num_heads", 0)))


def turned(node: Node, value: Value, cos: Value, sin: Value, places: Value | None, number: int) -> Value:
    """value: [B, H, S, D] or [B, S, H * D]; cos and sin: [B, S, R / 2], or a row for each of `places` `[B, S]`."""
    low, shape = node.low, floats(node, value).shape
    apart = value.rank == 4
    if not apart:
        width = shape[2]
        if number < 1 or not isinstance(width, int):
            raise node.refuse("its input is 3-D, and the number of heads is not given")
        value = core.reshaped(node, value, (*shape[:2], number, width // number))
    full = value.shape[3]
    half = cos.shape[-1]
    if not isinstance(full, int) or not isinstance(half, int):
        raise node.refuse("the width of its heads is known only when the model runs", "fix it with --shape")
    size = int(node.attr("rotary_embedding_dim", 0)) or full
    if size != 2 * half:
        raise node.refuse(f"it turns {size} numbers a head, and there are {half} angles for them")
    pairs = bool(node.attr("interleaved", 0))
    order = np.repeat(np.arange(half), 2) if pairs else np.tile(np.arange(half), 2)
    sign = np.where(np.arange(size) % 2 if pairs else np.arange(size) >= half, 1, -1)
    cos = low.op("Gather", cos, order, axis=cos.rank - 1)
    sin = low.op("Mul", low.op("Gather", sin, order, axis=sin.rank - 1), sign.astype(sin.dtype))
    if places is not None:
        cos, sin = low.op("Gather", cos, places, axis=0), low.op("Gather", sin, places, axis=0)
    beside = np.array([1 if apart else 2], np.int64)
    cos, sin = low.op("Unsqueeze", cos, beside), low.op("Unsqueeze", sin, beside)
    part = value if size == full else _slice(node, value, 0, size)
    if pairs:
        other = low.op("Gather", part, np.arange(size) ^ 1, axis=3)
    else:
        other = low.op("Concat", _slice(node, part, half, size), _slice(node, part, 0, half), axis=3)
    made = low.op("Add", low.op("Mul", part, cos), low.op("Mul", other, sin))
    if size != full:
        made = low.op("Concat", made, _slice(node, value, size, full), axis=3)
    return made if apart else core.reshaped(node, made, shape)


def _slice(node: Node, value: Value, start: int, end: int) -> Value:
    bounds = [np.array([number], np.int64) for number in (start, end, value.rank - 1)]
    return node.low.op("Slice", value, *bounds)


OPERATORS = {
    "Attention": attention,
    "RotaryEmbedding": rotary,
}
