"""Scaled dot-product attention over heads, as Attention of the standard and its relatives share it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.products import matrix_product, swapped
from mlpack_edge.converters.tflite_from_onnx.operators.softmax import along
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, product
from mlpack_edge.converters.tflite_from_onnx.values import Value, constant

_MINUS_INFINITY = np.array(-np.inf, np.float32)


@dataclass(frozen=True, slots=True)
class Scores:
    """The products of queries and keys on their way: raw, capped, with what is added to them, as shares of attention."""

    raw: Value
    capped: Value
    masked: Value
    shares: Value


def heads(node: Node, value: Value, number: int) -> Value:
    """[B, S, number * D] as [B, number, S, D]; nothing is moved before it has to be."""
    width = value.shape[2]
    if not isinstance(width, int) or width % number:
        raise node.refuse(f"its width {width} is no whole number of {number} heads")
    split = reshaped(node, value, (value.shape[0], value.shape[1], number, width // number))
    return node.low.op("Transpose", split, perm=[0, 2, 1, 3])


def joined(node: Node, value: Value) -> Value:
    """[B, H, S, D] as [B, S, H * D]."""
    batch, number, steps, width = value.shape
    turned = node.low.op("Transpose", value, perm=[0, 2, 1, 3])
    return reshaped(node, turned, (batch, steps, product((number, width))))


def reshaped(node: Node, value: Value, shape: tuple[Size, ...]) -> Value:
    """ONNX's Reshape to sizes that may be names."""
    if value.shape == shape:
        return value
    target = Value("", "int64", (len(shape),), elements=shape)
    if all(isinstance(size, int) for size in shape):
        target = constant("", np.array(shape, np.int64))
    return node.low.op("Reshape", value, target, allowzero=1)


def attend(
    node: Node, q: Value, k: Value, v: Value, *, scale: float, cap: float, added: Value | None, guarded: bool
) -> tuple[Value, Scores]:
    """softmax(scale * q k' + added) v, and what lies between.

    q: [B, H, Q, D]; k, v: [B, G, K, D], each of the G heads shared by H / G neighbouring ones of q. added: what
    masks, broadcast to [B, H, Q, K]. guarded: a row may be masked altogether (all -inf), and attends to nothing.
    """
    low = node.low
    batch, number, rows, _ = q.shape
    shared = k.shape[1] != number
    if shared:
        if not (isinstance(number, int) and isinstance(k.shape[1], int) and number % k.shape[1] == 0):
            raise node.refuse(f"its {number} heads of queries are no whole number of the {k.shape[1]} of keys")
        together = product((number // k.shape[1], rows))
        q = reshaped(node, q, (batch, k.shape[1], together, q.shape[3]))
    scaled = low.op("Mul", q, np.array(scale, np.float32).astype(q.dtype)) if scale != 1 else q
    raw = matrix_product(node, scaled, swapped(k))
    if shared:
        raw = reshaped(node, raw, (batch, number, rows, k.shape[2]))
    capped = _capped(node, raw, cap) if cap > 0 else raw
    masked = low.op("Add", capped, added) if added is not None else capped
    shares = along(node, "SOFTMAX", masked, 3, beta=1.0)
    if guarded and added is not None:
        shares = _without_masked_rows(node, shares, added)
    parts = reshaped(node, shares, (batch, k.shape[1], together, k.shape[2])) if shared else shares
    made = matrix_product(node, parts, v)
    if shared:
        made = reshaped(node, made, (batch, number, rows, v.shape[3]))
    return made, Scores(raw, capped, masked, shares)


def _capped(node: Node, scores: Value, cap: float) -> Value:
    number = np.array(cap, scores.dtype)
    return node.low.op("Mul", node.low.op("Tanh", node.low.op("Mul", scores, np.array(1 / cap, scores.dtype))), number)


def _without_masked_rows(node: Node, shares: Value, added: Value) -> Value:
    """Zero where all that is added to a row is -inf."""
    low = node.low
    most = low.op("ReduceMax", added, np.array([-1], np.int64), keepdims=1)
    nothing = low.op("Equal", most, _MINUS_INFINITY.astype(added.dtype))
    if nothing.array is not None and not nothing.array.any():
        return shares
    return low.op("Where", nothing, np.zeros((), shares.dtype), shares)


def in_window(
    node: Node, rows: Size, columns: Size, offset: Size | Value, before: int | None, after: int | None
) -> Value:
    """Which keys a query may attend to: key j and query i with -after <= i + offset - j <= before; bool [..., Q, K].

    offset: a size, or an integer value [B, 1, 1, 1] that is known only when the model runs. None: no bound.
    """
    low = node.low
    i = low.op("Unsqueeze", counted(node, rows), np.array([1], np.int64))
    place = low.op("Add", i, offset if isinstance(offset, Value) else number_of(offset))
    off = low.op("Sub", place, counted(node, columns))
    tests = []
    if before is not None:
        tests.append(low.op("LessOrEqual", off, np.array(before, np.int64)))
    if after is not None:
        tests.append(low.op("GreaterOrEqual", off, np.array(-after, np.int64)))
    return tests[0] if len(tests) == 1 else low.op("And", *tests)


def counted(node: Node, size: Size) -> Value:
    """0, 1, ... size - 1 as int64."""
    if isinstance(size, int):
        return constant("", np.arange(size, dtype=np.int64))
    return node.low.op("Range", np.array(0, np.int64), number_of(size), np.array(1, np.int64))


def number_of(size: Size) -> Value:
    """A size as an int64 value of rank 0."""
    if isinstance(size, int):
        return constant("", np.array(size, np.int64))
    return Value("", "int64", (), elements=(size,))


def as_bias(node: Node, allowed: Value, dtype: str) -> Value:
    """0 where a bool value is true, -inf where it is not."""
    return node.low.op("Where", allowed, np.zeros((), dtype), _MINUS_INFINITY.astype(dtype))


def both(node: Node, a: Value | None, b: Value | None) -> Value | None:
    """Two conditions, or two things to add, as one; either may be missing."""
    if a is None or b is None:
        return b if a is None else a
    if a.dtype == "bool" == b.dtype:
        return node.low.op("And", a, b)
    dtype = b.dtype if a.dtype == "bool" else a.dtype
    sides = [as_bias(node, side, dtype) if side.dtype == "bool" else side for side in (a, b)]
    return node.low.op("Add", *sides)
