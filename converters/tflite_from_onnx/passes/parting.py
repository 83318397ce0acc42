"""A matrix product whose result is cut into pieces becomes a product for each piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.passes.edges import Edges, is_plain
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor

Columns = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some columns of the product, as they lie in `tensor`."""

    tensor: Tensor
    columns: Columns


def part_products(graph: Graph) -> bool:
    """FULLY_CONNECTED with constant weights, read by slices and splits of its columns alone: queries, keys and values.

    Needs operators in running order; reshapes may lie between. Whether any was parted.
    """
    edges = Edges(graph)
    made: dict[Op, list[Op]] = {}
    for op in graph.ops:
        if op.kind != "FULLY_CONNECTED" or not is_plain(op) or not _is_constant(op):
            continue
        pieces = _pieces(edges, op.output, np.arange(op.output.shape[-1]), 1)
        if not pieces or sum(piece.columns.size for piece in pieces) > op.output.shape[-1]:
            continue
        if not all(_can_be_made(op, piece) for piece in pieces):
            continue
        made[op] = [one for piece in pieces for one in _product(op, piece)]
    if not made:
        return False
    gone = {tensor for parts in made.values() for part in parts for tensor in part.outputs}
    ops: list[Op] = []
    for op in graph.ops:
        if op in made:
            ops.extend(made[op])
        elif not any(tensor in gone for tensor in op.outputs):
            ops.append(op)
    graph.ops[:] = ops
    return True


def _is_constant(op: Op) -> bool:
    weights, bias = op.inputs[1], op.inputs[2] if len(op.inputs) > 2 else None
    return weights is not None and weights.data is not None and (bias is None or bias.data is not None)


def _can_be_made(op: Op, piece: _Piece) -> bool:
    """Whether a product, and a reshape to a constant shape if there has to be one, give the piece."""
    shape = piece.tensor.shape
    return shape == _part_shape(op, piece) or sum(size < 0 for size in shape) <= 1


def _part_shape(op: Op, piece: _Piece) -> tuple[int, ...]:
    return (*op.output.shape[:-1], piece.columns.size)


def _pieces(edges: Edges, tensor: Tensor, columns: Columns, trailing: int) -> list[_Piece] | None:
    """The pieces into which all readers cut a tensor; columns: which of the product lie in its last `trailing` axes.

    None where somebody reads the whole of it.
    """
    if tensor in edges.outputs:
        return None
    found: list[_Piece] = []
    for reader in dict.fromkeys(edges.readers(tensor)):
        if reader.inputs.count(tensor) != 1:
            return None
        if reader.kind == "RESHAPE":
            shape = _trailing(reader.output.shape, columns.size)
            if sum(size < 0 for size in reader.output.shape) > 1:
                return None  # which of its open sizes is which cannot be told
            inner = None if shape is None else _pieces(edges, reader.output, columns.reshape(shape), len(shape))
        elif reader.kind == "STRIDED_SLICE":
            inner = _sliced(reader, columns, trailing)
        elif reader.kind in ("SPLIT", "SPLIT_V"):
            inner = _split(reader, columns, trailing)
        else:
            return None
        if inner is None:
            return None
        found.extend(inner)
    return found


def _trailing(shape: tuple[int, ...], size: int) -> tuple[int, ...] | None:
    """The last sizes of a shape that make up `size`."""
    for start in range(len(shape) - 1, -1, -1):
        if shape[start] < 0:
            return None
        if int(np.prod(shape[start:])) == size:
            return shape[start:]
    return None


def _sliced(op: Op, columns: Columns, trailing: int) -> list[_Piece] | None:
    tensor, *bounds = op.inputs
    if tensor is None or any(bound is None or bound.data is None for bound in bounds):
        return None
    options = op.options
    if options.get("ellipsis_mask") or options.get("new_axis_mask") or options.get("shrink_axis_mask"):
        return None
    begin, end, step = (bound.data for bound in bounds if bound is not None)
    cuts = []
    for axis, size in enumerate(tensor.shape):
        whole = _cut(begin, end, step, options, axis)
        if axis >= len(tensor.shape) - trailing:
            cuts.append(whole)
        elif whole != slice(None, None, 1) and (size < 0 or range(size)[whole] != range(size)):
            return None
    picked = columns[tuple(cuts)]
    return [_Piece(op.output, picked)] if picked.size else None


def _cut(begin: Any, end: Any, step: Any, options: dict[str, Any], axis: int) -> slice:
    first = None if options.get("begin_mask", 0) >> axis & 1 or int(begin[axis]) == 0 else int(begin[axis])
    last = None if options.get("end_mask", 0) >> axis & 1 else int(end[axis])
    return slice(first, last, int(step[axis]))


def _split(op: Op, columns: Columns, trailing: int) -> list[_Piece] | None:
    axis, value = (op.inputs[0], op.inputs[1]) if op.kind == "SPLIT" else (op.inputs[2], op.inputs[0])
    if axis is None or axis.data is None or value is None:
        return None
    rank = len(value.shape)
    place = int(axis.data.reshape(-1)[0]) % rank - (rank - trailing)
    widths = [output.shape[place + rank - trailing] for output in op.outputs]
    if place < 0 or sum(widths) != columns.shape[place] or min(widths) <= 0:
        return None
    parts = np.split(columns, np.cumsum(widths)[:-1], place)
    return [_Piece(output, part) for output, part in zip(op.outputs, parts, strict=True)]


def _product(op: Op, piece: _Piece) -> list[Op]:
    """The product of some columns, in the shape its readers have."""
    chosen = piece.columns.reshape(-1)
    weights, bias = op.inputs[1], op.inputs[2] if len(op.inputs) > 2 else None
    assert weights is not None
    inputs = [op.inputs[0], _chosen(weights, chosen), None if bias is None else _chosen(bias, chosen)]
    shape = _part_shape(op, piece)
    if shape == piece.tensor.shape:
        return [Op(op.kind, inputs, [piece.tensor], dict(op.options))]
    whole = Tensor("", op.output.dtype, shape)
    target = np.array(piece.tensor.shape, np.int32)
    reshape = Op("RESHAPE", [whole, Tensor("", "int32", target.shape, target)], [piece.tensor], {"new_shape": target})
    return [Op(op.kind, inputs, [whole], dict(op.options)), reshape]


def _chosen(tensor: Tensor, rows: Columns) -> Tensor:
    assert tensor.data is not None
    content = np.ascontiguousarray(tensor.data[rows])
    return Tensor(tensor.name, tensor.dtype, content.shape, content)
