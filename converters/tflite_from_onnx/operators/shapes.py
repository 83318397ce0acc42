"""Operators that give the same elements another shape or order, and those that repeat them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpack_edge.converters.tflite_from_onnx import sizes
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.regrouping import regrouped
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, product, quotient
from mlpack_edge.converters.tflite_from_onnx.values import Perm, Spec, Value, permuted, without


def identity(node: Node) -> Value:
    """The same value under another name: nothing is written."""
    return renamed(node.input(0))


def renamed(value: Value) -> Value:
    """A value that is held by the same tensors."""
    return Value("", value.dtype, value.shape, value.array, value.elements, dict(value.forms))


def transpose(node: Node) -> Value:
    """Nothing moves: the tensors that hold the value hold the transposed one in another layout."""
    value = node.input(0)
    if value.rank < 2:
        return renamed(value)
    if not value.forms:
        node.low.tensor(value)
    perm = tuple(int(axis) for axis in node.attr("perm", list(reversed(range(value.rank)))))
    forms = {tuple(perm.index(axis) for axis in layout): tensor for layout, tensor in value.forms.items()}
    return Value("", value.dtype, tuple(value.shape[axis] for axis in perm), forms=forms)


def reshape(node: Node) -> Value:
    """Reshape-5 to Reshape-25: 0 keeps a size unless allowzero, -1 is what is left."""
    value, target = node.input(0), node.input(1).elements
    if target is None:
        spec = node.spec()
        shape = node.low.tensor(node.input(1))
        if shape.dtype != "int32":
            shape = node.low.emit("CAST", [shape], "int32", (len(spec.shape),))
        return node.low.emit_value("RESHAPE", [node.low.tensor(value), shape], spec)
    wanted: list[Size] = [
        value.shape[i] if size == 0 and not node.attr("allowzero", 0) else size for i, size in enumerate(target)
    ]
    if -1 in wanted:
        rest = quotient(product(value.shape), product(size for size in wanted if size != -1))
        wanted[wanted.index(-1)] = node.spec().shape[wanted.index(-1)] if rest is None else rest
    before, after = sizes.count(value.shape), sizes.count(wanted)
    if before is not None and after is not None and before != after:
        raise node.refuse(f"{list(value.shape)} has {before} elements, and {wanted} has {after}")
    return regrouped(node.low, value, wanted)


def flatten(node: Node) -> Value:
    """Flatten-1 to Flatten-25: the axes before `axis` as one, and the others as one."""
    value = node.input(0)
    axis = int(node.attr("axis", 1))
    axis += value.rank if axis < 0 else 0
    return regrouped(node.low, value, (product(value.shape[:axis]), product(value.shape[axis:])))


def squeeze(node: Node) -> Value:
    """Squeeze-1 to Squeeze-25, in the layout at hand; without axes every size that is known to be 1 goes."""
    value = node.input(0)
    axes = node.integers("axes", 1)
    if axes is None:
        if not sizes.is_known(value.shape):
            raise node.refuse("it says no axes, and which sizes are 1 is known only when the model runs")
        axes = [axis for axis, size in enumerate(value.shape) if size == 1]
    gone = sorted({axis % max(value.rank, 1) for axis in axes})
    for axis in gone:
        if isinstance(value.shape[axis], int) and value.shape[axis] != 1:
            raise node.refuse(f"its axis {axis} has the size {value.shape[axis]}, not 1")
    shape = tuple(size for axis, size in enumerate(value.shape) if axis not in gone)
    perm = value.layout
    held_shape, left = permuted(value.shape, perm), without(perm, gone)
    tensor = node.low.tensor(value, perm)
    if sum(isinstance(size, str) for size in shape) > 1 and gone:
        places = np.array([perm.index(axis) for axis in gone], np.int32)
        made = node.low.emit("SQUEEZE", [tensor], tensor.dtype, permuted(shape, left), squeeze_dims=places)
    else:
        made = node.low.reshape(tensor, [size for axis, size in zip(perm, held_shape, strict=True) if axis not in gone])
    return node.low.value(made, Spec(value.dtype, shape), left)


def unsqueeze(node: Node) -> Value:
    """Unsqueeze-1 to Unsqueeze-25, in the layout at hand."""
    value = node.input(0)
    axes = node.integers("axes", 1)
    if axes is None:
        raise node.refuse("it says no axes")
    rank = value.rank + len(axes)
    return spread(node, value, [axis % rank for axis in axes])


def spread(node: Node, value: Value, axes: Sequence[int]) -> Value:
    """`value` with sizes of 1 put in, so that they are the axes `axes` (from 0) of what comes out."""
    rank = value.rank + len(axes)
    if len(set(axes)) != len(axes):
        raise node.refuse("it names an axis twice")
    kept = [axis for axis in range(rank) if axis not in axes]
    shape: list[Size] = [1] * rank
    for axis, size in zip(kept, value.shape, strict=True):
        shape[axis] = size
    perm: Perm = (*(kept[axis] for axis in value.layout), *sorted(axes))
    if value.layout == value.plain:
        perm = tuple(range(rank))
    tensor = node.low.tensor(value, value.layout)
    if sum(isinstance(size, str) for size in shape) > 1 and axes:
        held_shape = list(permuted(value.shape, value.layout))
        for place in [place for place, axis in enumerate(perm) if axis in axes]:
            held_shape.insert(place, 1)
            tensor = node.low.emit("EXPAND_DIMS", [tensor, np.array(place, np.int32)], tensor.dtype, held_shape)
    else:
        tensor = node.low.reshape(tensor, permuted(shape, perm))
    return node.low.value(tensor, Spec(value.dtype, tuple(shape)), perm)


OPERATORS = {
    "Flatten": flatten,
    "Identity": identity,
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
