"""Compute once what is computed twice."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.edges import Edges
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Quantization, Tensor

#: Operators that do not give the same for the same inputs, or keep a state.
_OWN = frozenset({
    "ASSIGN_VARIABLE", "CALL_ONCE", "IF", "MULTINOMIAL", "RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM", "READ_VARIABLE",
    "VAR_HANDLE", "WHILE",
})  # fmt: skip


def merge_duplicates(graph: Graph) -> bool:
    """Constants of equal content become one tensor, operators of equal kind, inputs and options one operator.

    An output of the graph stays a tensor of its own. Whether any operator was dropped.
    """
    edges = Edges(graph)
    _merge_constants(edges)
    seen: dict[Any, Op] = {}
    for op in list(graph.ops):
        key = _key(op)
        if key is None:
            continue
        first = seen.setdefault(key, op)
        if first is op or any(tensor in edges.outputs for tensor in op.outputs):
            continue
        for mine, theirs in zip(op.outputs, first.outputs, strict=True):
            edges.redirect(mine, theirs)
        edges.remove(op)
    return edges.sweep()


def _merge_constants(edges: Edges) -> None:
    known: dict[Any, Tensor] = {}
    for op in edges.graph.ops:
        for place, tensor in enumerate(op.inputs):
            if tensor is None or tensor.data is None or tensor.variable or tensor in edges.borders:
                continue
            digest = hashlib.sha256(np.ascontiguousarray(tensor.data).tobytes()).digest()
            one = known.setdefault((tensor.dtype, tensor.shape, digest, _scales(tensor.quantization)), tensor)
            if one is not tensor:
                edges.read(op, place, one)


def _scales(quantization: Quantization | None) -> Any:
    if quantization is None:
        return None
    return (quantization.scale.tobytes(), quantization.zero_point.tobytes(), quantization.axis)


def _key(op: Op) -> Any:
    """What tells an operator's results; None where its inputs and options do not."""
    if op.kind in _OWN or any(tensor is not None and tensor.variable for tensor in op.inputs):
        return None
    if any(isinstance(value, Graph) for value in op.options.values()):
        return None
    outputs = tuple((tensor.dtype, tensor.shape, _scales(tensor.quantization)) for tensor in op.outputs)
    options = tuple(sorted((name, np.asarray(value).tolist().__repr__()) for name, value in op.options.items()))
    return (op.kind, tuple(id(tensor) for tensor in op.inputs), options, outputs)
