"""Operators that find the largest: TopK, ArgMax, ArgMin, Hardmax.

Where NaN is among the numbers the order is the kernels' own, as it is ONNX Runtime's own there: ONNX defines none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.indices import cast, int32, last, recast
from mlpack_edge.converters.tflite_from_onnx.operators.regrouping import regrouped
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, product
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, permuted, physical, without
from mlpack_edge.converters.tflite_graph.model import Tensor

_FLOATS = ("float32", "float64", "float16")


def top_k(node: Node) -> list[Value | None]:
    """TopK-1 to TopK-24. Of equal ones the first comes first, as in ONNX Runtime; "unsorted" ones come sorted."""
    value, axis = node.input(0), node.axis(-1)
    low, dtype = node.low, node.input(0).dtype
    smallest = not node.attr("largest", 1)
    if node.has("k"):
        count: Size = int(node.attr("k"))
        k = low.tensor_of(np.array(count, np.int32))
    else:
        elements = node.input(1).elements
        count = node.spec().shape[axis] if elements is None else elements[0]
        k = low.reshape(int32(low, node.input(1)), ())
    size = value.shape[axis]
    if isinstance(count, int) and isinstance(size, int) and not 0 <= count <= size:
        raise node.refuse(f"it wants {count} of {size}")
    perm = last(value.layout, axis)
    shape = tuple(count if other == axis else old for other, old in enumerate(value.shape))
    before, after = permuted(value.shape, perm), permuted(shape, perm)
    tensor = low.tensor(value, perm)
    if smallest:
        tensor = _mirrored(node, tensor, before)
    found, places = low.emit_many("TOPK_V2", [tensor, k], [(dtype, after), ("int32", after)])
    found.dtype = tensor.dtype
    if smallest:
        found = _mirrored(node, found, after)
    return [
        low.value(cast(low, found, low.tensor(value, perm).dtype, after), Spec(dtype, shape), perm),
        low.value(cast(low, places, "int64", after), Spec("int64", shape), perm) if node.wants(1) else None,
    ]


def _mirrored(node: Node, tensor: Tensor, shape: tuple[Size, ...]) -> Tensor:
    """The same numbers with their order turned round: -x, and -1 - x of whole ones, which does not overflow."""
    if tensor.dtype == "float32":
        return node.low.emit("NEG", [tensor], "float32", shape)
    if tensor.dtype not in ("int32", "int64"):
        tensor = cast(node.low, tensor, "int32", shape)
    return node.low.emit("SUB", [np.array(-1, tensor.dtype), tensor], tensor.dtype, shape)


def _arg(kind: str) -> Callable[[Node], Value]:
    def lower(node: Node) -> Value:
        """ArgMax-1 to ArgMax-13 and ArgMin: in the layout at hand."""
        value, axis = node.input(0), node.axis(0)
        backwards = bool(node.attr("select_last_index", 0))
        size = value.shape[axis]
        if size == 0:
            raise node.refuse("there is nothing along its axis")
        low = node.low
        if value.dtype == "int64":
            return _arg_of_int64(node, value, axis, kind)
        if value.dtype not in (*_FLOATS, "int8", "uint8", "int32"):
            value = recast(low, value, "int32")
        perm = value.layout
        place = np.array(physical(axis, perm), np.int32)
        held_shape = permuted(value.shape, perm)
        tensor = low.tensor(value, perm)
        if backwards:
            tensor = low.emit("REVERSE_V2", [tensor, place.reshape(1)], tensor.dtype, held_shape)
        left = without(perm, [axis])
        shape = tuple(old for other, old in enumerate(value.shape) if other != axis)
        made = low.emit(kind, [tensor, place], "int64", permuted(shape, left), output_type="int64")
        if backwards:
            end = np.array(size - 1, np.int64) if isinstance(size, int) else _end(node, size)
            made = low.emit("SUB", [end, made], "int64", permuted(shape, left))
        found = low.value(made, Spec("int64", shape), left)
        return low.op("Unsqueeze", found, np.array([axis], np.int64)) if node.attr("keepdims", 1) else found

    return lower


def _end(node: Node, size: Size) -> Tensor:
    wide = cast(node.low, node.low.size_tensor(size), "int64", ())
    return node.low.emit("SUB", [wide, np.array(1, np.int64)], "int64", ())


def _arg_of_int64(node: Node, value: Value, axis: int, kind: str) -> Value:
    """TFLite's ARG_MAX takes no int64; its TOPK_V2 does."""
    low, along = node.low, np.array([axis], np.int64)
    backwards = bool(node.attr("select_last_index", 0))
    if backwards:
        ends = [np.array([number], np.int64) for number in (-1, np.iinfo(np.int64).min)]
        value = low.op("Slice", value, *ends, along, np.array([-1], np.int64))
    made = low.ops("TopK", value, np.array([1], np.int64), axis=axis, largest=int(kind == "ARG_MAX"), outputs=2)[1]
    assert made is not None
    if backwards:
        size = value.shape[axis]
        end = np.array(size - 1, np.int64) if isinstance(size, int) else low.value(_end(node, size), Spec("int64", ()))
        made = low.op("Sub", end, made)
    return made if node.attr("keepdims", 1) else low.op("Squeeze", made, along)


def hardmax(node: Node) -> Value:
    """Hardmax-13: 1 for the first of the largest along an axis. Hardmax-1 and 11 see all axes from `axis` on as one."""
    value = node.input(0)
    if node.version < 13:
        axis = node.axis(1)
        flat = regrouped(node.low, value, (product(value.shape[:axis]), product(value.shape[axis:])))
        return regrouped(node.low, _hard(node, flat, 1), value.shape)
    return _hard(node, value, node.axis(-1))


def _hard(node: Node, value: Value, axis: int) -> Value:
    low = node.low
    perm = value.layout
    place = physical(axis, perm)
    held_shape = permuted(value.shape, perm)
    left = tuple(size for other, size in enumerate(held_shape) if other != place)
    found = low.emit(
        "ARG_MAX", [low.tensor(value, perm), np.array(place, np.int32)], "int32", left, output_type="int32"
    )
    depth = low.size_tensor(value.shape[axis])
    on, off = np.array(1, np.float32), np.array(0, np.float32)
    return low.emit_value("ONE_HOT", [found, depth, on, off], Spec(value.dtype, value.shape), perm, axis=place)


OPERATORS = {
    "ArgMax": _arg("ARG_MAX"),
    "ArgMin": _arg("ARG_MIN"),
    "Hardmax": hardmax,
    "TopK": top_k,
}
