"""Arithmetic with one number a column, in the dtype the library uses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.onnx_graph import Graph, Value

Array = NDArray[Any]


def columnwise(graph: Graph, op: str, value: Value, numbers: Array | float) -> Value:
    """`value op numbers` in the dtype of `value` `[batch, width]`; numbers: one, or one a column `[width]`.

    ONNX Runtime fuses a Mul or Div by a single constant into a MatMul beside it (MatMulScaleFusion) and keeps the
    factor as a float32 attribute even where both tensors are float64, an error of 1e-8. So the numbers are written as
    a row of `width`, which is not fused; a row of one is expanded to the batch when the model runs.
    """
    width = value.width or 1
    row = np.ascontiguousarray(np.broadcast_to(np.asarray(numbers), (1, width))).astype(np.dtype(value.dtype))
    name = graph.const(row)
    if width == 1 and value.dtype == "float64" and op in ("Mul", "Div"):
        name = graph.op("Expand", name, graph.op("Shape", value))
    return Value(graph.op(op, value, name), value.dtype, width)


def unary(graph: Graph, op: str, value: Value, **attributes: Any) -> Value:
    """`op(value)` in the same dtype and shape."""
    return Value(graph.op(op, value, **attributes), value.dtype, value.width)


def floating(graph: Graph, value: Value) -> Value:
    """float32 stays, everything else becomes float64: `check_array(X, dtype=[np.float64, np.float32])`."""
    return value if value.dtype in ("float32", "float64") else graph.cast(value, "float64")
