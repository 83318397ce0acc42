"""Max, Min and Clip. A NaN stays one, as in ONNX Runtime.

TFLite's own kernels keep the NaN of their second operand alone, XNNPACK's that of either, according to the shapes. Both keep it
where the first operand is a single constant.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import (
    FLOATS,
    WHOLE,
    check_broadcast,
    choose,
    common_type,
    compute,
    unary,
)
from mlpack_edge.converters.tflite_from_onnx.values import Value, constant

_LARGEST = float(np.finfo(np.float32).max)
#: Bounds that TFLite has operators of their own for.
_RELUS = {(0.0, 6.0): "RELU6", (0.0, 1.0): "RELU_0_TO_1", (-1.0, 1.0): "RELU_N1_TO_1", (0.0, None): "RELU"}


def _extreme(kind: str) -> Callable[[Node], Value]:
    """Max, Min of opset 6 to 13, of any number of inputs."""

    def lower(node: Node) -> Value:
        values = [node.input(place) for place in range(len(node.inputs))]
        check_broadcast(node, values)
        dtype = common_type(values)
        if dtype not in FLOATS | WHOLE:
            raise node.refuse(f"TFLite's {kind} does not take {dtype}")
        made = values[0]
        for value in values[1:]:
            made = _of_two(node, kind, made, value, dtype)
        return node.low.op("Identity", made) if len(values) == 1 else made

    return lower


def _of_two(node: Node, kind: str, a: Value, b: Value, dtype: str) -> Value:
    """Each side that may hold a NaN is chosen itself where it does; one that is a single constant holds none."""
    if dtype in FLOATS and _is_number(b):
        a, b = b, a
    if dtype in FLOATS and _is_number(a):
        if kind == "MAXIMUM" and _number(a) == 0 and a.rank <= b.rank:
            return unary(node, "RELU", b)  # which the operator before can compute
        return compute(node.low, kind, a, b, dtype=dtype)
    made = compute(node.low, kind, a, b, dtype=dtype)
    if dtype in FLOATS:
        for side in (a, b):
            if side.array is None or np.isnan(side.array.astype(np.float32)).any():
                made = choose(node.low, compute(node.low, "NOT_EQUAL", side, side, dtype="bool"), side, made)
    return made


def _is_number(value: Value) -> bool:
    return value.array is not None and value.array.size == 1 and not np.isnan(value.array.astype(np.float32)).any()


def clip(node: Node) -> Value:
    """Clip-6 to Clip-13: not below the minimum, then not above the maximum, so that the maximum wins.

    A bound at the end of the element type is none: an infinite value stays infinite.
    """
    x = node.input(0)
    if x.dtype not in FLOATS | WHOLE:
        raise node.refuse(f"TFLite's MAXIMUM does not take {x.dtype}")
    least, most = _bound(node, "min", 1), _bound(node, "max", 2)
    if x.dtype in FLOATS:
        kind = _RELUS.get((_number(least), _number(most)))  # type: ignore[arg-type]  # NaN and None are looked up as well
        if kind is not None:
            return unary(node, kind)
    made = x if least is None else _of_two(node, "MAXIMUM", least, x, x.dtype)
    made = made if most is None else _of_two(node, "MINIMUM", most, made, x.dtype)
    return node.low.op("Identity", x) if made is x else made


def _bound(node: Node, name: str, place: int) -> Value | None:
    """A bound as a value of rank 0, None where there is none."""
    x, value = node.input(0), node.optional(place)
    if node.has(name):
        value = constant("", np.array(node.attr(name), np.float32))
    if value is None:
        return None
    if value.array is None:
        return value if value.rank == 0 else node.low.op("Reshape", value, np.zeros(0, np.int64))
    if value.array.size != 1:
        raise node.refuse(f"its {name} has {value.array.size} elements, and it has to be one number")
    number = value.array.reshape(())
    if x.dtype in FLOATS:
        outside = number <= -_LARGEST if name == "min" else number >= _LARGEST
    else:
        limits = np.iinfo(x.dtype)
        outside = number == (limits.min if name == "min" else limits.max)
    return None if outside else Value("", x.dtype, (), number)


def _number(value: Value | None) -> float | str | None:
    """A bound to look up: None where there is none, and what is found nowhere where it is known only later."""
    return None if value is None else "known later" if value.array is None else float(value.array.item())


OPERATORS = {
    "Max": _extreme("MAXIMUM"),
    "Min": _extreme("MINIMUM"),
    "Clip": clip,
}
