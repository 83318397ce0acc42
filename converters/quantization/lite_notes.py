"""What a user should know of a model that was to compute with integers alone."""

from __future__ import annotations

from collections import Counter

from mlpack_edge.converters.tflite_graph.model import Graph, Op


class FloatOperators:
    """A pass that changes nothing: it counts the operators that compute with real numbers, conversions left out."""

    def __init__(self) -> None:
        self._left: Counter[str] = Counter()

    def look(self, graph: Graph) -> bool:
        self._left.update(op.kind for op in graph.ops if _is_float(op) and op.kind not in ("QUANTIZE", "DEQUANTIZE"))
        return False

    def notes(self) -> tuple[str, ...]:
        """One line with the operators, the most frequent first; none where none is left."""
        if not self._left:
            return ()
        listed = ", ".join(
            f"{kind} ({count})" for kind, count in sorted(self._left.items(), key=lambda x: (-x[1], x[0]))
        )
        return (
            f"operators that still compute with real numbers: {listed}; an integer-only device leaves them to its CPU",
        )


def _is_float(op: Op) -> bool:
    return any(tensor is not None and tensor.dtype == "float32" for tensor in (*op.inputs, *op.outputs))
