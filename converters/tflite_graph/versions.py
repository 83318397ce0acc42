"""The version of an operator that a runtime must know to run it as it is used (TFLite's `op_version.cc`)."""

from __future__ import annotations

from mlpack_edge.converters.tflite_graph.model import Op

#: Operators that LiteRT registers from a version above 1 on: no runtime loads them below it.
_LEAST = {"BROADCAST_TO": 2}


def version_of(op: Op) -> int:
    """The lowest version of `op.kind` that has what this operator uses."""
    return _LEAST.get(op.kind, 1)
