"""Indices: as the integers TFLite's kernels take, negative ones counted from the end, and those of all places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Perm, Spec, Value, permuted, physical
from mlpack_edge.converters.tflite_graph.model import Tensor


def cast(low: Lowering, tensor: Tensor, dtype: str, shape: Sequence[Size]) -> Tensor:
    """`tensor`, of physical `shape`, in another element type; itself where it has that one. Whole numbers wrap."""
    if tensor.dtype == dtype:
        return tensor
    if tensor.data is not None:
        return low.tensor_of(tensor.data.astype(dtype))
    return low.emit("CAST", [tensor], dtype, shape, in_data_type=tensor.dtype, out_data_type=dtype)


def recast(low: Lowering, value: Value, dtype: str) -> Value:
    """`value` in another element type, in the layout at hand."""
    if value.dtype == dtype:
        return value
    perm = value.layout
    made = cast(low, low.tensor(value, perm), dtype, permuted(value.shape, perm))
    return low.value(made, Spec(dtype, value.shape), perm)


def int32(low: Lowering, value: Value) -> Tensor:
    """A value that holds sizes, axes or places, as an int32 tensor in ONNX's own layout."""
    if value.array is not None:
        limits = np.iinfo(np.int32)
        return low.tensor_of(np.clip(value.array, limits.min, limits.max).astype(np.int32))
    if value.elements is not None and not value.forms:
        return low.size_tensor(value.elements[0]) if value.rank == 0 else low.shape_tensor(value.elements)
    return cast(low, low.tensor(value), "int32", value.shape)


def from_start(node: Node, indices: Value, size: Size, perm: Perm | None = None) -> Tensor:
    """Indices along an axis of `size` with -1 as the last place: as an int32 tensor in layout `perm` (ONNX's own by default).

    Constant ones are counted from the start now, and refused where they lie outside a known size. Others are when the
    model runs; what lies outside stays so, and LiteRT refuses it then.
    """
    perm = indices.plain if perm is None else perm
    low = node.low
    if indices.array is not None:
        array = np.transpose(indices.array, perm).astype(np.int64)
        if not array.size or array.min() >= 0:
            if array.size and isinstance(size, int) and array.max() >= size:
                raise node.refuse(f"its index {array.max()} lies outside the size {size}")
            return low.tensor_of(array.astype(np.int32))
        if isinstance(size, int):
            if array.min() < -size or array.max() >= size:
                raise node.refuse(f"its indices {array.min()} to {array.max()} lie outside the size {size}")
            return low.tensor_of(np.where(array < 0, array + size, array).astype(np.int32))
    shape = permuted(indices.shape, perm)
    given = cast(low, low.tensor(indices, perm), "int32", shape)
    end = low.size_tensor(size)
    negative = low.emit("LESS", [given, np.array(0, np.int32)], "bool", shape)
    counted = low.emit("ADD", [given, end], "int32", shape)
    return low.emit("SELECT_V2", [negative, counted, given], "int32", shape)


def places(low: Lowering, like: Tensor, shape: Sequence[Size], axis: int) -> Tensor:
    """For every element of `like`, of physical `shape`, where it lies along the physical `axis`: int32.

    A constant of sizes of 1 besides `axis` where that size is known; else counted from the tensor when the model runs.
    """
    size = shape[axis]
    if isinstance(size, int):
        return low.tensor_of(
            np.arange(size, dtype=np.int32).reshape([-1 if i == axis else 1 for i in range(len(shape))])
        )
    zeros = low.emit("ZEROS_LIKE", [cast(low, like, "int32", shape)], "int32", shape)
    ones = low.emit("ADD", [zeros, np.array(1, np.int32)], "int32", shape)
    axis_tensor = np.array(axis, np.int32)
    return low.emit("CUMSUM", [ones, axis_tensor], "int32", shape, exclusive=True, reverse=False)


def last(perm: Perm, axis: int) -> Perm:
    """`perm` with `axis` brought to the end, for kernels that work along the last axis alone."""
    kept = list(perm)
    kept.append(kept.pop(physical(axis, perm)))
    return tuple(kept)
