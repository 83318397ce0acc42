"""Reductions over axes, in the layout in which the input is: sums, means, extremes, products, norms, logarithms of sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import unary
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, product
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, physical, without

FLOATS = frozenset({"float32", "float64", "float16", "bfloat16"})
WIDE = frozenset({"int32", "int64"})
#: XNNPACK's reductions take no more dimensions than these, and a model that has more is not loaded at all.
_MOST_DIMENSIONS = 6
#: TFLite's reducers by what they take besides floats; on other integers some of them are silently wrong.
_TYPES = {
    "SUM": FLOATS | WIDE, "MEAN": FLOATS | WIDE, "REDUCE_PROD": FLOATS | WIDE,
    "REDUCE_MAX": FLOATS | WIDE | {"int8", "uint8", "int16"}, "REDUCE_MIN": FLOATS | WIDE | {"int8", "uint8", "int16"},
    "REDUCE_ANY": {"bool"}, "REDUCE_ALL": {"bool"},
}  # fmt: skip


def reduced(node: Node, kind: str, value: Value, axes: Sequence[int], keepdims: bool) -> Value:
    """TFLite's reducer `kind` of `value` over `axes` (of the ONNX value, from 0); without axes the value as it is."""
    if value.dtype not in _TYPES[kind]:
        raise node.refuse(f"TFLite's {kind} does not take {value.dtype}")
    if not axes:
        return value
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(value.shape) if keepdims or axis not in axes)
    perm = value.layout
    spec = Spec(value.dtype, shape)
    if value.rank > _MOST_DIMENSIONS and value.dtype in FLOATS:
        return _collapsed(node, kind, value, axes, spec)
    places = np.array(sorted(physical(axis, perm) for axis in axes), np.int32)
    left = perm if keepdims else without(perm, axes)
    return node.low.emit_value(kind, [node.low.tensor(value, perm), places], spec, left, keep_dims=keepdims)


def _collapsed(node: Node, kind: str, value: Value, axes: Sequence[int], spec: Spec) -> Value:
    """Neighbouring axes that are all reduced, or all kept, are one axis to a reducer."""
    shape: list[Size] = []
    gone: list[int] = []
    for axis, size in enumerate(value.shape):
        if shape and (axis in axes) == (axis - 1 in axes):
            shape[-1] = product((shape[-1], size))
        else:
            if axis in axes:
                gone.append(len(shape))
            shape.append(size)
    if len(shape) > _MOST_DIMENSIONS:
        raise node.refuse(
            f"it reduces a tensor of {value.rank} dimensions, and TFLite takes {_MOST_DIMENSIONS} of them"
        )
    low = node.low
    left = [size for place, size in enumerate(shape) if place not in gone]
    tensor = low.reshape(low.tensor(value), shape)
    made = low.emit(kind, [tensor, np.array(gone, np.int32)], value.dtype, left, keep_dims=False)
    return low.value(low.reshape(made, spec.shape), spec)


def axes_of(node: Node, rank: int) -> list[int]:
    """The axes of a reduction from 0: an attribute before opset 13 or 18, an input from then on; all where none are given."""
    given = node.integers("axes", 1)
    if not given:
        return [] if node.attr("noop_with_empty_axes", 0) else list(range(rank))
    if any(not -rank <= axis < max(rank, 1) for axis in given):
        raise node.refuse(f"its axes {given} lie outside its {rank} dimensions")
    return sorted({axis % max(rank, 1) for axis in given}) if rank else []


def _plain(kind: str, of_bools: str = "") -> Callable[[Node], Value]:
    """An operator that is one of TFLite's reducers."""

    def lower(node: Node) -> Value:
        value = node.input(0)
        chosen = of_bools if value.dtype == "bool" and of_bools else kind
        return _again(value, reduced(node, chosen, value, axes_of(node, value.rank), bool(node.attr("keepdims", 1))))

    return lower


def _again(before: Value, after: Value) -> Value:
    """Where nothing was reduced, the same value under another name."""
    if after is not before:
        return after
    return Value("", before.dtype, before.shape, before.array, before.elements, dict(before.forms))


def _summed(node: Node, value: Value) -> Value:
    return reduced(node, "SUM", value, axes_of(node, value.rank), bool(node.attr("keepdims", 1)))


def _floats(node: Node) -> Value:
    value = node.input(0)
    if value.dtype not in FLOATS:
        raise node.refuse(
            f"a root or a logarithm of {value.dtype} is rounded differently by TFLite, which has them for floats"
        )
    return value


def l1(node: Node) -> Value:
    """ReduceL1: the sum of absolute values."""
    return _summed(node, node.low.op("Abs", node.input(0)))


def l2(node: Node) -> Value:
    """ReduceL2: the root of the sum of squares."""
    return unary(node, "SQRT", _summed(node, _squares(node, _floats(node))))


def sum_of_squares(node: Node) -> Value:
    """ReduceSumSquare."""
    return _summed(node, _squares(node, node.input(0)))


def _squares(node: Node, value: Value) -> Value:
    return node.low.op("Mul", value, value)


def log_of_sum(node: Node) -> Value:
    """ReduceLogSum."""
    return unary(node, "LOG", _summed(node, _floats(node)))


def log_of_sum_of_exponents(node: Node) -> Value:
    """ReduceLogSumExp, with the greatest taken out first so that no exponent overflows."""
    value = _floats(node)
    axes, keep = axes_of(node, value.rank), bool(node.attr("keepdims", 1))
    if any(value.shape[axis] == 0 for axis in axes):  # nothing to take out, and the logarithm of 0 is right
        return unary(node, "LOG", _summed(node, unary(node, "EXP", value)))
    if not axes:
        return _again(value, value)
    low = node.low
    top = low.op("Clip", reduced(node, "REDUCE_MAX", value, axes, True), _f32(-3.4028235e38), _f32(3.4028235e38))
    parts = reduced(node, "SUM", unary(node, "EXP", low.op("Sub", value, top)), axes, keep)
    # the greatest in the shape of the sum: the axes that went have size 1
    small = top if keep else low.op("Squeeze", top, np.array(axes, np.int64))
    return low.op("Add", unary(node, "LOG", parts), small)


def _f32(number: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(number, np.float32)


OPERATORS = {
    "ReduceSum": _plain("SUM"),
    "ReduceMean": _plain("MEAN"),
    "ReduceMax": _plain("REDUCE_MAX", "REDUCE_ANY"),
    "ReduceMin": _plain("REDUCE_MIN", "REDUCE_ALL"),
    "ReduceProd": _plain("REDUCE_PROD"),
    "ReduceL1": l1,
    "ReduceL2": l2,
    "ReduceSumSquare": sum_of_squares,
    "ReduceLogSum": log_of_sum,
    "ReduceLogSumExp": log_of_sum_of_exponents,
}
