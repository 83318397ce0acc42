"""The version of an operator that a runtime must know to run it as it is used (TFLite's `op_version.cc`)."""

from __future__ import annotations

from collections.abc import Callable

from mlpack_edge.converters.tflite_graph import elementwise_versions, movement_versions, quantized_versions
from mlpack_edge.converters.tflite_graph.model import Op, Tensor

#: Operators that LiteRT registers from a version above 1 on: no runtime loads them below it.
_LEAST = {"BROADCAST_TO": 2}


def version_of(op: Op) -> int:
    """The lowest version of `op.kind` that has what this operator uses."""
    rule = _RULES.get(op.kind)
    return max(_LEAST.get(op.kind, 1), rule(op) if rule else 1)


def _conv_2d(op: Op) -> int:
    data, filters = _tensor(op, 0), _tensor(op, 1)
    if data.shape[-1] > 0 and data.shape[-1] != filters.shape[-1]:
        return 6  # groups
    if _is_hybrid(data, filters):
        return 5 if _is_per_channel(filters) else 2
    return {"int16": 4, "int8": 3}.get(data.dtype, 1)


def _depthwise_conv_2d(op: Op) -> int:
    dtype = _tensor(op, 0).dtype
    if dtype in ("int16", "int8"):
        return 5 if dtype == "int16" else 3
    dilations = (op.options.get("dilation_h_factor", 1), op.options.get("dilation_w_factor", 1))
    return 1 if dilations == (1, 1) else 2


def _fully_connected(op: Op) -> int:
    data, filters = _tensor(op, 0), _tensor(op, 1)
    dtype = data.dtype
    if _is_hybrid(data, filters) and _is_per_channel(filters):
        return 12
    if dtype == "int16":
        return 7
    if len(op.inputs) == 2:
        return 6
    if op.options.get("keep_num_dims"):
        return 5
    if _is_hybrid(data, filters):
        return 9 if op.options.get("asymmetric_quantize_inputs") else 3
    return 4 if dtype == "int8" else 1


def _resize(op: Op) -> int:
    dtype = _tensor(op, 0).dtype
    if dtype == "int16":
        return 4
    corners = op.kind == "RESIZE_NEAREST_NEIGHBOR" and op.options.get("align_corners")
    if op.options.get("half_pixel_centers") or corners:
        return 3
    return 2 if dtype == "int8" else 1


def _pad(op: Op) -> int:
    data = _tensor(op, 0)
    if data.dtype == "bool":
        return 5
    if len(data.shape) > 4:
        return 4
    return _by_width(op)


def _gather(op: Op) -> int:
    if _tensor(op, 1).dtype == "int16":
        return 6
    if op.options.get("batch_dims"):
        return 5
    return {"int16": 4, "bool": 3, "int8": 2}.get(_tensor(op, 0).dtype, 1)


def _is_hybrid(data: Tensor, filters: Tensor) -> bool:
    """Whether float activations meet weights that are codes."""
    return data.dtype == "float32" and filters.dtype in ("int8", "int4")


def _is_per_channel(filters: Tensor) -> bool:
    return filters.quantization is not None and filters.quantization.per_channel


def _by_width(op: Op) -> int:
    """int16 came with version 3, int8 with version 2."""
    return {"int16": 3, "int8": 2}.get(_tensor(op, 0).dtype, 1)


def _tensor(op: Op, place: int) -> Tensor:
    tensor = op.inputs[place]
    assert tensor is not None, f"{op.kind} has no input {place}"
    return tensor


_RULES: dict[str, Callable[[Op], int]] = {
    **elementwise_versions.RULES,
    **quantized_versions.RULES,
    **movement_versions.RULES,
    "AVERAGE_POOL_2D": _by_width,
    "CONV_2D": _conv_2d,
    "CONCATENATION": _by_width,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "GATHER": _gather,
    "MAX_POOL_2D": _by_width,
    "MEAN": _by_width,
    "PAD": _pad,
    "PADV2": _pad,
    "REDUCE_MAX": _by_width,
    "REDUCE_MIN": _by_width,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "SOFTMAX": _by_width,
}
