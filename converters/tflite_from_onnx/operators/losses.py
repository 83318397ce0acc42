"""Losses over classes: NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import unary
from mlpack_edge.converters.tflite_from_onnx.operators.normalization import floats
from mlpack_edge.converters.tflite_from_onnx.operators.reductions import reduced
from mlpack_edge.converters.tflite_from_onnx.operators.softmax import along
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, channels_last, constant, permuted


def negative_log_likelihood(node: Node) -> Value:
    """NegativeLogLikelihoodLoss-12 to -22: of log probabilities [N, C, ...] and classes [N, ...]."""
    return _loss(node, floats(node, node.input(0)), node.input(1), node.optional(2))


def softmax_cross_entropy(node: Node) -> list[Value]:
    """SoftmaxCrossEntropyLoss-12 and -13: of scores [N, C, ...]; also gives the log probabilities."""
    shares = along(node, "LOG_SOFTMAX", floats(node, node.input(0)), 1)
    return [_loss(node, shares, node.input(1), node.optional(2)), shares][: node.outputs]


def _loss(node: Node, shares: Value, target: Value, weights: Value | None) -> Value:
    """The share of each target's class is chosen with a one-hot condition: a class outside of [0, C) chooses none."""
    low, classes = node.low, shares.shape[1]
    if not isinstance(classes, int):
        raise node.refuse("the number of its classes is known only when the model runs", "fix it with --shape")
    weights = _weights(node, weights, classes)
    last = channels_last(shares.rank)
    spec = Spec("bool", permuted(shares.shape, last))
    hot = low.emit_value(
        "ONE_HOT",
        [low.tensor(_inside(node, target, classes)), np.array(classes, np.int32), np.array(True), np.array(False)],
        spec,
        axis=-1,
    )
    zero = np.zeros((), shares.dtype)
    moved = low.op("Transpose", shares, perm=list(last))
    parts = low.op("Where", hot, moved, zero)
    if weights is not None:
        parts = low.op("Mul", parts, weights)
    each = unary(node, "NEG", reduced(node, "SUM", parts, [parts.rank - 1], False))
    kind = str(node.attr("reduction", "mean"))
    if kind == "none":
        return each
    whole = _summed(node, each)
    if kind == "sum":
        return whole
    counted = low.op("Where", hot, constant("", np.ones(classes, shares.dtype)) if weights is None else weights, zero)
    return low.op("Div", whole, _summed(node, counted))


def _summed(node: Node, value: Value) -> Value:
    return reduced(node, "SUM", value, range(value.rank), False)


def _inside(node: Node, target: Value, classes: int) -> Value:
    """The classes as they are chosen by: the one that is ignored lies outside of all."""
    ignored = node.attr("ignore_index")
    if ignored is None or not 0 <= int(ignored) < classes:
        return target
    same = node.low.op("Equal", target, np.array(ignored, target.dtype))
    return node.low.op("Where", same, np.array(-1, target.dtype), target)


def _weights(node: Node, weights: Value | None, classes: int) -> Value | None:
    if weights is not None and weights.shape != (classes,):
        raise node.refuse(f"its weights have the shape {list(weights.shape)}, and there are {classes} classes")
    return weights


def determinant(node: Node) -> Value:
    """Det-11 and -22, expanded along the first row: exact for small matrices, and too long for large ones."""
    value = floats(node, node.input(0))
    size = value.shape[-1]
    if size not in (1, 2, 3, 4):
        raise node.refuse(f"TFLite has no determinant, and one of {size} rows would be too long written out")
    rows = _parts(node, value, value.rank - 2, size)
    entries = [_parts(node, row, row.rank - 1, size) for row in rows]
    return _minor(node, entries, list(range(size)))


def _parts(node: Node, value: Value, axis: int, number: int) -> list[Value]:
    return [node.low.op("Gather", value, np.array(place, np.int64), axis=axis) for place in range(number)]


def _minor(node: Node, rows: Sequence[Sequence[Value]], columns: Sequence[int]) -> Value:
    if len(columns) == 1:
        return rows[0][columns[0]]
    made: Value | None = None
    for place, column in enumerate(columns):
        rest = [other for other in columns if other != column]
        part = node.low.op("Mul", rows[0][column], _minor(node, rows[1:], rest))
        made = part if made is None else node.low.op("Sub" if place % 2 else "Add", made, part)
    assert made is not None
    return made


OPERATORS = {
    "NegativeLogLikelihoodLoss": negative_log_likelihood,
    "SoftmaxCrossEntropyLoss": softmax_cross_entropy,
    "Det": determinant,
}
