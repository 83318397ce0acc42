"""The nodes of a model as they are lowered, where it holds tree ensembles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference

from mlpack_edge.converters.tflite_from_onnx.forests.emit import forest_sums
from mlpack_edge.converters.tflite_from_onnx.forests.forest import Forest
from mlpack_edge.converters.tflite_from_onnx.forests.gathered import ML, OWN, gathered
from mlpack_edge.converters.tflite_from_onnx.forests.pulled import pulled_back
from mlpack_edge.converters.tflite_from_onnx.forests.results import finished
from mlpack_edge.converters.tflite_from_onnx.lowering import Lower
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.values import Value
from mlpack_edge.core.signature import Signature

Array = NDArray[Any]


def prepared(
    model: onnx.ModelProto, signature: Signature
) -> tuple[Sequence[onnx.NodeProto], dict[tuple[str, str], Lower]]:
    """(the nodes to lower, what the table of operators needs besides).

    Tree ensembles are brought together, and ask of the model's inputs where they can. Raises Unsupported for those
    that cannot be read.
    """
    nodes = model.graph.node
    if not any(node.domain == ML and node.op_type.startswith("TreeEnsemble") for node in nodes):
        return nodes, {}
    constants = _constants(model)
    found = gathered(nodes, constants, [value.name for value in model.graph.output])
    found = pulled_back(found, model, constants, signature, _widths(model))
    return found.nodes, {(OWN, "Forest"): _lower_with(found.forests)}


def _lower_with(forests: Mapping[str, Forest]) -> Lower:
    def lower(node: Node) -> list[Value | None]:
        forest = forests[node.proto.output[0]]
        sums = forest_sums(node.low, forest, rows_of(node))
        return finished(node, forest, sums)

    return lower


def rows_of(node: Node) -> Value:
    """The rows a tree operator reads: [batch, features] floats."""
    x = node.input(0)
    if x.rank != 2 or not isinstance(x.shape[1], int):
        raise node.refuse(f"its input has the shape {list(x.shape)}; rows of a known number of columns are needed")
    if x.dtype in ("int32", "int64"):
        return node.low.op("Cast", x, to=onnx.TensorProto.FLOAT)
    if x.dtype not in ("float32", "float64"):
        raise node.refuse(f"its input is {x.dtype}")
    return x


def _constants(model: onnx.ModelProto) -> dict[str, Array]:
    """Initializers and Constant nodes of numbers."""
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute:
            value = helper.get_attribute_value(node.attribute[0])
            if isinstance(value, onnx.TensorProto):
                found[node.output[0]] = numpy_helper.to_array(value)
            elif node.attribute[0].name in ("value_int", "value_ints"):
                found[node.output[0]] = np.array(value, np.int64)
            elif node.attribute[0].name in ("value_float", "value_floats"):
                found[node.output[0]] = np.array(value, np.float32)
    return found


def _widths(model: onnx.ModelProto) -> dict[str, int]:
    """How many columns tensors of rank 2 have, where onnx's inference can tell."""
    inferred = shape_inference.infer_shapes(model, data_prop=True)
    found = {}
    for value in (*inferred.graph.value_info, *inferred.graph.output):
        dims = value.type.tensor_type.shape.dim
        if len(dims) == 2 and dims[1].HasField("dim_value"):
            found[value.name] = dims[1].dim_value
    return found
