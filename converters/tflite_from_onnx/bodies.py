"""The function by which the standard defines an operator, ready to be lowered in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import onnx

from mlpack_edge.converters.tflite_from_onnx.inference import schema_of, type_of
from mlpack_edge.converters.tflite_from_onnx.node import Node


@dataclass(frozen=True, slots=True)
class Body:
    """A function body with the attributes of the call put in."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[onnx.NodeProto, ...]
    opsets: Mapping[str, int]


def body_of(node: Node) -> Body | None:
    """The body of the node's operator at its opset version, None where the standard has none (ONNX IR, "Functions")."""
    schema: Any = schema_of(node.proto, node.version)  # functions are missing in the stubs of OpSchema
    if schema is None:
        return None
    function = None
    if schema.has_function:
        versions = [version for version in schema.function_opset_versions if version <= node.version]
        raw = schema.get_function_with_opset_version(max(versions)) if versions else None
        function = _function(raw)
    elif schema.has_context_dependent_function:
        versions = [version for version in schema.context_dependent_function_opset_versions if version <= node.version]
        if versions:
            types = [b"" if value is None else type_of(value).SerializeToString() for value in node.inputs]
            raw = schema.get_context_dependent_function_with_opset_version(
                max(versions), node.proto.SerializeToString(), types
            )
            function = _function(raw)
    if function is None:
        return None
    opsets = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in function.opset_import}
    opsets.setdefault("", node.version)
    given = {attribute.name: attribute for attribute in node.proto.attribute}
    for name, attribute in schema.attributes.items():
        if name not in given and attribute.default_value is not None and attribute.default_value.name:
            given[name] = attribute.default_value
    nodes = tuple(_bound(inner, given) for inner in function.node)
    return Body(tuple(function.input), tuple(function.output), nodes, opsets)


def _function(raw: object) -> onnx.FunctionProto | None:
    if isinstance(raw, onnx.FunctionProto):
        return raw
    if not raw:
        return None
    function = onnx.FunctionProto()
    function.ParseFromString(bytes(raw))  # type: ignore[call-overload]  # bytes, which onnx's stubs do not say
    return function


def _bound(node: onnx.NodeProto, given: Mapping[str, onnx.AttributeProto]) -> onnx.NodeProto:
    """`node` with each reference to an attribute of the call replaced by that attribute; those not given are dropped."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    del copy.attribute[:]
    for attribute in node.attribute:
        kept = copy.attribute.add()
        if attribute.ref_attr_name:
            if attribute.ref_attr_name not in given:
                del copy.attribute[-1]
                continue
            kept.CopyFrom(given[attribute.ref_attr_name])
            kept.name = attribute.name
        else:
            kept.CopyFrom(attribute)
            if attribute.type == onnx.AttributeProto.GRAPH:
                bound = [_bound(inner, given) for inner in attribute.g.node]
                del kept.g.node[:]
                kept.g.node.extend(bound)
    return copy
