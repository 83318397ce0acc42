"""Operators that make values out of sizes, bounds or places: ranges, fillings, one-hot rows, triangles, diagonals."""

from __future__ import annotations

import numpy as np
from onnx import helper

from mlpack_edge.converters.tflite_from_onnx import sizes
from mlpack_edge.converters.tflite_from_onnx.emitter import held
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import elementwise
from mlpack_edge.converters.tflite_from_onnx.operators.indices import cast, int32
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, constant
from mlpack_edge.converters.tflite_graph.model import Tensor

#: A constant that is made here stays below this many elements; a greater one is computed when the model runs.
_MOST_ELEMENTS = 1 << 20
_MOST = int(np.iinfo(np.int32).max)


def constant_of_shape(node: Node) -> Value:
    """ConstantOfShape-9 to ConstantOfShape-25."""
    filling = node.attr("value", np.zeros(1, np.float32)).reshape(())
    shape = node.input(0).elements
    spec = Spec(filling.dtype.name, node.spec().shape if shape is None else shape)
    known = sizes.known(spec.shape)
    if known is not None and sizes.count(known) <= _MOST_ELEMENTS:  # type: ignore[operator]
        return constant("", np.full(known, filling))
    if shape is not None:  # no shape is computed where another tensor can lend its own
        thin = np.full([size if isinstance(size, int) else 1 for size in shape], filling)
        return node.low.op("Expand", thin, node.input(0))
    wanted = int32(node.low, node.input(0))
    return node.low.emit_value("FILL", [wanted, filling.astype(held(spec.dtype))], spec)


def range_(node: Node) -> Value:
    """Range-11: whole numbers by RANGE; bounds may be sizes of other values."""
    bounds = [node.input(place) for place in range(3)]
    dtype = bounds[0].dtype
    if dtype not in ("float32", "float64", "int32", "int64", "int16"):
        raise node.refuse(f"TFLite makes no range of {dtype}")
    low = node.low
    start, limit, delta = (None if bound.elements is None else bound.elements[0] for bound in bounds)
    if start == 0 and delta == 1 and isinstance(limit, str) and dtype in ("int32", "int64"):
        return low.value(cast(low, counting(node, limit), dtype, (limit,)), Spec(dtype, (limit,)))
    inside = {"int16": "int32", "float64": "float32"}.get(dtype, dtype)
    if all(bound.elements is not None for bound in bounds) and dtype == "int64":
        inside = "int32"  # sizes, which TFLite holds in it
    tensors = []
    for bound in bounds:
        tensor = int32(low, bound) if inside == "int32" else cast(low, low.tensor(bound), inside, ())
        tensors.append(low.reshape(tensor, ()) if bound.rank else tensor)
    count = _count(node, bounds)
    made = low.emit("RANGE", tensors, inside, (count,))
    return low.value(cast(low, made, held(dtype), (count,)), Spec(dtype, (count,)))


def counting(node: Node, size: Size) -> Tensor:
    """0, 1, 2, ... as many as `size`: int32 `[size]`. Ones are expanded and summed up, so that no shape is computed."""
    low = node.low
    if isinstance(size, int):
        return low.tensor_of(np.arange(size, dtype=np.int32))
    ones = low.op("Expand", np.ones(1, np.int32), Value("", "int64", (1,), elements=(size,)))
    return low.emit(
        "CUMSUM", [low.tensor(ones), np.array(0, np.int32)], "int32", (size,), exclusive=True, reverse=False
    )


def _count(node: Node, bounds: list[Value]) -> Size:
    start, limit, delta = (None if bound.elements is None else bound.elements[0] for bound in bounds)
    return limit if start == 0 and delta == 1 and limit is not None else node.spec().shape[0]


def one_hot(node: Node) -> Value:
    """OneHot-9 to OneHot-11: an index of -1 is the last; one outside, or between two whole numbers, has no place."""
    indices, values = node.input(0), node.input(2)
    low = node.low
    rank = indices.rank + 1
    axis = node.axis(-1, rank)
    found = node.input(1).elements
    depth: Size = node.spec().shape[axis] if found is None else found[0]
    depth_tensor = low.reshape(int32(low, node.input(1)), ())
    given = low.tensor(indices)
    if given.dtype == "int64":  # what int32 does not hold has no place, and must not wrap to one that has
        given = low.emit("MINIMUM", [given, np.array(_MOST, np.int64)], "int64", indices.shape)
        given = low.emit("MAXIMUM", [given, np.array(-_MOST, np.int64)], "int64", indices.shape)
    places = cast(low, given, "int32", indices.shape)
    negative = low.emit("LESS", [places, np.array(0, np.int32)], "bool", indices.shape)
    ended = low.emit("ADD", [places, depth_tensor], "int32", indices.shape)
    places = low.emit("SELECT_V2", [negative, ended, places], "int32", indices.shape)
    if given.dtype == "float32":
        whole = low.emit("EQUAL", [low.emit("FLOOR", [given], "float32", indices.shape), given], "bool", indices.shape)
        places = low.emit("SELECT_V2", [whole, places, np.array(-1, np.int32)], "int32", indices.shape)
    shape = (*indices.shape[:axis], depth, *indices.shape[axis:])
    inside = "int32" if values.dtype == "int16" else held(values.dtype)
    off, on = (_single(node, values, place, inside) for place in range(2))
    made = low.emit("ONE_HOT", [places, depth_tensor, on, off], inside, shape, axis=axis)
    return low.value(cast(low, made, held(values.dtype), shape), Spec(values.dtype, shape))


def _single(node: Node, values: Value, place: int, dtype: str) -> Tensor:
    if values.array is not None:
        return node.low.tensor_of(values.array[place].astype(dtype).reshape(()))
    tensor = cast(node.low, node.low.tensor(values), dtype, (2,))
    return node.low.emit("GATHER", [tensor, np.array(place, np.int32)], dtype, (), axis=0, batch_dims=0)


def trilu(node: Node) -> Value:
    """Trilu-14: the upper or lower triangle of the last two axes, 0 elsewhere; in the layout at hand."""
    value = node.input(0)
    shift = 0 if node.optional(1) is None else int(node.constant(1, "k").reshape(()))
    mask = _compared(node, value.shape[-2], value.shape[-1], shift, upper=bool(node.attr("upper", 1)))
    nothing = constant("", np.zeros((), held(value.dtype)))
    return elementwise(node, "SELECT_V2", [mask, value, nothing], value.dtype)


def eye_like(node: Node) -> Value:
    """EyeLike-9 to EyeLike-22: ones on a diagonal of a matrix as large as the input."""
    rows, columns = node.input(0).shape
    spec, shift = node.spec(), int(node.attr("k", 0))
    if isinstance(rows, int) and isinstance(columns, int):
        return constant("", np.eye(rows, columns, shift, dtype=helper.tensor_dtype_to_np_dtype(_dtype(node))))
    low = node.low
    below = low.tensor(_compared(node, rows, columns, shift, upper=True))
    above = low.tensor(_compared(node, rows, columns, shift, upper=False))
    on = low.emit("LOGICAL_AND", [below, above], "bool", (rows, columns))
    return low.value(cast(low, on, held(spec.dtype), (rows, columns)), Spec(spec.dtype, (rows, columns)))


def _dtype(node: Node) -> int:
    given = node.attr("dtype")
    return int(given) if given is not None else helper.np_dtype_to_tensor_dtype(np.dtype(node.input(0).dtype))


def _compared(node: Node, rows: Size, columns: Size, shift: int, upper: bool) -> Value:
    """Whether column - row is at least `shift` (upper) or at most: bool `[rows, columns]`."""
    known = sizes.known((rows, columns))
    if known is not None:
        whole = np.ones(known, bool)
        return constant("", np.triu(whole, shift) if upper else np.tril(whole, shift))
    low = node.low
    numbers = [counting(node, size) for size in (rows, columns)]
    down = low.emit("ADD", [low.reshape(numbers[0], (rows, 1)), np.array(shift, np.int32)], "int32", (rows, 1))
    across = low.reshape(numbers[1], (1, columns))
    kind = "GREATER_EQUAL" if upper else "LESS_EQUAL"
    return low.emit_value(kind, [across, down], Spec("bool", (rows, columns)))


OPERATORS = {
    "ConstantOfShape": constant_of_shape,
    "EyeLike": eye_like,
    "OneHot": one_hot,
    "Range": range_,
    "Trilu": trilu,
}
