"""Drop operators whose results nobody reads."""

from __future__ import annotations

from mlpack_edge.converters.tflite_graph.model import Graph

#: Operators that do something besides making their outputs.
_EFFECTS = frozenset({"ASSIGN_VARIABLE", "CALL_ONCE"})


def drop_dead(graph: Graph) -> None:
    """Needs operators in running order; leaves those on which an output of the graph depends."""
    wanted = set(graph.outputs)
    kept = []
    for op in reversed(graph.ops):
        if op.kind in _EFFECTS or any(tensor in wanted for tensor in op.outputs):
            kept.append(op)
            wanted.update(tensor for tensor in op.inputs if tensor is not None)
    graph.ops[:] = reversed(kept)
