"""A quotient by a square root becomes a product with the inverse root, as LayerNormalization is written out by exporters."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.edges import Edges, is_plain
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor

#: XNNPACK's inverse root is not a number for 0 and for what is next to it.
_LEAST = 1e-30


def invert_roots(graph: Graph) -> bool:
    """x / SQRT(y + c) becomes x * RSQRT(y + c), and 1 / SQRT(y + c) RSQRT(y + c), for sums of squares and a constant c > 0.

    Needs that nobody else reads the root, and that y is a mean or sum of squares, so that y + c is no less than c.
    Whether anything changed.
    """
    edges, changed = Edges(graph), False
    for op in list(graph.ops):
        if op.kind != "DIV" or not is_plain(op):
            continue
        root = edges.maker(op.inputs[1])
        if root is None or root.kind != "SQRT" or not is_plain(root) or not _is_positive(edges, root.inputs[0]):
            continue
        if edges.sole_reader(root.output) is not op:
            continue
        top = op.inputs[0]
        if top is None:
            continue
        root.kind, changed = "RSQRT", True
        root.output.name = ""
        if (
            top.data is not None
            and top.data.size == 1
            and len(top.shape) <= len(root.output.shape)
            and (top.data == 1).all()
        ):
            edges.absorb(root, op)
        else:
            op.kind = "MUL"
            op.options = {name: value for name, value in op.options.items() if name == "fused_activation_function"}
    return edges.sweep() or changed


def _is_positive(edges: Edges, tensor: Tensor | None) -> bool:
    added = edges.maker(tensor)
    if added is None or added.kind != "ADD" or not is_plain(added):
        return False
    a, b = added.inputs
    if a is None or b is None:
        return False
    value, number = (a, b) if b.data is not None else (b, a)
    if number.data is None or not bool(np.all(number.data >= _LEAST)):
        return False
    mean = edges.maker(value)
    if mean is None or mean.kind not in ("MEAN", "SUM"):
        return False
    return _is_square(edges.maker(mean.inputs[0]))


def _is_square(op: Op | None) -> bool:
    if op is None:
        return False
    return op.kind in ("SQUARE", "SQUARED_DIFFERENCE") or (op.kind == "MUL" and op.inputs[0] is op.inputs[1])
