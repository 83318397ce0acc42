"""The versions of elementwise operators, by what they are used on (TFLite's `op_version.cc`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mlpack_edge.converters.tflite_graph.model import Op, Tensor

#: The rank up to which the first kernels broadcast.
_FEW_AXES = 4


def _by_type(versions: Mapping[str, int], broadcast: int = 1) -> Callable[[Op], int]:
    """versions: by the element type of the first input. broadcast: where inputs of more than four axes are broadcast."""

    def version(op: Op) -> int:
        found = versions.get(_inputs(op)[0].dtype, 1)
        return max(found, broadcast) if _is_broadcast(op) else found

    return version


def _is_broadcast(op: Op) -> bool:
    shapes = [tensor.shape for tensor in _inputs(op)]
    return len(set(shapes)) > 1 and max(map(len, shapes)) > _FEW_AXES


def _addition(op: Op) -> int:
    return 3 if _is_quantized_int16(op) else _by_type({"int64": 4, "int16": 5, "int8": 2})(op)


def _product(op: Op) -> int:
    if _is_quantized_int16(op):
        return 4
    scales = [tensor.quantization.scale[0] for tensor in (*_inputs(op), op.output) if tensor.quantization is not None]
    if len(scales) == 3 and scales[0] * scales[1] >= scales[2]:
        return 3
    return _by_type({"int64": 5, "int16": 7, "int8": 2})(op)


def _is_quantized_int16(op: Op) -> bool:
    first = _inputs(op)[0]
    return first.dtype == "int16" and first.quantization is not None


def _cast(op: Op) -> int:
    types = {_inputs(op)[0].dtype, op.output.dtype}
    if types & {"float16", "float64"}:
        return 5
    return 4 if "uint16" in types else 3 if "int8" in types else 2 if "uint32" in types else 1


def _inputs(op: Op) -> list[Tensor]:
    return [tensor for tensor in op.inputs if tensor is not None]


_WIDTHS = _by_type({"int16": 3, "int8": 2})
RULES: dict[str, Callable[[Op], int]] = {
    "ABS": _by_type({"int32": 5, "int16": 4, "int8": 2, "uint8": 2}),
    "ADD": _addition,
    "CAST": _cast,
    "DIV": _by_type({}, broadcast=2),
    "EQUAL": _by_type({"int16": 5, "int8": 2}),
    "EXP": _by_type({"int16": 2, "int8": 2}),
    "FLOOR_DIV": _by_type({"int16": 3, "int8": 3, "float32": 2}),
    "FLOOR_MOD": _by_type({"int16": 2, "int8": 2}),
    "GELU": _by_type({"int8": 2, "uint8": 2}),
    "GREATER": _by_type({"int8": 2}),
    "GREATER_EQUAL": _WIDTHS,
    "LEAKY_RELU": _by_type({"int16": 2}),
    "LESS": _WIDTHS,
    "LESS_EQUAL": _by_type({"int8": 2}),
    "LOG": _by_type({"int16": 2, "int8": 2}),
    "LOGISTIC": _WIDTHS,
    "MAXIMUM": _by_type({"int16": 4, "int8": 2}, broadcast=3),
    "MINIMUM": _by_type({"int16": 4, "int8": 2}, broadcast=3),
    "MUL": _product,
    "NOT_EQUAL": _by_type({"int16": 4, "int8": 2}),
    "RELU": _by_type({"int16": 3, "int8": 2, "uint8": 2}),
    "RELU6": _WIDTHS,
    "RSQRT": _WIDTHS,
    "SIGN": _by_type({"int32": 2}),
    "SQRT": _by_type({"int16": 2, "int8": 2}),
    "SUB": _by_type({"int64": 4, "int16": 5, "int8": 2}, broadcast=3),
    "TANH": _WIDTHS,
}
