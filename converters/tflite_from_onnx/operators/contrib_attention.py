"""Attention as ONNX Runtime's transformer optimizer writes it (domain com.microsoft), and what it fuses around it."""

from __future__ import annotations

import math

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators import attention_core as core
from mlpack_edge.converters.tflite_from_onnx.operators.attention import turned
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import unary
from mlpack_edge.converters.tflite_from_onnx.operators.normalization import affine, centred, floats
from mlpack_edge.converters.tflite_from_onnx.operators.products import matrix_product
from mlpack_edge.converters.tflite_from_onnx.operators.reductions import reduced
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Value, constant

#: What ONNX Runtime adds to the score of a key that padding masks.
_PADDED = -10000.0


def multi_head(node: Node) -> list[Value]:
    """MultiHeadAttention-1 with queries, keys and values apart; a mask of keys, a bias of scores, and a past."""
    number = int(node.attr("num_heads"))
    q, k, v = (floats(node, node.input(place)) for place in range(3))
    if q.rank != 3:
        raise node.refuse("its queries, keys and values are packed into one input")
    bias = node.optional(3)
    if bias is not None:
        bounds = _bounds(node, (q, v)) if k.rank == 3 else None
        if bounds is None or v.rank != 3:
            raise node.refuse("it adds a bias to keys that are split into heads already")
        q, k, v = (
            node.low.op("Add", value, _cut(node, bias, start, end))
            for value, (start, end) in zip((q, k, v), bounds, strict=True)
        )
    q = core.heads(node, q, number)
    k, v = (core.heads(node, value, number) if value.rank == 3 else value for value in (k, v))
    past = node.optional(6), node.optional(7)
    if past[0] is not None and past[1] is not None:
        if node.optional(8) is not None:
            raise node.refuse("its past lies in a buffer that is longer than it")
        k, v = (node.low.op("Concat", old, new, axis=2) for old, new in zip(past, (k, v), strict=True))
    made = _attended(node, q, k, v, node.optional(4), node.optional(5))
    return [made, k, v][: node.outputs]


def packed(node: Node) -> Value:
    """Attention-1: one matrix projects the input to queries, keys and values."""
    value, weights, bias = floats(node, node.input(0)), node.input(1), node.optional(2)
    number = int(node.attr("num_heads"))
    if node.optional(4) is not None or node.wants(1):
        raise node.refuse("it keeps keys and values of what came before in one tensor")
    if node.attr("do_rotary", 0):
        raise node.refuse("it turns its queries and keys itself")
    whole = weights.shape[-1]
    widths = node.attr("qkv_hidden_sizes")
    if widths is None and isinstance(whole, int):
        widths = [whole // 3] * 3
    if widths is None:
        raise node.refuse("the width of its weights is not known")
    ends = [int(end) for end in np.cumsum(widths)]
    starts = [0, *ends[:2]]
    shift = bias if bias is not None and bias.array is not None else None
    made = matrix_product(node, value, weights, shift)
    if bias is not None and shift is None:
        made = node.low.op("Add", made, bias)
    q, k, v = (core.heads(node, _cut(node, made, start, end), number) for start, end in zip(starts, ends, strict=True))
    return _attended(node, q, k, v, node.optional(3), node.optional(5))


def _attended(node: Node, q: Value, k: Value, v: Value, mask: Value | None, added: Value | None) -> Value:
    width = q.shape[3]
    if not isinstance(width, int):
        raise node.refuse("the width of its heads is known only when the model runs", "fix it with --shape")
    low = node.low
    if mask is not None:
        if mask.rank not in (2, 3):
            raise node.refuse(f"its mask has {mask.rank} dimensions: it holds lengths, and TFLite takes a mask of keys")
        kept = low.op("Unsqueeze", low.op("Cast", mask, to=9), np.array([1, 2] if mask.rank == 2 else [1], np.int64))
        padded = np.array(float(node.attr("mask_filter_value", _PADDED)), q.dtype)
        added = core.both(node, added, low.op("Where", kept, np.zeros((), q.dtype), padded))
    if node.attr("unidirectional", 0):
        rows, columns = q.shape[2], k.shape[2]
        offset: Size = columns - rows if isinstance(rows, int) and isinstance(columns, int) else 0
        if offset == 0 and rows != columns:
            raise node.refuse("how many keys came before is known only when the model runs", "fix it with --shape")
        added = core.both(
            node, added, core.as_bias(node, core.in_window(node, rows, columns, offset, None, 0), q.dtype)
        )
    scale = float(node.attr("scale", 0.0)) or 1 / math.sqrt(width)
    made, _ = core.attend(node, q, k, v, scale=scale, cap=0.0, added=added, guarded=False)
    return core.joined(node, made)


def _bounds(node: Node, values: tuple[Value, Value]) -> list[tuple[int, int]]:
    """Where the biases of queries, keys and values lie in one."""
    widths = [value.shape[2] for value in values]
    own, other = widths
    if not isinstance(own, int) or not isinstance(other, int):
        raise node.refuse("the width of its heads is known only when the model runs", "fix it with --shape")
    return [(0, own), (own, 2 * own), (2 * own, 2 * own + other)]


def _cut(node: Node, value: Value, start: int, end: int) -> Value:
    if value.array is not None:
        return constant("", np.ascontiguousarray(value.array[..., start:end]))
    bounds = [np.array([number], np.int64) for number in (start, end, value.rank - 1)]
    return node.low.op("Slice", value, *bounds)


def rotary(node: Node) -> Value:
    """RotaryEmbedding-1: places in front of the angles, one for each step or the first of all."""
    value, places, cos, sin = (node.input(place) for place in range(4))
    if float(node.attr("scale", 1.0)) != 1.0 or node.attr("is_packed_batching", 0):
        raise node.refuse("it scales its places, or packs its batch")
    number, full = int(node.attr("num_heads", 0)), value.shape[-1]
    if value.rank == 3 and not number and cos.shape[-1] and isinstance(full, int) and isinstance(cos.shape[-1], int):
        number = full // (2 * cos.shape[-1])
    if places.rank == 1:
        steps = core.counted(node, value.shape[1 if value.rank == 3 else 2])
        places = node.low.op("Unsqueeze", node.low.op("Add", steps, places), np.array([0], np.int64))
    return turned(node, value, cos, sin, places, number)


def skip_layer(node: Node) -> list[Value]:
    """SkipLayerNormalization-1: the sum of two values and a bias, normalised; the sum is its fourth output."""
    total = _total(node, node.optional(4))
    off, mean, scale = centred(node, total, [total.rank - 1], float(node.attr("epsilon", 1e-12)))
    made = affine(node, node.low.op("Mul", off, scale), node.input(2), node.optional(3))
    return [made, mean, scale, total][: node.outputs]


def skip_rms(node: Node) -> list[Value | None]:
    """SkipSimplifiedLayerNormalization-1: as SkipLayerNormalization, by the root of the mean square."""
    total = _total(node, node.optional(3))
    made, scale = _by_root(node, total, total.rank - 1, 1e-12)
    return [affine(node, made, node.input(2), None), None, scale, total][: node.outputs]


def simplified(node: Node) -> list[Value]:
    """SimplifiedLayerNormalization-1, which ONNX Runtime has in the standard's domain."""
    value = floats(node, node.input(0))
    made, scale = _by_root(node, value, node.axis(-1), 1e-5)
    return [affine(node, made, node.input(1), None), scale][: node.outputs]


def _by_root(node: Node, value: Value, axis: int, epsilon: float) -> tuple[Value, Value]:
    low = node.low
    power = reduced(node, "MEAN", low.op("Mul", value, value), range(axis, value.rank), True)
    number = np.array(float(node.attr("epsilon", epsilon)), power.dtype)
    scale = unary(node, "RSQRT", low.op("Add", power, number))
    return low.op("Mul", value, scale), scale


def _total(node: Node, bias: Value | None) -> Value:
    total = node.low.op("Add", floats(node, node.input(0)), node.input(1))
    return total if bias is None else node.low.op("Add", total, bias)


def embed_layer(node: Node) -> list[Value | None]:
    """EmbedLayerNormalization-1: words, places and segments looked up, added and normalised."""
    words, segments = node.input(0), node.optional(1)
    if node.wants(1) and node.optional(7) is not None:
        raise node.refuse("it also counts the words of each row")
    low = node.low
    total = low.op("Gather", node.input(2), words, axis=0)
    places, table = node.optional(8), node.input(3)
    if places is None:
        places = low.op("Unsqueeze", core.counted(node, words.shape[1]), np.array([0], np.int64))
    total = low.op("Add", total, low.op("Gather", table, places, axis=0))
    kinds = node.optional(4)
    if segments is not None and kinds is not None:
        total = low.op("Add", total, low.op("Gather", kinds, segments, axis=0))
    off, _, scale = centred(node, total, [2], float(node.attr("epsilon", 1e-12)))
    made = affine(node, low.op("Mul", off, scale), node.input(5), node.input(6))
    empty = None
    if node.wants(1):  # the count of no mask
        rows = low.op("ReduceMin", low.op("Mul", words, np.array(0, words.dtype)), np.array([1], np.int64), keepdims=0)
        empty = low.op("Cast", rows, to=6)
    return [made, empty, total][: node.outputs]


OPERATORS = {
    "com.microsoft:MultiHeadAttention": multi_head,
    "com.microsoft:Attention": packed,
    "com.microsoft:RotaryEmbedding": rotary,
    "com.microsoft:SkipLayerNormalization": skip_layer,
    "com.microsoft:SkipSimplifiedLayerNormalization": skip_rms,
    "com.microsoft:EmbedLayerNormalization": embed_layer,
    "SimplifiedLayerNormalization": simplified,
}
