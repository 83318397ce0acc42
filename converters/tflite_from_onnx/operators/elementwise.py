"""What operators share that work element by element, in whatever layout their inputs are.

Where floats differ from ONNX Runtime, with XNNPACK of ai-edge-litert 2.3 on x86-64: EXP of NaN is 0, overflows from 88.4 on, and is
0 below -87.3; LOGISTIC is NaN beyond 1e25; SQRT is off above 8e37 and at subnormal numbers; SIN and COS are NaN for huge
arguments. Without XNNPACK, sums, differences, products and quotients end at the largest float instead of infinity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.emitter import aligned, arranged, held
from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, broadcast
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, constant
from mlpack_edge.converters.tflite_from_onnx.writing import narrowed
from mlpack_edge.core.errors import Unsupported

#: Element types that TFLite holds as float32.
FLOATS = frozenset({"float32", "float64", "float16", "bfloat16"})
#: Element types whose kernels take codes of real numbers: without a scale they are computed in int32, which wraps back.
SMALL = frozenset({"int8", "uint8", "int16"})
WHOLE = SMALL | {"int32", "int64"}
#: TFLite's kernels broadcast up to this rank.
MOST_AXES = 8

#: A value, or a number that is meant in the element type of the first value.
Operand = Value | float | bool


def unary(node: Node, kind: str, value: Value | None = None, **options: Any) -> Value:
    """A TFLite operator on one value, element type and shape kept."""
    value = node.input(0) if value is None else value
    perm = value.layout
    return node.low.emit_value(kind, [node.low.tensor(value, perm)], Spec(value.dtype, value.shape), perm, **options)


def elementwise(node: Node, kind: str, values: Sequence[Value], dtype: str, **options: Any) -> Value:
    """A TFLite operator on values that are broadcast as numpy does; dtype: of the result, in ONNX's terms.

    It runs in the layout in which its widest input is there already; what is narrower or constant follows.
    Raises Unsupported where the shapes do not go together or have more axes than TFLite's kernels broadcast.
    """
    check_broadcast(node, values)
    return compute(node.low, kind, *values, dtype=dtype, **options)


def check_broadcast(node: Node, values: Sequence[Value]) -> None:
    """Refuse `node` where the shapes of `values` cannot be broadcast by numpy's rule within TFLite's limits."""
    if node.version < 7 and not node.proto.domain and (node.has("axis") or node.has("broadcast")):
        raise node.refuse("its broadcasting by attributes ended with opset 6", "convert the model to opset 7 or newer")
    shape: tuple[Size, ...] = ()
    for value in values:
        try:
            shape = broadcast(shape, value.shape)
        except ValueError as fault:
            raise node.refuse(f"its inputs cannot be broadcast: {fault}") from fault
    if len(shape) > MOST_AXES:
        raise node.refuse(f"it has {len(shape)} axes, and TFLite's kernels broadcast {MOST_AXES} at most")


def compute(low: Lowering, kind: str, *operands: Operand, dtype: str = "", **options: Any) -> Value:
    """A TFLite operator on operands that are broadcast as numpy does.

    dtype: of the result, in ONNX's terms; that of the operands by default. At least one of them is a value.
    Raises Unsupported where more axes are broadcast than the kernels take, which would end the process.
    """
    like = common_type([operand for operand in operands if isinstance(operand, Value)])
    values = [
        operand if isinstance(operand, Value) else constant("", np.array(operand, held(like))) for operand in operands
    ]
    shape: tuple[Size, ...] = ()
    for value in values:
        shape = broadcast(shape, value.shape)
    if len(shape) > MOST_AXES and (kind == "SELECT_V2" or any(value.shape != shape for value in values)):
        raise Unsupported(
            f"TFLite's {kind} broadcasts {MOST_AXES} axes at most, and a value has {len(shape)}",
            "take axes of size 1 out of the model, or keep it as ONNX: mlpack convert --to onnx",
        )
    perm = arranged(low, values, len(shape))
    tensors = [aligned(low, value, perm) for value in values]
    return low.emit_value(kind, tensors, Spec(dtype or like, shape), perm, **options)


def cast(low: Lowering, value: Value, dtype: str) -> Value:
    """`value` with elements of ONNX type `dtype`; nothing is written where TFLite holds both alike."""
    if value.array is not None and value.dtype != "string":
        with np.errstate(invalid="ignore"):
            return Value("", dtype, value.shape, narrowed(value.array).astype(held(dtype)))
    if held(value.dtype) == held(dtype) and value.forms:
        return Value("", dtype, value.shape, forms=dict(value.forms))
    perm = value.layout
    tensor = low.tensor(value, perm)
    options = {"in_data_type": held(value.dtype), "out_data_type": held(dtype)}
    return low.emit_value("CAST", [tensor], Spec(dtype, value.shape), perm, **options)


def in_int32(low: Lowering, values: Sequence[Value], computed: Callable[..., Value]) -> Value:
    """`computed(*values)`; for int8, uint8 and int16 in int32, cast back: sums and products wrap as they do in C."""
    dtype = values[0].dtype
    if dtype not in SMALL:
        return computed(*values)
    return cast(low, computed(*(cast(low, value, "int32") for value in values)), dtype)


def choose(low: Lowering, condition: Value, yes: Operand, no: Operand) -> Value:
    """Where(condition, yes, no): SELECT_V2; a NaN on the side that is not chosen stays there."""
    dtype = common_type([side for side in (yes, no) if isinstance(side, Value)])
    sides = [side if isinstance(side, Value) else constant("", np.array(side, held(dtype))) for side in (yes, no)]
    return compute(low, "SELECT_V2", condition, *sides, dtype=dtype)


def common_type(values: Sequence[Value]) -> str:
    """The element type of the inputs of an operator that takes one; a constant written by a lowering follows the rest."""
    return next((value.dtype for value in values if value.array is None), values[0].dtype)


def demand_floats(node: Node, value: Value | None = None) -> Value:
    """The value (the first input by default), refused where it does not hold floats."""
    value = node.input(0) if value is None else value
    if value.dtype not in FLOATS:
        raise node.refuse(f"it is defined for floats, not for {value.dtype}")
    return value


def on_floats(kind: str, **options: Any) -> Callable[[Node], Value]:
    """An operator that TFLite has as it is, for floats alone."""

    def lower(node: Node) -> Value:
        return unary(node, kind, demand_floats(node), **options)

    return lower
