"""Comparisons of inputs with float64 constants, turned to the float32 numbers at which they change their answer.

The rows of a TFLite file are float32. `x >= 0.1` rounded to the nearest float32 would be true of a number below 0.1, and a
bin, a mask or a binarised feature would be another one on the rows that lie beside an edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mlpack_edge.converters.tflite_from_onnx.forests.questions import above, below
from mlpack_edge.core.signature import Signature

Array = NDArray[Any]

#: operator: whether `x ? c` holds for the same float32 numbers as `x ? (largest float32 <= c)`; else the smallest >= c.
_BELOW = {"Greater": True, "LessOrEqual": True, "Less": False, "GreaterOrEqual": False}
#: Operators that hand on the numbers of their first input, those of all inputs for a Concat.
_MOVES = {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Gather", "Split", "Expand"}
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
#: Larger constants are no thresholds.
_MOST = 1 << 20


def with_float32_thresholds(
    nodes: Sequence[onnx.NodeProto], initializers: Sequence[onnx.TensorProto], signature: Signature
) -> Sequence[onnx.NodeProto]:
    """`nodes`, which are in order, with the float64 constants that numbers of an input are compared with in float32.

    The answer for every float32 number is that of the source. Numbers that are computed first stay as they are: which
    way their own rounding goes is not known.
    """
    wide = {
        tensor.name: tensor
        for tensor in (*initializers, *_constants(nodes))
        if tensor.data_type == onnx.TensorProto.DOUBLE and np.prod(tensor.dims, dtype=np.int64) <= _MOST
    }
    if not wide:
        return nodes
    given = {spec.name for spec in signature.inputs if spec.dtype in ("float32", "float64")}
    made: list[onnx.NodeProto] = []
    for node in nodes:
        if not node.domain and _hands_on(node, given):
            given.update(name for name in node.output if name)
        turned = _turned(node, wide, given) if not node.domain and node.op_type in _BELOW else None
        made += [node] if turned is None else turned
    return made


def _turned(node: onnx.NodeProto, wide: Mapping[str, onnx.TensorProto], given: set[str]) -> list[onnx.NodeProto] | None:
    """The constant and the comparison with it; None where the constant is a float32 number, or no input is compared."""
    left, right = node.input
    place = 1 if left in given and right in wide else 0 if right in given and left in wide else None
    if place is None:
        return None
    exact = numpy_helper.to_array(wide[node.input[place]])
    down = _BELOW[node.op_type] == (place == 1)
    number = np.asarray((below if down else above)(np.asarray(exact)), np.float64)
    if np.array_equal(number, exact, equal_nan=True):
        return None
    name = f"{node.output[0]}/threshold"
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[place] = name
    return [helper.make_node("Constant", [], [name], value=numpy_helper.from_array(number)), copy]


def _hands_on(node: onnx.NodeProto, given: set[str]) -> bool:
    if node.op_type == "Concat":
        return all(name in given for name in node.input)
    if node.op_type == "Cast":
        return node.input[0] in given and any(item.name == "to" and item.i in _FLOATS for item in node.attribute)
    return node.op_type in _MOVES and node.input[0] in given


def _constants(nodes: Sequence[onnx.NodeProto]) -> list[onnx.TensorProto]:
    found = []
    for node in nodes:
        if node.op_type == "Constant" and not node.domain and node.attribute[0].name == "value":
            tensor = onnx.TensorProto()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
            found.append(tensor)
    return found
