"""Operators whose int8 kernels write with one scale and zero point alone: LOGISTIC, SOFTMAX, TANH.

`mlpack convert` leaves them in float where an ONNX file has another grid behind them, for that file is the reference. Here
the float model is, and what they give is known beforehand: between 0 and 1, or -1 and 1.
"""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.codes import CodedEdges, one_scale, scale_of
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Quantization, Tensor


def _grid(scale: float, zero_point: int) -> Quantization:
    return Quantization(np.array([scale], np.float32), np.array([zero_point], np.int64))


#: Operator -> the grid of its codes (LiteRT's kernels/activations.cc: SoftmaxPrepare, SigmoidPrepare; XNNPACK's tanh).
FIXED = {"LOGISTIC": _grid(1 / 256, -128), "SOFTMAX": _grid(1 / 256, -128), "TANH": _grid(1 / 128, 0)}
#: Of the step of a fixed grid: codes in finer steps are not made from those on it.
_FINEST = 0.7


def write_on_fixed_grids(graph: Graph) -> bool:
    """The operators above between DEQUANTIZE and QUANTIZE become int8. Whether any did.

    Who reads their real numbers reads them from the fixed grid, which is nearer to the float model than rounding twice; codes
    that are read as such are made from it. Where the recipe's steps are finer (an attention over many places gives each
    a small share) the float operator stays.
    """
    return _write(graph, _FINEST)


def write_on_fixed_grids_always(graph: Graph) -> bool:
    """As `write_on_fixed_grids`, however fine the recipe's steps are: no float operator is left."""
    return _write(graph, 0.0)


def _write(graph: Graph, finest: float) -> bool:
    edges = CodedEdges(graph)
    for op in list(graph.ops):
        own = FIXED.get(op.kind)
        quantizer = None if own is None or op.output.dtype != "float32" else edges.quantizer(op.output)
        codes = None if quantizer is None else edges.codes(op.inputs[0])
        if own is None or quantizer is None or codes is None or not one_scale(codes) or codes.dtype != "int8":
            continue
        if quantizer.output.dtype == "int8" and scale_of(quantizer.output) >= finest * float(own.scale[0]):
            _take(edges, op, quantizer, codes, own)
    return edges.sweep()


def _take(edges: CodedEdges, op: Op, quantizer: Op, codes: Tensor, own: Quantization) -> None:
    wanted = quantizer.output
    edges.read(op, 0, codes)
    edges.changed = True
    real = wanted not in edges.outputs and all(
        reader.kind in ("DEQUANTIZE", "QUANTIZE") for reader in edges.readers(wanted)
    )
    if real or own.same_as(wanted.quantization):
        wanted.quantization = own
        edges.absorb(op, quantizer)
        return
    made = Tensor("", "int8", op.output.shape, None, own)
    edges.make(op, op.output, made)
    edges.read(quantizer, 0, made)
