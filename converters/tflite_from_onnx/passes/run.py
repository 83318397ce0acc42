"""The passes over a lowered graph, in their order."""

from __future__ import annotations

from mlpack_edge.converters.tflite_from_onnx.passes.dead import drop_dead
from mlpack_edge.converters.tflite_graph.model import Graph


def improve(graph: Graph) -> None:
    """Rewrite `graph` in place; what it computes stays the same."""
    drop_dead(graph)
    _name(graph)


def _name(graph: Graph) -> None:
    """Every tensor gets a name that is its own: runtimes and tools find tensors by it."""
    taken = {tensor.name for tensor in (*graph.inputs, *graph.outputs)}
    borders = {*graph.inputs, *graph.outputs}
    for place, tensor in enumerate(graph.tensors()):
        if tensor in borders:
            continue
        name = tensor.name or f"t{place}"
        while name in taken:
            name = f"{name}.{place}"
        tensor.name = name
        taken.add(name)
