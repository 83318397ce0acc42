"""TfIdfVectorizer of integers: every n-gram of the pool is looked for at every place."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.indices import recast
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, constant

#: So many numbers are compared at most, for each row.
_MOST_COMPARED = 1 << 22


def tf_idf_vectorizer(node: Node) -> Value:
    """TfIdfVectorizer-9 of rows `[batch, length]` or one row `[length]`, of integers whose number is known."""
    value, low = node.input(0), node.low
    if value.dtype not in ("int32", "int64"):
        raise node.refuse(f"it takes {value.dtype}, and TFLite has no operators on text")
    length = value.shape[-1]
    if not isinstance(length, int):
        raise node.refuse(f"the length {length} of its rows is known only when the model runs", "fix it with --shape")
    indexes = np.array(node.attr("ngram_indexes"), np.int64)
    width = int(indexes.max()) + 1
    rows = value if value.rank == 2 else low.op("Unsqueeze", value, np.array([0], np.int64))
    total: Value = constant("", np.zeros((1, width), np.float32))
    for grams, own in _grams(node, indexes):
        size = grams.shape[1]
        if not node.attr("min_gram_length") <= size <= node.attr("max_gram_length"):
            continue
        # more skips of a single number are the same places again, which count once
        for skip in range(node.attr("max_skip_count") + 1 if size > 1 else 1):
            starts = np.arange(length - (size - 1) * (skip + 1))
            if len(starts):
                places = starts[:, None] + np.arange(size) * (skip + 1)
                total = low.op("Add", total, _counted(node, rows, places, grams, own, width))
    made = _weighed(node, total, indexes, width)
    shape = (width,) if value.rank == 1 else (value.shape[0], width)
    if total.array is not None and value.rank == 2:
        zeros = low.op("Mul", recast(low, low.op("Slice", rows, *_first_column()), "float32"), np.zeros(1, np.float32))
        made = low.op("Add", zeros, made)
    if value.rank == 1:
        made = low.op("Reshape", made, np.array([width], np.int64))
    return low.value(low.tensor(made), Spec("float32", shape))


def _first_column() -> list[np.ndarray]:
    return [np.array([number], np.int64) for number in (0, 1, 1)]


def _grams(node: Node, indexes: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The n-grams `[number, n]` of each n, and the column of each."""
    pool = np.array(node.attr("pool_int64s", []), np.int64)
    starts = [*node.attr("ngram_counts"), len(pool)]
    made, taken = [], 0
    for size, (start, end) in enumerate(pairwise(starts), start=1):
        grams = pool[start:end].reshape(-1, size)
        made.append((grams, indexes[taken : taken + len(grams)]))
        taken += len(grams)
    return [(grams, own) for grams, own in made if len(grams)]


def _counted(
    node: Node, rows: Value, places: np.ndarray, grams: np.ndarray, own: np.ndarray, width: int
) -> Value:  # fmt: skip
    """How often each n-gram stands at one of the places `[windows, n]`: float32 `[batch, width]`."""
    low = node.low
    windows, size = places.shape
    if windows * grams.size > _MOST_COMPARED:
        raise node.refuse(f"it looks for {len(grams)} n-grams at {windows} places")
    seen = low.op("Gather", rows, places, axis=1)  # [batch, windows, n]
    seen = low.op("Unsqueeze", seen, np.array([2], np.int64))
    wanted = grams.astype(rows.dtype).reshape(1, 1, len(grams), size)
    hits = recast(low, low.op("Equal", seen, wanted), "float32")
    whole = low.op("ReduceMin", hits, np.array([3], np.int64), keepdims=0)  # [batch, windows, n-grams]
    counts = low.op("ReduceSum", whole, np.array([1], np.int64), keepdims=0)
    columns = np.zeros((len(grams), width), np.float32)
    columns[np.arange(len(grams)), own] = 1
    return low.op("MatMul", counts, columns)


def _weighed(node: Node, total: Value, indexes: np.ndarray, width: int) -> Value:
    mode = node.attr("mode")
    if mode == "TF":
        return total
    weights = np.ones(width, np.float32)
    if node.has("weights"):
        weights[indexes] = np.array(node.attr("weights"), np.float32)
    if mode == "IDF":
        total = node.low.op("Min", total, np.ones(1, np.float32))
    elif mode != "TFIDF":
        raise node.refuse(f"the mode {mode!r} is none of TF, IDF and TFIDF")
    return node.low.op("Mul", total, weights)


OPERATORS = {
    "TfIdfVectorizer": tf_idf_vectorizer,
}
