"""Offsets of float64 that float32 does not hold, taken away in two steps.

`(x - mean) / scale` with a mean of 1e6 and a scale of 1 loses six digits where the mean is rounded to float32; the
difference itself is exact there (Sterbenz). TFLite computes in float32, so the rest of the mean is taken away after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]

#: A rest below this part of the scale that follows is no digit of the result.
_SMALL = 2.0**-24


def with_split_offsets(
    nodes: Sequence[onnx.NodeProto], initializers: Sequence[onnx.TensorProto]
) -> Sequence[onnx.NodeProto]:
    """`nodes` with each `Sub(x, c)` that a constant divides or multiplies next, c in float64, in two steps.

    Where the rest of c after rounding to float32 is no digit of what the scale leaves, nothing changes.
    """
    if not any(tensor.data_type == onnx.TensorProto.DOUBLE for tensor in initializers):
        return nodes
    constants = {
        tensor.name: tensor
        for tensor in initializers
        if tensor.data_type == onnx.TensorProto.DOUBLE and np.prod(tensor.dims, dtype=np.int64) <= 1 << 20
    }
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    made: list[onnx.NodeProto] = []
    for node in nodes:
        rest = _rest(node, constants, readers) if node.op_type in ("Sub", "Add") and not node.domain else None
        if rest is None:
            made.append(node)
            continue
        place = 1 if node.input[1] in constants else 0
        first, low = f"{node.output[0]}/first", f"{node.output[0]}/rest"
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.output[0] = first
        made.append(copy)
        made.append(helper.make_node("Constant", [], [low], value=numpy_helper.from_array(rest)))
        # c - x has the rest added
        kind = "Sub" if node.op_type == "Sub" and place == 1 else "Add"
        made.append(helper.make_node(kind, [first, low], [node.output[0]], name=low))
    return made


def _rest(
    node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto], readers: Mapping[str, list[onnx.NodeProto]]
) -> Array | None:
    """What is left of the constant of a Sub or Add after float32, where it counts; None where it does not."""
    names = [name for name in node.input if name in constants]
    scales = [
        (reader.op_type, numpy_helper.to_array(constants[name]))
        for reader in readers.get(node.output[0], [])
        if reader.op_type in ("Div", "Mul") and reader.input[0] == node.output[0]
        for name in reader.input[1:]
        if name in constants
    ]
    if len(names) != 1 or not scales:
        return None
    whole = numpy_helper.to_array(constants[names[0]])
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        rest: Array = whole - whole.astype(np.float32).astype(np.float64)
        counts = any(
            bool((np.abs(rest / scale if kind == "Div" else rest * scale) > _SMALL).any()) for kind, scale in scales
        )
    return rest if counts and np.isfinite(rest).all() else None
