"""What the tree operators of ai.onnx.ml make of the sums: labels, pairs of scores, post transforms.

Mirrors ONNX Runtime 1.31 (`tree_ensemble_aggregator.h`, `ml_common.h`), which the specification leaves open.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.forests.forest import Forest
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.values import Value

Array = NDArray[Any]
#: TreeEnsemble of ai.onnx.ml 5 numbers them.
_NUMBERED = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")


def finished(node: Node, forest: Forest, sums: Value) -> list[Value | None]:
    """The outputs of a tree operator, whose sums `[batch, n_targets]` are given. node: with its kind and what is left."""
    kind = node.attr("kind", "")
    given = node.attr("post_transform", "NONE")
    transform = _NUMBERED[given] if isinstance(given, int) else str(given)
    if kind != "TreeEnsembleClassifier":
        return [post_transformed(node, sums, transform)]
    labels, scores = classified(node, forest, sums, transform)
    return [labels if node.wants(0) else None, scores if node.wants(1) else None]


def post_transformed(node: Node, scores: Value, transform: str) -> Value:
    """NONE, LOGISTIC, SOFTMAX or SOFTMAX_ZERO of each row. PROBIT is refused: TFLite has no inverse error function."""
    low = node.low
    if transform == "NONE":
        return scores
    if transform == "LOGISTIC":
        return low.op("Sigmoid", scores)
    if transform == "SOFTMAX":
        return low.op("Softmax", scores, axis=-1)
    if transform == "SOFTMAX_ZERO":
        # zeros stay zero and have no part in the sum
        zero = np.zeros((), np.float32)
        there = low.op("Cast", low.op("Not", low.op("Equal", scores, zero)), to=1)
        largest = low.op("ReduceMax", scores, np.array([-1]), keepdims=1)
        powers = low.op("Mul", low.op("Exp", low.op("Sub", scores, largest)), there)
        total = low.op("ReduceSum", powers, np.array([-1]), keepdims=1)
        safe = low.op("Where", low.op("Equal", total, zero), np.ones((), np.float32), total)
        return low.op("Div", powers, safe)
    raise node.refuse(f"its post_transform is {transform}")


def classified(node: Node, forest: Forest, sums: Value, transform: str) -> tuple[Value, Value]:
    """(labels [batch], scores [batch, classes]) of TreeEnsembleClassifier."""
    low = node.low
    labels = class_labels(node)
    spoken = {int(target) for target in np.unique(forest.target)} if (forest.target >= 0).all() else set(range(9))
    if len(labels) == 2 and len(spoken) == 1:
        only = low.op("Gather", sums, np.array([next(iter(spoken))]), axis=1)
        # weights that are all positive are probabilities of the second class, others its margin
        positive = bool((forest.values >= 0).all())
        limit = np.array(0.5 if positive else 0.0, np.float32)
        second = low.op("Cast", low.op("Greater", only, limit), to=7)
        place = low.op("Squeeze", second, np.array([1]))
        first = low.op("Sub", np.ones((), np.float32), only) if positive else low.op("Neg", only)
        if transform == "PROBIT":
            raise node.refuse("its post_transform is PROBIT")
        pair = low.op("Concat", first, only, axis=1)
        return label_of(node, place, labels), low.op(
            "Sigmoid", pair
        ) if transform == "LOGISTIC" and not positive else pair
    if len(labels) == 1:
        raise node.refuse("it has a single class")
    if len(labels) == 2:
        # not the larger score: ONNX Runtime holds the second against a fixed number
        limit = np.array(0.5 if (forest.values >= 0).all() else 0.0, np.float32)
        second = low.op("Gather", sums, np.array([1]), axis=1)
        place = low.op("Squeeze", low.op("Cast", low.op("Greater", second, limit), to=7), np.array([1]))
    else:
        place = low.op("ArgMax", sums, axis=1, keepdims=0)
    return label_of(node, place, labels), post_transformed(node, sums, transform)


def class_labels(node: Node) -> Array:
    """The labels of a classifier of ai.onnx.ml: int64, or texts."""
    numbers = node.attr("classlabels_int64s") or node.attr("classlabels_ints")
    if numbers:
        return np.array(numbers, np.int64)
    return np.array(node.attr("classlabels_strings", []), object)


def label_of(node: Node, place: Value, labels: Array) -> Value:
    """The label at each place."""
    if labels.dtype.kind == "i" and np.array_equal(labels, np.arange(len(labels))):
        return place
    return node.low.op("Gather", labels, place, axis=0)
