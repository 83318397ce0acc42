"""Keep ONNX Runtime from rounding float64 factors to float32.

Its optimizer fuses a Mul or Div by a single constant into a MatMul beside it (MatMulScaleFusion, which makes
`com.microsoft.FusedMatMul`), and keeps the factor as the attribute `alpha`, a float32, even where the tensors are
float64: a relative error of 1e-8 in a graph that is exact to 1e-16. A row of factors is left alone, and so is a factor
whose shape is known only at run time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper


def keep_factors_apart(nodes: Sequence[NodeProto], initializers: dict[str, TensorProto]) -> list[NodeProto]:
    """The same nodes, in order, where no float64 factor of one element stands beside a MatMul.

    Adds what it needs to `initializers`; the nodes are changed in place.
    """
    products = {node.output[0]: node for node in nodes if node.op_type == "MatMul"}
    readers: dict[str, tuple[NodeProto, int]] = {}
    for node in products.values():
        for position, name in enumerate(node.input):
            readers.setdefault(name, (node, position))
    made: list[NodeProto] = []
    for node in nodes:
        if node.op_type in ("Mul", "Div") and node.domain == "":
            made += _widen(node, initializers, products, readers)
        made.append(node)
    return made


def _widen(
    node: NodeProto,
    initializers: dict[str, TensorProto],
    products: dict[str, NodeProto],
    readers: dict[str, tuple[NodeProto, int]],
) -> list[NodeProto]:
    """Replace the factor of `node` where it would be fused; returns the node that makes the new one, if it needs one."""
    for position in (0, 1) if node.op_type == "Mul" else (1,):
        factor = initializers.get(node.input[position])
        other = node.input[1 - position]
        if factor is None or factor.data_type != TensorProto.DOUBLE or int(np.prod(factor.dims)) != 1:
            continue
        if other in products:
            width = _size(initializers.get(products[other].input[1]), -1)
        elif node.output[0] in readers:
            product, side = readers[node.output[0]]
            weights = initializers.get(product.input[1 - side])
            width = _size(weights, -2) if side == 0 else 1
        else:
            continue
        if width > 1:
            shape = (*factor.dims[:-1], width)
            row = numpy_helper.from_array(np.full(shape, numpy_helper.to_array(factor).ravel()[0]))
            row.name = f"{node.name or node.output[0]}/factors"
            initializers[row.name] = row
            node.input[position] = row.name
            return []
        shape_name, expanded = (f"{node.name or node.output[0]}/{part}" for part in ("shape", "factor"))
        node.input[position] = expanded
        return [
            helper.make_node("Shape", [other], [shape_name], name=shape_name),
            helper.make_node("Expand", [factor.name, shape_name], [expanded], name=expanded),
        ]
    return []


def _size(weights: TensorProto | None, axis: int) -> int:
    """The size of an axis of constant weights, 1 where they are computed or have no such axis."""
    return int(weights.dims[axis]) if weights is not None and len(weights.dims) >= 2 else 1
