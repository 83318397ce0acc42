"""Padding that the operator behind it can do itself, or that XNNPACK can do."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.edges import Edges, is_plain
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor

#: Operators whose result is never below 0.
_POSITIVE = frozenset({"ABS", "EXP", "LOGISTIC", "RELU", "RELU6", "SOFTMAX", "SQRT", "SQUARE"})
#: Operators whose result is made of elements of their inputs.
_PASSING = frozenset({"CONCATENATION", "MAX_POOL_2D", "RESHAPE", "TRANSPOSE"})


def merge_padding(graph: Graph) -> bool:
    """PAD and a convolution without padding become one with SAME where that pads just as much.

    PADV2 with the lowest number in front of a maximum pool becomes PAD where nothing is below 0: XNNPACK has PAD alone.
    Two PADs become one. Whether anything changed.
    """
    edges, changed = Edges(graph), False
    for op in list(graph.ops):
        before = edges.maker(op.inputs[0]) if op.inputs else None
        if before is None or before.inputs[0] is None or edges.is_removed(op):
            continue
        if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D") and before.kind == "PAD":
            changed |= _to_same(edges, before, op)
        elif op.kind == "PAD" and before.kind == "PAD":
            changed |= _add_up(edges, before, op)
        elif op.kind == "MAX_POOL_2D" and before.kind == "PADV2":
            changed |= _to_zeros(edges, before, op)
    return edges.sweep() or changed


def _to_same(edges: Edges, pad: Op, conv: Op) -> bool:
    table, whole = _pads(pad), pad.inputs[0]
    if table is None or whole is None or edges.sole_reader(pad.output) is not conv or not is_plain(pad):
        return False
    if conv.options.get("padding") != "VALID" or conv.inputs[1] is None or table[0].any() or table[3].any():
        return False
    for axis, letter in ((1, "h"), (2, "w")):
        stride = int(conv.options[f"stride_{letter}"])
        reach = (conv.inputs[1].shape[axis] - 1) * int(conv.options[f"dilation_{letter}_factor"]) + 1
        size = whole.shape[axis]
        if size < 0 and stride > 1:
            return False
        total = reach - 1 if stride == 1 else max((-(-size // stride) - 1) * stride + reach - size, 0)
        if tuple(table[axis]) != (total // 2, total - total // 2):
            return False
    edges.read(conv, 0, whole)
    edges.remove(pad)
    conv.options["padding"] = "SAME"
    return True


def _add_up(edges: Edges, first: Op, second: Op) -> bool:
    one, two = _pads(first), _pads(second)
    if one is None or two is None or edges.sole_reader(first.output) is not second:
        return False
    if first.inputs[0] is None or second.inputs[1] is None or one.shape != two.shape:
        return False
    if not is_plain(first) or not is_plain(second):
        return False
    edges.read(second, 0, first.inputs[0])
    edges.read(second, 1, Tensor(second.inputs[1].name, "int32", second.inputs[1].shape, (one + two).astype(np.int32)))
    edges.remove(first)
    return True


def _to_zeros(edges: Edges, pad: Op, pool: Op) -> bool:
    value, table = pad.inputs[2], _pads(pad)
    if value is None or value.data is None or table is None or edges.sole_reader(pad.output) is not pool:
        return False
    filters = (int(pool.options["filter_height"]), int(pool.options["filter_width"]))
    if not is_plain(pad) or any((table[axis + 1] >= size).any() for axis, size in enumerate(filters)):
        return False  # a window may lie in the padding alone
    if value.data.reshape(-1)[0] > 0 or not _is_positive(edges, pad.inputs[0], 8):
        return False
    edges.read(pad, 2, None)
    pad.kind = "PAD"
    del pad.inputs[2]
    return True


def _is_positive(edges: Edges, tensor: Tensor | None, depth: int) -> bool:
    """Whether no element of a tensor can be below 0, as far as up to `depth` operators before it tell."""
    maker = edges.maker(tensor)
    if maker is None or depth == 0:
        return False
    if maker.kind in _POSITIVE or maker.options.get("fused_activation_function") in ("RELU", "RELU6"):
        return True
    if maker.kind not in _PASSING:
        return False
    sources = maker.inputs if maker.kind == "CONCATENATION" else maker.inputs[:1]
    return all(_is_positive(edges, source, depth - 1) for source in sources)


def _pads(op: Op) -> np.ndarray | None:
    table = op.inputs[1]
    return None if table is None else table.data
