"""Scalers, imputers and linear models of ai.onnx.ml, as converters of others write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.forests.results import class_labels, label_of, post_transformed
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.values import Value

Array = NDArray[Any]


def _real(node: Node) -> Value:
    """The first input as float32."""
    x = node.input(0)
    return x if x.dtype == "float32" else node.low.op("Cast", x, to=onnx.TensorProto.FLOAT)


def scaler(node: Node) -> Value:
    """Scaler-1: (x - offset) * scale, one number or one a column."""
    offset = np.array(node.attr("offset", [0.0]), np.float32)
    scale = np.array(node.attr("scale", [1.0]), np.float32)
    return node.low.op("Mul", node.low.op("Sub", _real(node), offset), scale)


def imputer(node: Node) -> Value:
    """Imputer-1: the value of the column where x is the replaced value (NaN for NaN)."""
    x = node.input(0)
    kind = "float" if node.has("imputed_value_floats") else "int64"
    values = np.array(node.attr(f"imputed_value_{kind}s", []), np.dtype(x.dtype))
    replaced = node.attr(f"replaced_value_{kind}", 0)
    width = x.shape[-1] if x.rank else 1
    if not len(values) or (len(values) != 1 and len(values) != width):
        raise node.refuse(f"it has {len(values)} values for {width} columns")
    if isinstance(replaced, float) and np.isnan(replaced):
        missing = node.low.op("IsNaN", x)
    else:
        missing = node.low.op("Equal", x, np.array(replaced, np.dtype(x.dtype)))
    return node.low.op("Where", missing, values, x)


def normalizer(node: Node) -> Value:
    """Normalizer-1: each row over its largest number (MAX), sum of absolutes (L1) or length (L2); rows of 0 stay."""
    x, norm = _real(node), node.attr("norm", "MAX")
    axes = np.array([-1], np.int64)
    low = node.low
    if norm == "MAX":
        size = low.op("ReduceMax", x, axes, keepdims=1)
    elif norm == "L1":
        size = low.op("ReduceSum", low.op("Abs", x), axes, keepdims=1)
    elif norm == "L2":
        size = low.op("Sqrt", low.op("ReduceSum", low.op("Mul", x, x), axes, keepdims=1))
    else:
        raise node.refuse(f"its norm is {norm!r}")
    safe = low.op("Where", low.op("Equal", size, np.zeros((), np.float32)), np.ones((), np.float32), size)
    return low.op("Div", x, safe)


def _scores(node: Node, outputs: int) -> Value:
    """x @ coefficients + intercepts, [batch, outputs]."""
    coefficients = np.array(node.attr("coefficients", []), np.float32).reshape(outputs, -1)
    intercepts = np.array(node.attr("intercepts", [0.0] * outputs), np.float32)
    x = _real(node)
    if x.rank == 1:
        x = node.low.op("Unsqueeze", x, np.array([0], np.int64))
    if x.shape[1] != coefficients.shape[1]:
        raise node.refuse(f"it has {coefficients.shape[1]} coefficients for {x.shape[1]} columns")
    return node.low.op("Gemm", x, np.ascontiguousarray(coefficients.T), intercepts)


def linear_regressor(node: Node) -> Value:
    """LinearRegressor-1."""
    return post_transformed(node, _scores(node, int(node.attr("targets", 1))), str(node.attr("post_transform", "NONE")))


def linear_classifier(node: Node) -> list[Value | None]:
    """LinearClassifier-1, as ONNX Runtime runs it (`linear_classifier.cc`)."""
    labels = class_labels(node)
    transform = str(node.attr("post_transform", "NONE"))
    outputs = len(node.attr("intercepts", [])) or max(1, len(labels))
    scores = _scores(node, outputs)
    low = node.low
    if outputs == 1 and len(labels) == 2:
        # the probability of the second class under LOGISTIC, its margin otherwise
        limit = np.array(0.0, np.float32)
        second = low.op("Squeeze", low.op("Cast", low.op("Greater", scores, limit), to=7), np.array([1], np.int64))
        if transform not in ("NONE", "LOGISTIC"):
            raise node.refuse(f"its post_transform is {transform} on a single score")
        pair = low.op("Concat", low.op("Neg", scores), scores, axis=1)
        return [label_of(node, second, labels), low.op("Sigmoid", pair) if transform == "LOGISTIC" else pair]
    if outputs == 1:
        raise node.refuse(f"it has one score for {len(labels)} labels")
    place = low.op("ArgMax", scores, axis=1, keepdims=0)
    return [label_of(node, place, labels), post_transformed(node, scores, transform)]


OPERATORS = {
    "ai.onnx.ml:Scaler": scaler,
    "ai.onnx.ml:Imputer": imputer,
    "ai.onnx.ml:Normalizer": normalizer,
    "ai.onnx.ml:LinearRegressor": linear_regressor,
    "ai.onnx.ml:LinearClassifier": linear_classifier,
}
