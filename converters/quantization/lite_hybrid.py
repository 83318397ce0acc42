"""Dynamic range: operators on float activations and int8 weights (LiteRT's "hybrid" kernels).

Their kernels quantize the activations while they run: XNNPACK asymmetrically row by row (FULLY_CONNECTED) or image by
image (CONV_2D), into products of int8 and back. Measured on LiteRT 2.3 at one thread, x86-64 with VNNI, against float:
FULLY_CONNECTED .3 of the time, CONV_2D .25 (3x3) to .7 (1x1), DEPTHWISE_CONV_2D 6 times: so that one stays float.
"""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.codes import CodedEdges
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor

#: An input `[rows, columns]` of the model with more columns is an embedding or an image: its columns are alike.
_MOST_COLUMNS = 256
#: Operator -> the axis of its weights on which its outputs lie.
_HYBRID = {"CONV_2D": 0, "FULLY_CONNECTED": 0}


def compute_with_codes(graph: Graph) -> bool:
    """Convolutions and matrix products of constant int8 codes read the codes themselves. Whether any does now.

    Left as they are (weights stored as codes, computed in float): products of the columns of a table, an input of the model
    of rank 2 and few columns, for columns of unlike magnitude would share one scale a row; weights whose zero point is not 0.
    """
    edges = CodedEdges(graph)
    for op in list(graph.ops):
        codes = edges.codes(op.inputs[1]) if op.kind in _HYBRID else None
        if codes is None or not _is_fitting(edges, op, codes):
            continue
        edges.read(op, 1, codes)
        if op.kind == "FULLY_CONNECTED":
            op.options["asymmetric_quantize_inputs"] = True
        edges.changed = True
    return edges.sweep()


def compute_with_nibbles(graph: Graph) -> bool:
    """FULLY_CONNECTED of constant codes from -8 to 7 reads them as int4, two in a byte. Whether any does now.

    It quantizes its activations while it runs, as with int8. No other operator of LiteRT 2.3 takes int4 fast: CONV_2D twice
    the time of float at batch 1, a DEQUANTIZE of int4 keeps XNNPACK from the operator behind it.
    """
    edges = CodedEdges(graph)
    made: dict[Tensor, Tensor] = {}
    for op in list(graph.ops):
        codes = edges.codes(op.inputs[1]) if op.kind == "FULLY_CONNECTED" else None
        if codes is None or codes.data is None or not _is_fitting(edges, op, codes):
            continue
        if codes.data.min() < -8 or codes.data.max() > 7 or codes.data.size % 2:
            continue
        narrow = Tensor(codes.name, "int4", codes.shape, codes.data, codes.quantization)
        edges.read(op, 1, made.setdefault(codes, narrow))
        op.options["asymmetric_quantize_inputs"] = True
        edges.changed = True
    return edges.sweep()


def has_nibbles(graph: Graph) -> bool:
    """Whether any constant is int4."""
    return any(tensor.dtype == "int4" for one in (graph, *graph.subgraphs()) for tensor in one.tensors())


def _is_fitting(edges: CodedEdges, op: Op, codes: Tensor) -> bool:
    given, grid = op.inputs[0], codes.quantization
    if given is None or given.dtype != "float32" or given.data is not None or edges.codes(given) is not None:
        return False
    if codes.data is None or codes.dtype != "int8" or grid is None or np.any(grid.zero_point):
        return False
    if grid.per_channel and grid.axis != _HYBRID[op.kind]:
        return False
    if op.kind == "CONV_2D" and given.shape[-1] != codes.shape[-1]:
        return False  # groups: no hybrid kernel
    return not _is_table(edges.graph, given)


def _is_table(graph: Graph, tensor: Tensor) -> bool:
    return (
        graph.name == "main" and tensor in graph.inputs and len(tensor.shape) == 2 and tensor.shape[1] <= _MOST_COLUMNS
    )
