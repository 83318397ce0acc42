"""Activations computed by the operator before."""

from __future__ import annotations

from mlpack_edge.converters.tflite_from_onnx.passes.edges import ACTIVATIONS, Edges, is_plain
from mlpack_edge.converters.tflite_graph.model import Graph, Op

#: Operators whose kernels, XNNPACK's included, clamp what they write.
_CLAMPING = frozenset({
    "ADD", "AVERAGE_POOL_2D", "CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D", "DIV", "FULLY_CONNECTED", "MAX_POOL_2D", "MUL", "SUB",
})  # fmt: skip
#: Operators that only move elements: an activation is the same before and behind them.
_MOVING = frozenset({"DEPTH_TO_SPACE", "EXPAND_DIMS", "RESHAPE", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE"})


def fuse_activations(graph: Graph) -> bool:
    """RELU, RELU6 and RELU_N1_TO_1 go into the operator whose result nobody else reads, through what moves elements.

    Floats alone, and nothing quantized. Whether any was fused.
    """
    edges = Edges(graph)
    for op in list(graph.ops):
        if op.kind not in ACTIVATIONS or not is_plain(op):
            continue
        on_the_way = _to_source(edges, op)
        if on_the_way is None:
            continue
        source = on_the_way[-1]
        if edges.bypass(op):
            source.options["fused_activation_function"] = ACTIVATIONS[op.kind]
            for passed in on_the_way[1:]:
                passed.output.name = ""  # it no longer holds the value before the activation
    return edges.sweep()


def _to_source(edges: Edges, op: Op) -> list[Op] | None:
    """From the operator before `op` to the one that can compute its activation; None where there is none."""
    passed: list[Op] = []
    current = op
    while True:
        tensor = current.inputs[0]
        before = edges.maker(tensor)
        if tensor is None or before is None or edges.sole_reader(tensor) is not current or not is_plain(before):
            return None
        passed.append(before)
        if before.kind in _CLAMPING:
            return passed
        if before.kind not in _MOVING:
            return None
        current = before
