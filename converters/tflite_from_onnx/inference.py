"""Shapes and element types of a node's outputs by ONNX's own inference, given what is known of its inputs."""

from __future__ import annotations

import onnx
from onnx import defs, helper, numpy_helper, shape_inference

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value

#: Content above this many elements is no shape, and inference has no use for it.
_MOST_ELEMENTS = 4096


def schema_of(node: onnx.NodeProto, version: int) -> defs.OpSchema | None:
    """The definition of a node's operator at an opset version, None where the standard has none."""
    try:
        return defs.get_schema(node.op_type, version, node.domain)
    except (defs.SchemaError, RuntimeError):
        return None


def infer(node: Node, fresh: str) -> tuple[Spec, ...]:
    """A Spec per output. A size that inference does not know is named `fresh.PLACE.AXIS`.

    Raises Unsupported where onnx says that the node cannot be, or does not know the rank of an output.
    """
    schema = schema_of(node.proto, node.version)
    if schema is None:
        raise node.refuse("its shapes are not known: the operator is none of the standard's")
    names = [f"i{place}" if value is not None else "" for place, value in enumerate(node.inputs)]
    proto = onnx.NodeProto()
    proto.CopyFrom(node.proto)
    del proto.input[:]
    proto.input.extend(names)
    known = [(name, value) for name, value in zip(names, node.inputs, strict=True) if value is not None]
    types = {name: type_of(value) for name, value in known}
    data = {
        name: numpy_helper.from_array(value.array, name)
        for name, value in known
        if value.array is not None and value.dtype != "string" and value.array.size <= _MOST_ELEMENTS
    }
    try:
        made = shape_inference.infer_node_outputs(
            schema, proto, types, data, opset_imports=[helper.make_opsetid(node.proto.domain, node.version)]
        )
    except (shape_inference.InferenceError, onnx.checker.ValidationError, RuntimeError, ValueError) as fault:
        raise node.refuse(f"onnx refuses it: {' '.join(str(fault).split())[:300]}") from fault
    return tuple(
        _spec(node, made.get(name), f"{fresh}.{place}") if name else Spec("", ())
        for place, name in enumerate(proto.output)
    )


def type_of(value: Value) -> onnx.TypeProto:
    """A value's type as ONNX writes it; sizes that are products are names like any other."""
    element = onnx.TensorProto.STRING if value.dtype == "string" else helper.np_dtype_to_tensor_dtype(_dtype(value))
    return helper.make_tensor_type_proto(element, value.shape)


def _dtype(value: Value) -> object:
    import ml_dtypes  # registers the narrow types that numpy lacks
    import numpy as np

    return np.dtype(getattr(ml_dtypes, value.dtype, value.dtype))


def _spec(node: Node, made: onnx.TypeProto | None, fresh: str) -> Spec:
    if made is None or not made.HasField("tensor_type"):
        raise node.refuse("it makes a sequence, a map or an optional value, and TFLite has tensors alone")
    tensor = made.tensor_type
    if not tensor.HasField("shape"):
        raise node.refuse("the rank of what it makes is known only when the model runs", "fix the sizes with --shape")
    sizes: list[Size] = []
    for axis, dimension in enumerate(tensor.shape.dim):
        if dimension.HasField("dim_value"):
            sizes.append(dimension.dim_value)
        else:
            sizes.append(dimension.dim_param or f"{fresh}.{axis}")
    if tensor.elem_type == onnx.TensorProto.STRING:
        return Spec("string", tuple(sizes))
    return Spec(helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, tuple(sizes))
