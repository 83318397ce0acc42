"""Compute what depends on constants alone, with ONNX Runtime itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, reference

from mlpack_edge.converters.tflite_from_onnx.inference import schema_of, type_of
from mlpack_edge.converters.tflite_from_onnx.values import Value
from mlpack_edge.runtimes.onnxruntime import FAULTS, open_session, run_raw

Array = NDArray[Any]

#: Operators whose result is not a function of their inputs, or that have to stay: what is quantized stays so.
_NEVER = frozenset({
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial",
    "DequantizeLinear", "If", "Loop", "Scan", "SequenceMap",
})  # fmt: skip
#: A constant that grows past this many bytes is made when the model runs instead.
_MOST_BYTES = 8 << 20
#: Operators that can make much of little.
_GROWING = frozenset({"Expand", "Tile", "ConstantOfShape", "Range", "OneHot", "EyeLike", "Pad", "Resize", "MatMul"})


def fold(node: onnx.NodeProto, inputs: Sequence[Value | None], version: int) -> list[Array] | None:
    """The outputs of a node whose inputs are all constant; None where it has to be lowered."""
    if node.op_type in _NEVER or any(value is not None and value.array is None for value in inputs):
        return None
    if node.op_type == "Cast" and inputs and _is_stored_narrow(inputs[0]):
        return None
    if any(attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for attribute in node.attribute):
        return None
    if schema_of(node, version) is None:
        return None
    if node.op_type in _GROWING and _grows(node, inputs):
        return None
    arrays = [None if value is None else value.array for value in inputs]
    try:
        return _by_runtime(node, inputs, arrays, version)
    except FAULTS:
        return _by_reference(node, arrays, version)


def _is_stored_narrow(value: Value | None) -> bool:
    """Whether a constant is of float16: its Cast says that a file holds it so."""
    return value is not None and value.dtype == "float16"


def _grows(node: onnx.NodeProto, inputs: Sequence[Value | None]) -> bool:
    sizes = [value.array.nbytes for value in inputs if value is not None and value.array is not None]
    if node.op_type in ("Expand", "ConstantOfShape"):
        shape = inputs[-1]
        assert shape is not None and shape.array is not None
        return 4 * int(np.prod(np.maximum(shape.array.astype(np.float64), 1))) > _MOST_BYTES
    return sum(sizes) > _MOST_BYTES


def _by_runtime(
    node: onnx.NodeProto, inputs: Sequence[Value | None], arrays: Sequence[Array | None], version: int
) -> list[Array]:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    del copy.input[:], copy.output[:]
    copy.input.extend("" if value is None else f"i{place}" for place, value in enumerate(inputs))
    copy.output.extend(f"o{place}" if name else "" for place, name in enumerate(node.output))
    fed = {f"i{place}": array for place, array in enumerate(arrays) if array is not None}
    graph = helper.make_graph(
        [copy],
        "fold",
        [
            onnx.ValueInfoProto(name=f"i{place}", type=type_of(value))
            for place, value in enumerate(inputs)
            if value is not None
        ],
        [helper.make_empty_tensor_value_info(name) for name in copy.output if name],
    )
    imports = [helper.make_opsetid(node.domain, version)]
    if node.domain not in ("", "ai.onnx"):
        imports.append(helper.make_opsetid("", 21))
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    made = run_raw(open_session(model.SerializeToString()), fed)
    return [np.asarray(made[name]) if name else np.zeros(0) for name in copy.output]


def _by_reference(node: onnx.NodeProto, arrays: Sequence[Array | None], version: int) -> list[Array] | None:
    """By onnx's own reference implementation, where ONNX Runtime has no kernel for the element type."""
    feeds = {name: array for name, array in zip(node.input, arrays, strict=True) if array is not None and name}
    try:
        evaluator = reference.ReferenceEvaluator(node)
        made = evaluator.run(None, feeds)
    except (NotImplementedError, RuntimeError, TypeError, ValueError):
        return None  # it is lowered like any other node, or refused there
    return [np.asarray(array) for array in made]
