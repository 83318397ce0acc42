"""Missing values: filled in, or shown.

A missing value is NaN in numbers and MISSING_TEXT in text, where a tensor of strings has no other sign for it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlpack_edge.converters.frame import Block, Frame, frame_of
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.onnx_graph import Value
from mlpack_edge.converters.tensor import Tensor, beside, const, tensor
from mlpack_edge.core.signature import MISSING_TEXT


def missing_mask(scope: Scope, estimator: Estimator, value: Value) -> Tensor:
    """Where `value` `[batch, width]` is missing (sklearn.utils._mask._get_mask), bool.

    Raises Unsupported for the marker pandas.NA, and for None in numbers, which no tensor holds.
    """
    marker = estimator.missing_values
    x = tensor(scope.graph, value)
    is_nan = (isinstance(marker, float) and math.isnan(marker)) or (marker is None and value.dtype == "string")
    if not is_nan and not isinstance(marker, str | int | float | np.number):
        raise scope.refuse(estimator, f"missing_values={marker!r}; use NaN, which text columns understand, too")
    if value.dtype == "string":
        if is_nan or isinstance(marker, str):
            wanted = const(scope.graph, np.full((1, 1), MISSING_TEXT if is_nan else marker, object))
            return Tensor(scope.graph, scope.graph.op("Equal", x.name, wanted.name), "bool")
        return _never(x)
    if isinstance(marker, str):
        return _never(x)
    if is_nan:
        return x.is_nan() if np.dtype(value.dtype).kind == "f" else _never(x)
    # a Python number takes the dtype of the column (NEP 50), one of numpy does not
    kept = x.dtype == "float32" and not isinstance(marker, np.float64)
    whole = np.dtype(x.dtype).kind in "iu" and float(marker).is_integer()
    return x.equals(marker) if kept or whole else x.cast("float64").equals(float(marker))


def _never(x: Tensor) -> Tensor:
    """False everywhere; only used on dtypes without NaN."""
    return ~Tensor(x.graph, x.graph.op("Equal", x.name, x.name), "bool")


def simple_imputer(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """SimpleImputer.transform, the indicator columns included; text columns stay apart from numbers."""
    graph = scope.graph
    if not frame.is_text:
        dtype = frame.dtype
        if estimator.strategy not in ("most_frequent", "constant"):  # mean, median or a function of the user's
            dtype = "float32" if dtype == "float32" else "float64"
        frame = frame_of(frame.dense(graph, dtype), frame.names)
    masks = [missing_mask(scope, estimator, block.value) for block in frame.blocks]
    statistics = list(estimator.statistics_)
    kept = [index for index, number in enumerate(statistics) if estimator.keep_empty_features or not _is_nan(number)]
    blocks = []
    start = 0
    for block, mask in zip(frame.blocks, masks, strict=True):
        inner = [index - start for index in kept if start <= index < start + len(block.names)]
        if inner:
            fill = _fill(scope, estimator, block, [statistics[start + index] for index in inner])
            value = graph.gather_columns(block.value, inner)
            chosen = mask if len(inner) == len(block.names) else mask.take(inner)
            made = graph.op("Where", chosen.name, fill, value)
            blocks.append(Block(Value(made, value.dtype, len(inner)), tuple(block.names[index] for index in inner)))
        start += len(block.names)
    if estimator.add_indicator and len(estimator.indicator_.features_):
        shown = beside(masks).take(estimator.indicator_.features_)
        if not frame.is_text:
            shown = shown.cast(blocks[0].value.dtype)
        width = len(estimator.indicator_.features_)
        blocks.append(Block(shown.value(width), tuple(f"missing{index}" for index in estimator.indicator_.features_)))
    if not blocks:
        raise scope.refuse(estimator, "it gives no column; no feature had a value when it was fitted")
    if not frame.is_text:
        return frame_of(graph.concat([block.value for block in blocks]))
    return Frame(tuple(blocks))


def _fill(scope: Scope, estimator: Estimator, block: Block, numbers: list[Any]) -> str:
    """The constants `[1, width]` that stand in for what is missing, in the dtype of the column."""
    if block.value.dtype == "string":
        texts = [MISSING_TEXT if _is_nan(item) else item for item in numbers]
        odd = [item for item in texts if not isinstance(item, str)]
        if odd:
            raise scope.refuse(estimator, f"it fills a text column with {odd[0]!r}, which is no text")
        return scope.graph.const(np.array([texts], object), "string")
    if any(isinstance(item, str) for item in numbers):
        raise scope.refuse(estimator, f"it fills the column {block.names[0]!r} of {block.value.dtype} with text")
    return scope.graph.const(np.array([numbers], np.float64 if _floats(numbers) else None), block.value.dtype)


def _floats(numbers: list[Any]) -> bool:
    return any(isinstance(item, float | np.floating) for item in numbers)


def _is_nan(item: Any) -> bool:
    return isinstance(item, float | np.floating) and math.isnan(item)


def missing_indicator(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """MissingIndicator.transform, bool: the columns that had missing values when it was fitted, or all.

    Where scikit-learn raises (error_on_new, a value missing in another column), this says nothing of that column.
    """
    if len(estimator.features_) == 0:
        raise scope.refuse(estimator, "it gives no column; nothing was missing when it was fitted")
    if not frame.is_text:
        frame = frame_of(frame.dense(scope.graph), frame.names)
    mask = beside([missing_mask(scope, estimator, block.value) for block in frame.blocks])
    features = list(range(frame.width)) if estimator.features == "all" else list(estimator.features_)
    return frame_of(mask.take(features).value(len(features)))


def iterative_imputer(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """Refused: each row goes through rounds of fitted regressors, which a graph would have to hold one by one."""
    raise scope.refuse(estimator, "it imputes in rounds of regressions; use SimpleImputer, or impute before")


CONVERTERS: dict[str, Converter] = {
    "sklearn.impute.SimpleImputer": simple_imputer,
    "sklearn.impute.MissingIndicator": missing_indicator,
    "sklearn.impute.IterativeImputer": iterative_imputer,
}
