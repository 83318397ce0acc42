"""A DEQUANTIZE in front of a BATCH_MATMUL is kept apart from it.

LiteRT 2.3.0 with XNNPACK gives wrong numbers where the second operand of a float BATCH_MATMUL is a DEQUANTIZE's result and the
interpreter is resized to a larger batch (1 to 40, 2 to 40; not 7 to 40). Behind any other operator it is right, and so
is the first operand. `tests/converters/tflite_from_onnx/test_quantized_growing.py` shows both.
"""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.codes import CodedEdges
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor


def part_dequantized_operands(graph: Graph) -> None:
    """Put an operator that changes nothing between the two: a RESHAPE, or a MUL by 1 where two sizes are open."""
    edges = CodedEdges(graph)
    for op in list(graph.ops):
        given = op.inputs[1] if op.kind == "BATCH_MATMUL" else None
        maker = edges.maker(given)
        if given is None or maker is None or maker.kind != "DEQUANTIZE":
            continue
        apart = Tensor("", given.dtype, given.shape)
        if sum(size < 0 for size in given.shape) <= 1:
            shape = np.array(given.shape, np.int32)
            same = Op("RESHAPE", [given, Tensor("", "int32", shape.shape, shape)], [apart], {"new_shape": shape})
        else:
            one = Tensor("one", "float32", (), np.array(1, np.float32))
            same = Op("MUL", [given, one], [apart])
        edges.put_before(op, same)
        edges.read(op, 1, apart)
    edges.sweep()
