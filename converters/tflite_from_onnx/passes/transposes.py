"""Transposes that undo one another, and those in front of weights that can be transposed instead."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.edges import Edges, is_plain
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor


def merge_transposes(graph: Graph) -> bool:
    """A TRANSPOSE behind a TRANSPOSE reads what that reads; both go where nothing is moved in the end."""
    edges, changed = Edges(graph), False
    for op in list(graph.ops):
        if op.kind != "TRANSPOSE":
            continue
        before = edges.maker(op.inputs[0])
        if before is None or before.kind != "TRANSPOSE" or before.inputs[0] is None:
            continue
        first, second = _perm(before), _perm(op)
        if first is None or second is None or op.inputs[1] is None:
            continue
        both = tuple(first[axis] for axis in second)
        edges.read(op, 0, before.inputs[0])
        edges.read(op, 1, replace(op.inputs[1], data=np.array(both, np.int32), dtype="int32"))
        changed = True
        if both == tuple(range(len(both))):
            edges.bypass(op)
    return edges.sweep() or changed


def flatten_channels_last(graph: Graph) -> bool:
    """TRANSPOSE, RESHAPE to `[N, K]`, FULLY_CONNECTED: the columns of the weights are permuted instead.

    The flattened tensor then holds no ONNX value any more, and loses its name.
    """
    edges, changed = Edges(graph), False
    for op in list(graph.ops):
        before = edges.maker(op.inputs[0]) if op.kind == "RESHAPE" and (is_plain(op) or _is_int8(op)) else None
        if before is None or before.kind != "TRANSPOSE" or before.inputs[0] is None:
            continue
        perm, moved, flat = _perm(before), before.output, op.output
        if perm is None or perm[0] != 0 or flat in edges.outputs or any(size < 0 for size in moved.shape[1:]):
            continue
        if len(flat.shape) != 2 or flat.shape != (moved.shape[0], math.prod(moved.shape[1:])):
            continue
        readers = edges.readers(flat)
        if not readers or not all(_can_permute(edges, reader, flat) for reader in readers):
            continue
        for reader in readers:
            holder, place, weights = _stored(edges, reader)
            assert weights is not None and weights.data is not None
            cube = weights.data.reshape(weights.shape[0], *moved.shape[1:])
            back = np.argsort(perm)  # from the axes of the transposed tensor to those of what is transposed
            kept = np.ascontiguousarray(cube.transpose(back).reshape(weights.shape))
            edges.read(holder, place, Tensor(weights.name, weights.dtype, weights.shape, kept, weights.quantization))
        edges.read(op, 0, before.inputs[0])
        flat.name = ""
        changed = True
    return changed


def _is_int8(op: Op) -> bool:
    return op.output.dtype == "int8" and op.output.quantization is not None


def _stored(edges: Edges, reader: Op) -> tuple[Op, int, Tensor | None]:
    """Who reads the constant weights of a product, and where: itself, or the DEQUANTIZE that it alone reads."""
    maker = edges.maker(reader.inputs[1])
    if maker is None or maker.kind != "DEQUANTIZE" or edges.sole_reader(maker.output) is not reader:
        return reader, 1, reader.inputs[1]
    return maker, 0, maker.inputs[0]


def _can_permute(edges: Edges, reader: Op, flat: Tensor) -> bool:
    if reader.kind != "FULLY_CONNECTED":
        return False
    holder, _, weights = _stored(edges, reader)
    return (
        weights is not None
        and weights.data is not None
        and (holder is not reader or weights.dtype == flat.dtype)
        and reader.inputs[0] is flat
        and reader.inputs.count(flat) == 1
        and (weights.quantization is None or not weights.quantization.per_channel or weights.quantization.axis == 0)
        and weights.shape[1] == flat.shape[1]
    )


def _perm(op: Op) -> tuple[int, ...] | None:
    perm = op.inputs[1]
    return None if perm is None or perm.data is None else tuple(int(axis) for axis in perm.data)
