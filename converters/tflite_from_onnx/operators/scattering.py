"""Operators that put elements at indices, all by STABLEHLO_SCATTER: LiteRT runs it for every element type and reduction.

Its body is looked at, not run (kernels/stablehlo_scatter.cc): nothing but its second argument, or one operator on both.
What lies outside is skipped without a word where ONNX leaves it undefined.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpack_edge.converters.tflite_from_onnx import sizes
from mlpack_edge.converters.tflite_from_onnx.emitter import Given
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.gathering import counted
from mlpack_edge.converters.tflite_from_onnx.operators.indices import from_start, places
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Perm, Spec, Value, permuted, physical
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor

_REDUCTIONS = {
    "add": "STABLEHLO_ADD", "mul": "STABLEHLO_MULTIPLY", "max": "STABLEHLO_MAXIMUM", "min": "STABLEHLO_MINIMUM",
}  # fmt: skip


def scatter_nd(node: Node) -> Value:
    """ScatterND-11 to ScatterND-18."""
    value, indices, updates = node.input(0), node.input(1), node.input(2)
    depth = indices.shape[-1]
    if not isinstance(depth, int) or depth < 1:
        raise node.refuse(f"its indices have {depth} numbers each")
    places_of = counted(node, indices, value.shape[:depth])
    window = range(indices.rank - 1, updates.rank)
    return scattered(node, value, places_of, updates, value.plain, range(depth), window, indices.rank - 1)


def scatter_elements(node: Node) -> Value:
    """ScatterElements-11 to ScatterElements-18 and Scatter-9, in the layout at hand."""
    value, indices, axis = node.input(0), node.input(1), node.axis(0)
    perm = value.layout
    along = from_start(node, indices, value.shape[axis], perm)
    return _elements(node, value, along, permuted(indices.shape, perm), axis, perm)


def tensor_scatter(node: Node) -> Value:
    """TensorScatter-24: an update written from a place of its own for each row of the batch on, as a cache is."""
    value, update = node.input(0), node.input(1)
    axis = node.axis(-2)
    low = node.low
    shape = update.shape
    # the places along the axis, [1, ..., length, ...] or [batch, ..., length, ...] with sizes of 1 elsewhere
    thin = tuple(size if other == axis else 1 for other, size in enumerate(shape))
    along = places(low, low.tensor(update), shape, axis)
    if along.data is None:
        thin = shape
    starts = node.optional(2)
    if starts is not None:
        given = low.reshape(from_start(node, starts, value.shape[axis]), (shape[0], *([1] * (value.rank - 1))))
        thin = (shape[0], *thin[1:])
        along = low.emit("ADD", [along, given], "int32", thin)
    if node.attr("mode", "linear") == "circular":
        along = low.emit("FLOOR_MOD", [along, low.size_tensor(value.shape[axis])], "int32", thin)
    return _elements(node, value, _spread(node, along, update, shape), shape, axis, value.plain)


def _elements(node: Node, value: Value, along: Tensor, shape: Sequence[Size], axis: int, perm: Perm) -> Value:
    """Each element of the updates, of physical `shape`, to its own place, but for `axis`, along which `along` says it."""
    rank, low = value.rank, node.low
    place = physical(axis, perm)
    updates = node.input(2 if node.op_type != "TensorScatter" else 1)
    known = sizes.known(shape)
    parts: list[Given] = []
    for other in range(rank):
        if other == place:
            parts.append(along)
        elif known is not None:
            own = np.arange(known[other], dtype=np.int32).reshape([-1 if i == other else 1 for i in range(rank)])
            parts.append(np.broadcast_to(own, known))
        else:
            like = low.tensor(updates, perm)
            parts.append(_spread(node, places(low, like, shape, other), updates, shape, perm))
    if along.data is not None and known is not None:
        arrays = [along.data if part is along else part for part in parts]
        points = low.tensor_of(np.stack([np.asarray(array) for array in arrays], -1))
    else:
        points = low.emit("PACK", parts, "int32", (*shape, rank), values_count=rank, axis=rank)
    return scattered(node, value, points, updates, perm, range(rank), (), rank)


def _spread(
    node: Node, numbers: Tensor, like: Value, shape: Sequence[Size], perm: Perm | None = None
) -> Tensor:  # fmt: skip
    """`numbers` broadcast to a physical `shape`, which `like` has in `perm`."""
    low = node.low
    known = sizes.known(shape)
    if numbers.data is not None and known is not None:
        return low.tensor_of(np.broadcast_to(numbers.data, known))
    if numbers.shape == tuple(size if isinstance(size, int) else -1 for size in shape):
        return numbers
    if known is not None:
        return low.emit("ADD", [numbers, np.zeros(known, np.int32)], "int32", shape)
    tensor = low.tensor(like, perm)
    whole = tensor if tensor.dtype == "int32" else low.emit("CAST", [tensor], "int32", shape)
    zeros = low.emit("ZEROS_LIKE", [whole], "int32", shape)
    return low.emit("ADD", [zeros, numbers], "int32", shape)


def scattered(
    node: Node, value: Value, indices: Tensor, updates: Value, perm: Perm,
    inserted: Sequence[int], window: Sequence[int], index_axis: int,
) -> Value:  # fmt: skip
    """STABLEHLO_SCATTER of `updates` into `value`, both in layout `perm` (of the updates where it is of their rank).

    inserted: the physical axes that the indices number, in order; window: the axes of the updates that stay whole.
    """
    reduction = node.attr("reduction", "none")
    dtype = value.dtype
    if reduction != "none" and dtype == "bool":
        raise node.refuse(f"TFLite has no reduction {reduction} of bool")
    low = node.low
    given = low.tensor(updates, perm) if updates.rank == len(perm) and not window else low.tensor(updates)
    target = low.tensor(value, perm)
    body = _body(target.dtype, reduction)
    return low.emit_value(
        "STABLEHLO_SCATTER",
        [target, indices, given],
        Spec(dtype, value.shape),
        perm,
        indices_are_sorted=False,
        unique_indices=False,
        update_window_dims=np.array(window, np.int64),
        inserted_window_dims=np.array(inserted, np.int64),
        scatter_dims_to_operand_dims=np.array(inserted, np.int64),
        index_vector_dim=index_axis,
        update_computation_subgraph_index=body,
    )


def _body(dtype: str, reduction: str) -> Graph:
    old, new = Tensor("old", dtype, ()), Tensor("new", dtype, ())
    if reduction == "none":
        return Graph([old, new], [new], [], "assign")
    made = Tensor("made", dtype, ())
    return Graph([old, new], [made], [Op(_REDUCTIONS[reduction], [old, new], [made])], reduction)


OPERATORS = {
    "Scatter": scatter_elements,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "TensorScatter": tensor_scatter,
}
