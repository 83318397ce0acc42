"""Operators that take elements by their indices. Negative indices count from the end, as TFLite's kernels do not."""

from __future__ import annotations

import math

import numpy as np

from mlpack_edge.converters.tflite_from_onnx import sizes
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.indices import cast, from_start, last
from mlpack_edge.converters.tflite_from_onnx.operators.regrouping import regrouped
from mlpack_edge.converters.tflite_from_onnx.operators.slicing import at, cut
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, product
from mlpack_edge.converters.tflite_from_onnx.values import Perm, Spec, Value, physical
from mlpack_edge.converters.tflite_graph.model import Tensor


def gather(node: Node) -> Value:
    """Gather-1 to Gather-13, in the layout at hand. One constant place is a slice, which XNNPACK takes."""
    value, indices, axis = node.input(0), node.input(1), node.axis(0)
    size = value.shape[axis]
    if indices.array is not None and indices.rank == 0:
        place = int(indices.array)
        if isinstance(size, int):
            if not -size <= place < size:
                raise node.refuse(f"its index {place} lies outside the size {size}")
            return at(node, value, axis, place % size)
        if place in (0, -1):  # which are there whatever the size is
            taken = cut(node, value, {axis: (place, None if place else 1, 1, 1)})
            return node.low.op("Squeeze", taken, np.array([axis], np.int64))
    perm = value.layout
    made, places = _layout_of_gather(perm, axis, indices.rank)
    shape = (*value.shape[:axis], *indices.shape, *value.shape[axis + 1 :])
    tensors = [node.low.tensor(value, perm), from_start(node, indices, size)]
    return node.low.emit_value("GATHER", tensors, Spec(value.dtype, shape), made, axis=places, batch_dims=0)


def _layout_of_gather(perm: Perm, axis: int, rank: int) -> tuple[Perm, int]:
    """The layout of what GATHER makes, whose indices of `rank` take the place of `axis`, and where that is in `perm`."""
    place = physical(axis, perm)
    moved = [other if other < axis else other + rank - 1 for other in perm]
    return (*moved[:place], *range(axis, axis + rank), *moved[place + 1 :]), place


def gather_elements(node: Node) -> Value:
    """GatherElements-11 to GatherElements-13: along the last axis of the layout, all others in step."""
    value, indices, axis = node.input(0), node.input(1), node.axis(0)
    shape = list(value.shape)
    cuts = {}
    for other, (size, wanted) in enumerate(zip(value.shape, indices.shape, strict=True)):
        if other == axis or size == wanted:
            continue
        if not isinstance(size, int) or not isinstance(wanted, int) or wanted > size:
            raise node.refuse(f"it takes {wanted} of {size} places of the axis {other}, which is not known to fit")
        cuts[other] = (0, wanted, 1, wanted)
        shape[other] = wanted
    if cuts:
        value = cut(node, value, cuts)
    perm = last(value.layout, axis)
    tensors = [node.low.tensor(value, perm), from_start(node, indices, value.shape[axis], perm)]
    spec = Spec(value.dtype, indices.shape)
    return node.low.emit_value("GATHER", tensors, spec, perm, axis=value.rank - 1, batch_dims=value.rank - 1)


def gather_nd(node: Node) -> Value:
    """GatherND-11 to GatherND-13; with batch axes the places are numbered through and taken by GATHER."""
    value, indices, batch = node.input(0), node.input(1), int(node.attr("batch_dims", 0))
    depth = indices.shape[-1]
    if not isinstance(depth, int) or depth < 1:
        raise node.refuse(f"its indices have {depth} numbers each")
    shape = (*indices.shape[:-1], *value.shape[batch + depth :])
    spec = Spec(value.dtype, shape)
    low = node.low
    spans = value.shape[batch : batch + depth]
    if not batch:
        tensor = counted(node, indices, spans)
        return low.emit_value("GATHER_ND", [low.tensor(value), tensor], spec)
    known = sizes.known(spans)
    if known is None:
        raise node.refuse(
            "the sizes of the axes that it takes from behind its batch are known only when the model runs",
            "fix them with --shape",
        )
    tensor = counted(node, indices, spans)
    steps = np.array([math.prod(known[place + 1 :]) for place in range(depth)], np.int32)
    weighed = low.emit("MUL", [tensor, steps], "int32", indices.shape)
    numbered = low.emit("SUM", [weighed, np.array([-1], np.int32)], "int32", indices.shape[:-1], keep_dims=False)
    rest = value.shape[batch + depth :]
    flat = low.tensor(regrouped(low, value, (*value.shape[:batch], math.prod(known), *rest)))
    return low.emit_value("GATHER", [flat, numbered], spec, axis=batch, batch_dims=batch)


def counted(node: Node, indices: Value, spans: tuple[Size, ...]) -> Tensor:
    """Indices `[..., depth]` of places in axes of the sizes `spans`, negative ones counted from the end: int32."""
    low = node.low
    if indices.array is not None:
        array = indices.array.astype(np.int64)
        known = sizes.known(spans)
        if known is not None:
            limits = np.array(known)
            if (array < -limits).any() or (array >= limits).any():
                raise node.refuse(f"an index of it lies outside {list(known)}")
            return low.tensor_of(np.where(array < 0, array + limits, array).astype(np.int32))
        if array.size and array.min() >= 0:
            return low.tensor_of(array.astype(np.int32))
    tensor = cast(low, low.tensor(indices), "int32", indices.shape)
    negative = low.emit("LESS", [tensor, np.array(0, np.int32)], "bool", indices.shape)
    ended = low.emit("ADD", [tensor, low.shape_tensor(spans)], "int32", indices.shape)
    return low.emit("SELECT_V2", [negative, ended, tensor], "int32", indices.shape)


def compress(node: Node) -> Value:
    """Compress-9 to Compress-11; how much is left shows when the model runs, unless the condition is constant."""
    value, condition = node.input(0), node.input(1)
    low = node.low
    if not node.has("axis"):
        value = regrouped(low, value, (product(value.shape),))
    axis = node.axis(0, value.rank)
    if condition.array is not None:
        return low.op("Gather", value, np.flatnonzero(condition.array), axis=axis)
    left = node.spec().shape[axis]
    found = low.emit("WHERE", [low.tensor(condition)], "int64", (left, 1))
    perm = value.layout
    shape = tuple(left if other == axis else size for other, size in enumerate(value.shape))
    tensors = [low.tensor(value, perm), low.reshape(found, (left,))]
    return low.emit_value(
        "GATHER", tensors, Spec(value.dtype, shape), perm, axis=physical(axis, perm), batch_dims=0
    )  # fmt: skip


def non_zero(node: Node) -> Value:
    """NonZero-9 to NonZero-13: the places `[rank, found]` of what is not zero, in ONNX's own order."""
    value = node.input(0)
    if not value.rank:
        raise node.refuse("TFLite's WHERE takes no single numbers")
    tensor = node.low.tensor(value)
    if value.dtype == "int16":
        tensor = cast(node.low, tensor, "int32", value.shape)
    found = node.spec().shape[1]
    places = node.low.emit("WHERE", [tensor], "int64", (found, value.rank))
    return node.low.value(places, Spec("int64", (value.rank, found)), (1, 0))


OPERATORS = {
    "Compress": compress,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "NonZero": non_zero,
}
