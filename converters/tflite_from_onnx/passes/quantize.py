"""Operators between DEQUANTIZE and QUANTIZE become int8 kernels, where TFLite has one that computes the same."""

from __future__ import annotations

from mlpack_edge.converters.tflite_from_onnx.passes.codes import CodedEdges
from mlpack_edge.converters.tflite_from_onnx.passes.quantize_elementwise import RULES as ELEMENTWISE
from mlpack_edge.converters.tflite_from_onnx.passes.quantize_weighted import RULES as WEIGHTED
from mlpack_edge.converters.tflite_graph.model import Graph

_RULES = {**ELEMENTWISE, **WEIGHTED}


def quantize_operators(graph: Graph) -> bool:
    """DEQUANTIZE, a float operator with its activation, QUANTIZE: the operator on int8, rounded once at its end.

    Only where nobody else reads the float result. Its codes differ from those of the float operator by a step where
    the kernel's fixed-point factors round another way. What has no such kernel, or not with these scales, is left as it
    is, which is right as well. Whether anything changed.
    """
    edges = CodedEdges(graph)
    for op in list(graph.ops):
        rule = _RULES.get(op.kind)
        if rule is None or edges.is_removed(op) or not op.outputs or op.output.dtype != "float32":
            continue
        quantizer = edges.quantizer(op.output)
        if quantizer is None or quantizer.output.dtype != "int8":
            continue
        edges.changed |= rule(edges, op, quantizer)
    return edges.sweep()
