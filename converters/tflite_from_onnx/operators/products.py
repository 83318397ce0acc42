"""The product of two stacks of matrices: FULLY_CONNECTED where one is constant, BATCH_MATMUL else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.emitter import Given
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.reductions import FLOATS, WIDE
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, broadcast, product
from mlpack_edge.converters.tflite_from_onnx.values import Perm, Spec, Value, constant, permuted

#: The dimensions BATCH_MATMUL takes with and without XNNPACK.
_MOST_DIMENSIONS = 5
#: The same of FULLY_CONNECTED.
_MOST_ROWS_DIMENSIONS = 6


def swapped(value: Value) -> Value:
    """Each matrix of a stack transposed; nothing moves."""
    last = value.rank - 1
    shape = (*value.shape[:-2], value.shape[-1], value.shape[-2])
    if value.array is not None:
        return constant(value.name, np.swapaxes(value.array, -1, -2))
    other = {last: last - 1, last - 1: last}
    forms = {tuple(other.get(axis, axis) for axis in perm): tensor for perm, tensor in value.forms.items()}
    return replace(value, shape=shape, forms=forms, elements=None)


def matrix_product(node: Node, a: Value, b: Value, bias: Value | None = None) -> Value:
    """a [..., M, K] times b [..., K, N] (ranks from 2; what is in front is broadcast), plus a constant bias [N].

    Raises Unsupported for element types whose products TFLite has not.
    """
    if a.dtype in WIDE:
        return _of_integers(node, a, b)
    if a.dtype not in FLOATS:
        raise node.refuse(f"TFLite multiplies matrices of floats, not of {a.dtype}")
    if a.shape[-1] == 0:
        raise node.refuse("its matrices have no columns to sum over")
    if _is_one(b) and b.rank <= a.rank:
        return _dense(node, a, b, bias)
    if bias is None and _is_one(a) and a.rank <= b.rank and b.array is None and b.layout[-1] == b.rank - 2:
        return swapped(_dense(node, swapped(b), swapped(a), None))
    made = _stacked(node, a, b)
    return made if bias is None else node.low.op("Add", made, bias)


def _is_one(value: Value) -> bool:
    """Whether it is a constant matrix: sizes of 1 may stand in front."""
    return value.array is not None and all(size == 1 for size in value.shape[:-2])


def _dense(node: Node, a: Value, b: Value, bias: Value | None) -> Value:
    """FULLY_CONNECTED: the axis that is summed over has to be the last in memory, the others may be in any order."""
    low, last = node.low, a.rank - 1
    assert b.array is not None
    perm = (*(axis for axis in a.layout if axis != last), last)
    spec = Spec(a.dtype, (*a.shape[:-1], b.shape[-1]))
    weights = np.ascontiguousarray(b.array.reshape(b.array.shape[-2:]).T)
    shift: Given = None if bias is None else low.tensor(bias)
    filters = low.tensor_of(weights, b.name)
    tensor = low.tensor(a, perm)
    if a.rank <= _MOST_ROWS_DIMENSIONS:
        return low.emit_value("FULLY_CONNECTED", [tensor, filters, shift], spec, perm, keep_num_dims=a.rank > 2)
    rows = product(a.shape[:-1])
    flat = low.reshape(tensor, (rows, a.shape[-1]))
    made = low.emit("FULLY_CONNECTED", [flat, filters, shift], a.dtype, (rows, b.shape[-1]), keep_num_dims=False)
    return low.value(low.reshape(made, permuted(spec.shape, perm)), spec, perm)


def _stacked(node: Node, a: Value, b: Value) -> Value:
    low = node.low
    front = broadcast(a.shape[:-2], b.shape[:-2])
    spec = Spec(a.dtype, (*front, a.shape[-2], b.shape[-1]))
    if len(front) + 2 <= _MOST_DIMENSIONS:
        perm = _stack_layout(b)
        turned = perm[-1] != b.rank - 1
        return low.emit_value("BATCH_MATMUL", [low.tensor(a), low.tensor(b, perm)], spec, adj_x=False, adj_y=turned)
    one = product(front)
    stacks = [_one_stack(node, value, front, one) for value in (a, b)]
    made = _stacked(node, *stacks)
    return low.value(low.reshape(low.tensor(made), spec.shape), spec)


def _stack_layout(b: Value) -> Perm:
    """The order of b's axes that is made the cheapest: transposed matrices are taken as they are (adj_y)."""
    plain = b.plain
    turned = (*plain[:-2], plain[-1], plain[-2])
    if b.array is not None or plain in b.forms:
        return plain
    return turned if b.layout[-1] == turned[-1] else plain


def _one_stack(node: Node, value: Value, front: tuple[Size, ...], one: Size) -> Value:
    """The matrices of `value`, repeated as `front` has it, in one dimension in front."""
    low = node.low
    missing = len(front) + 2 - value.rank
    if (1,) * missing + value.shape[:-2] != front:
        target = Value("", "int64", (len(front) + 2,), elements=(*front, *value.shape[-2:]))
        value = low.op("Expand", value, target)
    shape = (one, *value.shape[-2:])
    return low.value(low.reshape(low.tensor(value), shape), Spec(value.dtype, shape))


def _of_integers(node: Node, a: Value, b: Value) -> Value:
    """Exact, wrapping around as integers do: all products, then the sum."""
    low = node.low
    left = low.op("Unsqueeze", a, np.array([-1], np.int64))
    right = low.op("Unsqueeze", b, np.array([-3], np.int64))
    return low.op("ReduceSum", low.op("Mul", left, right), np.array([-2], np.int64), keepdims=0)


def with_rank(node: Node, value: Value, shape: tuple[Size, ...]) -> Value:
    """`value` with sizes of 1 added or dropped."""
    if value.array is not None:
        return constant(value.name, value.array.reshape([size for size in shape if isinstance(size, int)]))
    if value.shape == shape:
        return value
    tensor = node.low.reshape(node.low.tensor(value), shape)
    return node.low.value(tensor, Spec(value.dtype, permuted(shape, tuple(range(len(shape))))))
