"""int8 operators that XNNPACK does not take: LiteRT's own kernels compute them one number at a time.

Measured on LiteRT 2.3.0 at one thread, x86-64, 8,192 numbers: HARD_SWISH 30 us on codes, RELU 26, SOFTMAX 17; in float with XNNPACK
1, 1 and 4, and 1 each for a DEQUANTIZE in front and a QUANTIZE behind. Each also ends what XNNPACK runs in one go. So files
for processors compute them in float; files for integers alone (`Recipe.integer_only`) keep them.
"""

from __future__ import annotations

from mlpack_edge.converters.tflite_from_onnx.passes.codes import CodedEdges, one_scale
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor

_SLOW = frozenset({"HARD_SWISH", "RELU", "RELU6", "SOFTMAX"})


def compute_slow_in_float(graph: Graph) -> bool:
    """False: nothing may be drawn together again behind it. DEQUANTIZE, the operator, QUANTIZE in place of each such operator on int8; a SOFTMAX whose codes are only read as real
    numbers gives those at once. Codes differ by a step at most."""
    edges = CodedEdges(graph)
    for op in list(graph.ops):
        given = op.inputs[0] if op.kind in _SLOW else None
        if given is None or not one_scale(given) or given.dtype != "int8" or not one_scale(op.output):
            continue
        reals = Tensor("", "float32", given.shape)
        edges.put_before(op, Op("DEQUANTIZE", [given], [reals]))
        edges.read(op, 0, reals)
        codes = op.output
        made = Tensor("", "float32", codes.shape)
        edges.make(op, codes, made)
        readers = edges.readers(codes)
        if codes not in edges.outputs and all(reader.kind == "DEQUANTIZE" for reader in readers):
            for reader in readers:
                _hand_on(edges, reader, made)
        else:
            edges.put_after(op, Op("QUANTIZE", [made], [codes]))
    edges.sweep()
    return False


def _hand_on(edges: CodedEdges, dequantize: Op, reals: Tensor) -> None:
    edges.read(dequantize, 0, reals)
    edges.bypass(dequantize)
