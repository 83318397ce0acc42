"""Encoders of categories: one-hot, ordinal, target means.

Where scikit-learn raises on an unknown category (handle_unknown="error"), a graph cannot: what is made of such a value
is NaN then, or the smallest number of an integer dtype, so that no score made of it can pass for one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.frame import Frame, frame_of
from mlpack_edge.converters.onnx_from_sklearn.categories import lookup, one_hot
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.onnx_graph import ONNX_TYPE
from mlpack_edge.converters.tensor import Tensor, beside, const, taken

Array = NDArray[Any]


def one_hot_encoder(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """OneHotEncoder.transform: drop, infrequent categories and every handle_unknown."""
    graph = scope.graph
    dtype = _dtype(scope, estimator)
    refused = _impossible(dtype) if estimator.handle_unknown == "error" else None
    parts = []
    widths = [int(width) for width in estimator._n_features_outs]
    for index, column in enumerate(frame.columns(graph)):
        if widths[index]:
            places, unknown = _one_hot_places(estimator, index, widths[index])
            code = lookup(graph, column, estimator.categories_[index], places, unknown)
            parts.append(one_hot(code, widths[index], dtype, refused))
    if not parts:
        raise scope.refuse(estimator, "it gives no column; every category is dropped")
    return frame_of(beside(parts).value(sum(widths)))


def _one_hot_places(estimator: Estimator, index: int, width: int) -> tuple[Array, int]:
    """(the output column of each category, that of an unknown one) as OneHotEncoder.transform works them out.

    `width` stands for no column, `width + 1` for what scikit-learn refuses.
    """
    codes = np.arange(len(estimator.categories_[index]))
    refuses = estimator.handle_unknown == "error"
    infrequent = None
    if estimator._infrequent_enabled and estimator._default_to_infrequent_mappings[index] is not None:
        mapping = estimator._default_to_infrequent_mappings[index]
        codes = mapping[codes]
        if estimator.handle_unknown in ("infrequent_if_exist", "warn"):
            infrequent = int(mapping[estimator._infrequent_indices[index][0]])
    dropped = None if estimator._drop_idx_after_grouping is None else estimator._drop_idx_after_grouping[index]

    def place(code: int) -> int:
        if dropped is None:
            return code
        return width if code == dropped else code - int(code > dropped)

    unknown = place(infrequent) if infrequent is not None else width + int(refuses)
    return np.array([place(int(code)) for code in codes], np.int64), unknown


def ordinal_encoder(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """OrdinalEncoder.transform: unknown_value, encoded_missing_value and infrequent categories."""
    dtype = _dtype(scope, estimator)
    made = []
    for index, column in enumerate(frame.columns(scope.graph)):
        codes = np.arange(len(estimator.categories_[index]))
        if estimator._infrequent_enabled and estimator._default_to_infrequent_mappings[index] is not None:
            mapping = np.asarray(estimator._default_to_infrequent_mappings[index])
            known = codes != estimator._missing_indices.get(index, -1)
            codes[known] = mapping[codes[known]]
        values = codes.astype(np.float64 if np.dtype(dtype).kind == "f" else np.int64)
        if index in estimator._missing_indices:
            values[estimator._missing_indices[index]] = estimator.encoded_missing_value
        default = estimator.unknown_value if estimator.handle_unknown == "use_encoded_value" else _impossible(dtype)
        made.append(lookup(scope.graph, column, estimator.categories_[index], values, default))
    return frame_of(beside(made).cast(dtype).value(len(made)))


def target_encoder(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """TargetEncoder.transform (not fit_transform, which cross-fits): the mean of an unknown category is the overall one.

    float64 `[batch, features]`, or `[batch, features * classes]` for a target of several classes.
    """
    made = []
    several = estimator.target_type_ == "multiclass"
    for index, column in enumerate(frame.columns(scope.graph)):
        categories = estimator.categories_[index]
        if not several:
            means = np.asarray(estimator.encodings_[index], np.float64)
            made.append(lookup(scope.graph, column, categories, means, float(estimator.target_mean_)))
            continue
        count = len(estimator.classes_)
        table = np.stack(estimator.encodings_[index * count : (index + 1) * count], axis=1)
        table = np.vstack([table, np.reshape(estimator.target_mean_, (1, -1))]).astype(np.float64)
        code = lookup(scope.graph, column, categories, np.arange(len(categories)), len(categories))
        made.append(taken(scope.graph, table, code.vector()))
    width = len(made) * (len(estimator.classes_) if several else 1)
    return frame_of(beside(made).value(width))


def k_bins_discretizer(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """KBinsDiscretizer.transform: the number of inner edges that a value reaches (np.searchsorted, side="right")."""
    dtype = "float32" if frame.dtype == "float32" else "float64"
    if estimator.dtype is not None:
        dtype = str(np.dtype(estimator.dtype))
    inner = [np.asarray(edges, np.float64)[1:-1] for edges in estimator.bin_edges_]
    # NaN fills the shorter rows: nothing reaches it.
    edges = np.full((1, len(inner), max([1, *(len(row) for row in inner)])), np.nan)
    for index, row in enumerate(inner):
        edges[0, index, : len(row)] = row
    value = scope.graph.cast(frame.dense(scope.graph, dtype), "float64")
    x = Tensor(scope.graph, value.name, value.dtype).reshape(-1, len(inner), 1)
    codes = (x >= const(scope.graph, edges)).cast("int64").sum(axis=2, keep=False)
    if estimator.encode == "ordinal":
        return frame_of(codes.cast(dtype).value(len(inner)))
    widths = [int(count) for count in estimator.n_bins_]
    parts = [one_hot(codes.take([index]), width, dtype) for index, width in enumerate(widths)]
    return frame_of(beside(parts).value(sum(widths)))


def _dtype(scope: Scope, estimator: Estimator) -> str:
    dtype = str(np.dtype(estimator.dtype))
    if dtype not in ONNX_TYPE or dtype in ("bool", "float16"):
        raise scope.refuse(estimator, f"dtype={estimator.dtype!r}: float64, float32 and integers have a converter")
    return dtype


def _impossible(dtype: str) -> float:
    return float("nan") if np.dtype(dtype).kind == "f" else int(np.iinfo(np.dtype(dtype)).min)


CONVERTERS: dict[str, Converter] = {
    "sklearn.preprocessing.OneHotEncoder": one_hot_encoder,
    "sklearn.preprocessing.OrdinalEncoder": ordinal_encoder,
    "sklearn.preprocessing.TargetEncoder": target_encoder,
    "sklearn.preprocessing.KBinsDiscretizer": k_bins_discretizer,
}
