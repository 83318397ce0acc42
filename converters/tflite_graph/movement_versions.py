"""The versions of operators that move data, by what they are used on (TFLite's `op_version.cc`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mlpack_edge.converters.tflite_graph.model import Op, Tensor


def _by_type(versions: Mapping[str, int], place: int = 0) -> Callable[[Op], int]:
    """versions: by the element type of the input at `place`."""
    return lambda op: versions.get(_tensor(op, place).dtype, 1)


def _transpose(op: Op) -> int:
    data = _tensor(op, 0)
    rank = len(data.shape)
    if rank > 5:
        return 8 if rank > 6 else 6
    if data.dtype == "int16":
        return 5
    return 4 if rank > 4 else {"bool": 3, "int8": 2}.get(data.dtype, 1)


def _slice(op: Op) -> int:
    data = _tensor(op, 0)
    return 5 if len(data.shape) > 4 else {"int16": 4, "int8": 2}.get(data.dtype, 1)


def _strided_slice(op: Op) -> int:
    data = _tensor(op, 0)
    if op.options.get("offset"):
        return 8
    if op.options.get("ellipsis_mask") or op.options.get("new_axis_mask"):
        return 6
    return 4 if len(data.shape) > 4 else {"bool": 3, "int8": 2}.get(data.dtype, 1)


def _dynamic_update_slice(op: Op) -> int:
    if _tensor(op, 0).dtype == "int16":
        return 4
    return 2 if _tensor(op, 2).dtype == "int64" else 1


def _tensor(op: Op, place: int) -> Tensor:
    tensor = op.inputs[place]
    assert tensor is not None, f"{op.kind} has no input {place}"
    return tensor


_NARROW = _by_type({"int8": 2})
RULES: dict[str, Callable[[Op], int]] = {
    "ARG_MAX": _by_type({"bool": 3, "int8": 2}),
    "ARG_MIN": _by_type({"bool": 3, "int8": 2}),
    "BROADCAST_TO": _by_type({"int8": 3, "int16": 3}),
    "DEPTH_TO_SPACE": _NARROW,
    "DYNAMIC_UPDATE_SLICE": _dynamic_update_slice,
    "FILL": _by_type({"int8": 3, "int16": 3, "bool": 2}, place=1),
    "GATHER_ND": _by_type({"bool": 5, "int16": 3}),
    "MIRROR_PAD": _by_type({"int16": 3, "int8": 2}),
    "PACK": _by_type({"uint32": 4, "int16": 3, "int8": 2}),
    "REVERSE_V2": _by_type({"int8": 3, "bool": 2}),
    "SLICE": _slice,
    "SPACE_TO_DEPTH": _NARROW,
    "SPLIT": _by_type({"int16": 4, "int32": 3, "int8": 2}, place=1),
    "SPLIT_V": _NARROW,
    "STRIDED_SLICE": _strided_slice,
    "TILE": _by_type({"int8": 3}),
    "TOPK_V2": _by_type({"int16": 3, "int8": 2}),
    "TRANSPOSE": _transpose,
    "UNPACK": _by_type({"int16": 4, "bool": 3, "int8": 2, "uint8": 2}),
    "WHERE": lambda op: 1 if _tensor(op, 0).dtype == "bool" else 2,
}
