"""Encoders of ai.onnx.ml: values looked up in tables, and columns chosen. Texts are codes here already (`texts/`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value

Array = NDArray[Any]

#: Keys that are whole numbers in a range of at most so many are looked up without comparing.
_MOST_DENSE = 4096


def label_encoder(node: Node) -> Value:
    """LabelEncoder-2 and -4: the value of the key that x equals (NaN equals NaN), else the default."""
    x = node.input(0)
    keys, values = _given(node, "keys"), _given(node, "values")
    if keys is None or values is None or len(keys) != len(values):
        raise node.refuse("its keys and values are not as many as each other")
    default = _given(node, "default")
    if default is None:
        default = np.array([-1 if values.dtype.kind == "i" else -0.0], values.dtype)
    # of equal keys the first counts
    _, first = np.unique(keys.astype(np.float64) if keys.dtype.kind == "f" else keys, return_index=True)
    keys, values = keys[np.sort(first)], values[np.sort(first)]
    rows = np.concatenate([default.reshape(-1)[:1].astype(values.dtype), values])
    place = place_of(node, x, keys)
    return node.low.op("Gather", rows, place, axis=0)


def place_of(node: Node, x: Value, keys: Array) -> Value:
    """1 + the place of the key that x equals, 0 where it equals none; int32, of the shape of x."""
    low = node.low
    if x.dtype in ("int32", "int64", "int8", "uint8", "int16") or x.dtype == "bool":
        whole = keys.astype(np.int64)
        if len(whole) and whole.min() >= 0 and whole.max() < _MOST_DENSE:
            return _dense_place(node, x, whole)
    flat = low.tensor(x)
    shape = (*x.shape, 1)
    wide = low.reshape(flat, shape)
    count = len(keys)
    dtype = "float32" if x.dtype in ("float32", "float64") else x.dtype
    tests = keys.astype(np.dtype(dtype))
    lost = (tests.astype(np.float64) != keys) & ~np.isnan(keys) if dtype == "float32" else np.zeros(0, np.bool_)
    if lost.any():
        raise node.refuse(f"its key {keys[lost][0]!r} is no float32 number, and TFLite compares in float32")
    spread = (*x.shape, count)
    hit = low.emit("EQUAL", [wide, tests.reshape((1,) * x.rank + (count,))], "bool", spread)
    if dtype == "float32" and np.isnan(tests).any():
        missing = low.emit("NOT_EQUAL", [wide, wide], "bool", shape)
        on = np.isnan(tests).reshape((1,) * x.rank + (count,))
        hit = low.emit("LOGICAL_OR", [hit, low.emit("LOGICAL_AND", [missing, on], "bool", spread)], "bool", spread)
    number = low.emit("CAST", [hit], "int32", spread, in_data_type="bool", out_data_type="int32")
    numbers = np.arange(1, count + 1, dtype=np.int32).reshape((1,) * x.rank + (count,))
    weighted = low.emit("MUL", [number, numbers], "int32", spread)
    return low.emit_value("SUM", [weighted, np.array([x.rank], np.int32)], Spec("int32", x.shape), keep_dims=False)


def _dense_place(node: Node, x: Value, keys: Array) -> Value:
    """Keys in a small range are places of a table; what is outside goes to one of its ends."""
    low = node.low
    table = np.zeros(int(keys.max()) + 3, np.int32)
    table[keys + 1] = np.arange(1, len(keys) + 1)
    ends = np.array(-1, np.int64), np.array(len(table) - 2, np.int64)
    wide = x if x.dtype == "int64" else low.op("Cast", x, to=onnx.TensorProto.INT64)
    inside = low.op("Add", low.op("Clip", wide, *ends), np.array(1, np.int64))
    return low.op("Gather", table, inside, axis=0)


def _given(node: Node, what: str) -> Array | None:
    """Keys, values or the default, from whichever attribute holds them."""
    if node.has(f"{what}_tensor"):
        return np.asarray(node.attr(f"{what}_tensor")).reshape(-1)
    for kind, dtype in (("int64", np.int64), ("float", np.float32)):
        found = node.attr(f"{what}_{kind}s") if what != "default" else node.attr(f"default_{kind}")
        if found is not None:
            return np.asarray(found, dtype).reshape(-1)
    return None


def one_hot_encoder(node: Node) -> Value:
    """OneHotEncoder-1: x [..] -> [.., categories], float32; refused where an unknown category is an error."""
    x = node.input(0)
    if not node.attr("zeros", 1):
        raise node.refuse("zeros=0 makes unknown categories an error, and TFLite raises none")
    keys = np.asarray(node.attr("cats_int64s", []), np.int64)
    if not len(keys):
        raise node.refuse("it has no categories")
    rows = np.vstack([np.zeros(len(keys)), np.eye(len(keys))]).astype(np.float32)
    # ONNX Runtime casts floats to int64 first
    whole = node.low.op("Cast", x, to=onnx.TensorProto.INT64) if x.dtype in ("float32", "float64") else x
    made = node.low.op("Gather", rows, place_of(node, whole, keys), axis=0)
    if len(x.shape) == 2 and x.shape[1] == 1:
        return node.low.op("Reshape", made, np.array([-1, 1, len(keys)], np.int64))
    return made


def array_feature_extractor(node: Node) -> Value:
    """ArrayFeatureExtractor-1: entries along the last axis; a vector counts as one row."""
    x, places = node.input(0), node.low.op("Reshape", node.input(1), np.array([-1], np.int64))
    if x.rank == 1:
        x = node.low.op("Unsqueeze", x, np.array([0], np.int64))
    return node.low.op("Gather", x, places, axis=-1)


def feature_vectorizer(node: Node) -> Value:
    """FeatureVectorizer-1: the inputs [batch, width] one beside the other, as float32."""
    widths = [int(width) for width in node.attr("inputdimensions", [])]
    parts = []
    for place, value in enumerate(node.inputs):
        if value is None or value.rank > 2 or place >= len(widths):
            raise node.refuse("an input of it is no [batch, width]")
        if value.rank == 1:
            value = node.low.op("Unsqueeze", value, np.array([1], np.int64))
        if value.shape[1] != widths[place]:
            raise node.refuse(f"input {place} has {value.shape[1]} columns where it takes {widths[place]}")
        parts.append(value if value.dtype == "float32" else node.low.op("Cast", value, to=onnx.TensorProto.FLOAT))
    return parts[0] if len(parts) == 1 else node.low.op("Concat", *parts, axis=1)


def binarizer(node: Node) -> Value:
    """Binarizer-1: 1 where x > threshold, else 0."""
    x = node.input(0)
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(x.dtype))
    limit = np.array(node.attr("threshold", 0.0), np.dtype(x.dtype))
    return node.low.op("Cast", node.low.op("Greater", x, limit), to=kind)


OPERATORS = {
    "ai.onnx.ml:LabelEncoder": label_encoder,
    "ai.onnx.ml:OneHotEncoder": one_hot_encoder,
    "ai.onnx.ml:ArrayFeatureExtractor": array_feature_extractor,
    "ai.onnx.ml:FeatureVectorizer": feature_vectorizer,
    "ai.onnx.ml:Binarizer": binarizer,
}
