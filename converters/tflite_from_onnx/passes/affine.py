"""A scale and a shift for each channel go into the weights before or behind them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.passes.edges import Edges, is_plain
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor

Array = NDArray[np.float64]
#: Operators with weights at input 1 and a bias at input 2 -> the axis of the weights on which the outputs lie.
_WEIGHTED = {"CONV_2D": 0, "CONV_3D": 4, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}
#: Weights that several operators share are copied up to this many bytes.
_COPIED = 1 << 18
#: A shift goes into a bias up to this size: the product has to cancel the bias again, to 2^-24 of it (a column of a
#: table may lie at 1e6 with a spread of 1).
_MOST_CANCELLED = 64.0
#: Operators that leave the last axis as it is.
_KEEPING = frozenset({"EXPAND_DIMS", "RESHAPE", "SQUEEZE", "STRIDED_SLICE"})


def fold_affine_after(graph: Graph) -> bool:
    """MUL, DIV, ADD or SUB with a constant for each channel goes into the convolution or matrix product before it.

    Needs constant weights and that nobody else reads its result; BatchNormalization behind a convolution is two of
    these. Whether any was folded.
    """
    edges = Edges(graph)
    for op in list(graph.ops):
        found = _affine(op)
        if found is None:
            continue
        tensor, scale, shift = found
        place = op.inputs.index(tensor)
        route = _to_weights(edges, op, place, scale, shift)
        if route is None:
            continue
        source, scale, shift, passed = route
        if place:
            op.inputs.reverse()
        if not edges.bypass(op):
            continue
        _fold_behind(edges, source, scale, shift)
        for other in passed:
            other.name = ""  # it no longer holds the value before the scale
    return edges.sweep()


def _affine(op: Op) -> tuple[Tensor, Array, Array] | None:
    """(x, scale, shift) where `op` is x * scale + shift with constants of rank 0 or for the last axis alone."""
    if op.kind not in ("MUL", "DIV", "ADD", "SUB") or not is_plain(op):
        return None
    a, b = op.inputs
    assert a is not None and b is not None
    x, c = (a, b) if b.data is not None else (b, a)
    if c.data is None or x.data is not None or x.shape != op.output.shape or not x.shape:
        return None
    if c.data.size != 1 and (c.shape[-1] != c.data.size or c.shape[-1] != x.shape[-1]):
        return None
    if len(c.shape) > len(x.shape):
        return None
    number: Array = c.data.astype(np.float64).reshape(-1)
    one, zero = np.ones_like(number), np.zeros_like(number)
    if op.kind == "MUL":
        return x, number, zero
    if op.kind == "ADD":
        return x, one, number
    if op.kind == "SUB":
        return (x, one, -number) if x is a else (x, -one, number)
    return (x, 1 / number, zero) if x is a and number.all() else None


def _to_weights(
    edges: Edges, op: Op, place: int, scale: Array, shift: Array
) -> tuple[Op, Array, Array, list[Tensor]] | None:
    """The operator before `op` that has weights, scale and shift as its channels need them, and tensors on the way."""
    passed: list[Tensor] = []
    tensor, reader = op.inputs[place], op
    while True:
        maker = edges.maker(tensor)
        if tensor is None or maker is None or edges.sole_reader(tensor) is not reader or not is_plain(maker):
            return None
        if maker.kind in _WEIGHTED:
            return (maker, scale, shift, passed) if _foldable(edges, maker, scale) else None
        before = maker.inputs[0]
        if before is None:
            return None
        if maker.kind in ("TRANSPOSE", "BATCH_MATMUL"):
            if scale.size > 1 or (maker.kind == "BATCH_MATMUL" and shift.any()):
                return None
        elif maker.kind == "DEPTH_TO_SPACE":
            if scale.size > 1:
                times = int(maker.options["block_size"]) ** 2
                scale, shift = np.tile(scale, times), np.tile(shift, times)
        elif maker.kind not in _KEEPING:
            return None
        elif scale.size > 1 and before.shape[-1:] != maker.output.shape[-1:]:
            times, rest = divmod(before.shape[-1], scale.size)
            if maker.kind != "RESHAPE" or rest or before.shape[-1] < 0:
                return None
            scale, shift = np.tile(scale, times), np.tile(shift, times)
        tensor, reader = before, maker
        passed.append(before)


def _foldable(edges: Edges, op: Op, scale: Array) -> bool:
    weights = op.inputs[1]
    bias = op.inputs[2] if len(op.inputs) > 2 else None
    if weights is None or (bias is not None and bias.data is None) or weights.shape[_WEIGHTED[op.kind]] < 0:
        return False
    if scale.size not in (1, weights.shape[_WEIGHTED[op.kind]]):
        return False
    if (scale == 1).all():
        return True  # the weights stay as they are, whoever makes them
    return weights.data is not None and weights.dtype == "float32" and _is_cheap(edges, weights)


def _is_cheap(edges: Edges, weights: Tensor) -> bool:
    """Whether weights may be changed for one reader: nobody else reads them, or a copy is small."""
    assert weights.data is not None
    return len(edges.readers(weights)) == 1 or weights.data.nbytes <= _COPIED


def _fold_behind(edges: Edges, op: Op, scale: Array, shift: Array) -> None:
    weights, bias = op.inputs[1], op.inputs[2] if len(op.inputs) > 2 else None
    assert weights is not None
    axis = _WEIGHTED[op.kind]
    channels = weights.shape[axis]
    old = np.zeros(channels) if bias is None or bias.data is None else bias.data.astype(np.float64)
    if not (scale == 1).all():
        assert weights.data is not None
        along = [1] * weights.data.ndim
        along[axis] = scale.size
        _reweight(edges, op, weights.data * scale.reshape(along))
    _rebias(edges, op, np.broadcast_to(old * scale + shift, (channels,)))


def _reweight(edges: Edges, op: Op, content: Array) -> None:
    weights = op.inputs[1]
    assert weights is not None
    edges.read(op, 1, Tensor(weights.name, "float32", weights.shape, content.astype(np.float32)))


def _rebias(edges: Edges, op: Op, content: Array) -> None:
    name = op.inputs[2].name if len(op.inputs) > 2 and op.inputs[2] is not None else "bias"
    if len(op.inputs) < 3:
        op.inputs.append(None)
    edges.read(op, 2, Tensor(name, "float32", (content.size,), content.astype(np.float32)))


def fold_affine_before(graph: Graph) -> bool:
    """A scale and a shift of the last axis in front of matrix products and convolutions go into those.

    Padding lets a scale pass, not a shift. All who read the result must be such; the scale and shift of LayerNormalization are these. Whether any was folded.
    """
    edges = Edges(graph)
    for op in list(graph.ops):
        found = _affine(op)
        if found is None or op.output in edges.outputs:
            continue
        tensor, scale, shift = found
        readers = edges.readers(op.output)
        if not readers or not all(_takes(edges, reader, op.output, shift) for reader in readers):
            continue
        for reader in readers:
            _fold_in_front(edges, reader, scale, shift)
        after = op.output
        edges.remove(op)
        edges.redirect(after, tensor)
    return edges.sweep()


def _takes(edges: Edges, reader: Op, tensor: Tensor, shift: Array) -> bool:
    if reader.kind not in ("CONV_2D", "FULLY_CONNECTED") or reader.inputs.count(tensor) != 1:
        return False
    weights, bias = reader.inputs[1], reader.inputs[2] if len(reader.inputs) > 2 else None
    if reader.inputs[0] is not tensor or weights is None or weights.data is None or weights.dtype != "float32":
        return False
    if weights.quantization is not None or (bias is not None and (bias.data is None or bias.quantization is not None)):
        return False
    if reader.kind == "CONV_2D" and reader.options.get("padding") != "VALID" and shift.any():
        return False  # padding is zero, the shift of nothing is not
    if tensor.shape[-1] != weights.shape[-1] or not _is_cheap(edges, weights):
        return False
    moved = np.abs(weights.data.astype(np.float64) * shift).reshape(weights.shape[0], -1).sum(axis=1)
    return bool((moved <= _MOST_CANCELLED).all())


def _fold_in_front(edges: Edges, op: Op, scale: Array, shift: Array) -> None:
    weights, bias = op.inputs[1], op.inputs[2] if len(op.inputs) > 2 else None
    assert weights is not None and weights.data is not None
    content = weights.data.astype(np.float64)
    if shift.any():
        old = np.zeros(weights.shape[0]) if bias is None or bias.data is None else bias.data.astype(np.float64)
        _rebias(edges, op, old + (content * shift).reshape(weights.shape[0], -1).sum(axis=1))
    if not (scale == 1).all():
        _reweight(edges, op, content * scale)
