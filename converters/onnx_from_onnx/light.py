"""An ONNX model without its large weights, for onnx's checker and shape inference, which copy what they get three times."""

from __future__ import annotations

import onnx
from onnx import TensorProto

from mlpack_edge.runtimes.onnx_files.tensors import elements

#: Smaller tensors may be shapes, axes or sizes that inference reads.
_LARGE_ELEMENTS = 8192


def light_copy(model: onnx.ModelProto, with_shapes: bool) -> onnx.ModelProto:
    """The same graph; initializers above 8,192 elements hold no data.

    with_shapes: they keep their shape, as shape inference needs it; otherwise they are empty tensors, as the checker,
    which wants data for every element, accepts them.
    """
    light = onnx.ModelProto(ir_version=model.ir_version)
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    light.metadata_props.extend(model.metadata_props)
    graph = light.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    graph.sparse_initializer.extend(model.graph.sparse_initializer)
    for tensor in model.graph.initializer:
        if elements(tensor) <= _LARGE_ELEMENTS:
            graph.initializer.append(tensor)
        else:
            dims = list(tensor.dims) if with_shapes else [0]
            graph.initializer.append(TensorProto(name=tensor.name, data_type=tensor.data_type, dims=dims))
    return light
