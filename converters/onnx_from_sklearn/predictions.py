"""What predictors share: their input as one float64 tensor, and labels out of scores and probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction
from mlpack_edge.converters.onnx_from_sklearn.scope import Estimator, Scope, pick_label
from mlpack_edge.converters.onnx_graph import Array, Value
from mlpack_edge.converters.tensor import Tensor, beside, tensor


def features(scope: Scope, frame: Frame) -> Tensor:
    """The rows `[batch, features]` in float64, which holds every float32 exactly."""
    return tensor(scope.graph, frame.dense(scope.graph, "float64"))


def result_dtype(frame: Frame, *fitted: Any) -> str:
    """The float dtype numpy gives to an operation between the input and fitted arrays."""
    dtype = np.result_type(np.dtype(frame.dtype), *(np.asarray(array).dtype for array in fitted))
    return str(dtype) if dtype in (np.float32, np.float64) else "float64"


def answered_dtype(estimator: Estimator, frame: Frame, method: str = "predict_proba") -> str:
    """The float dtype in which a method of the estimator answers rows of this dtype: asked of it, with one row.

    A step behind it may magnify what the rounding takes away (a calibrator, one minus a probability next to 1).
    """
    if frame.dtype != "float32":
        return "float64"
    answer = getattr(estimator, method)(np.zeros((1, frame.width), np.float32))
    return "float32" if answer.dtype == np.float32 else "float64"


def dense_array(array: Any) -> Array:
    """A fitted array in float64, also where it was made sparse."""
    return np.asarray(array.toarray() if hasattr(array, "toarray") else array).astype(np.float64)


def linear(scope: Scope, frame: Frame, coef: Any, intercept: Any) -> Tensor:
    """x @ coef.T + intercept: `[batch]` for a 1-D coef, else `[batch, len(coef)]`.

    Summed in float64 and rounded to float32 where the library computes in float32.
    """
    weights = dense_array(coef)
    flat = weights.ndim == 1
    table = np.ascontiguousarray((weights[None, :] if flat else weights).T)
    x = features(scope, frame)
    summed = x @ table
    offset = np.broadcast_to(np.asarray(intercept, np.float64).reshape(1, -1), (1, table.shape[1]))
    if offset.any():
        summed = summed + offset
    dtype = "float32" if not hasattr(coef, "toarray") and result_dtype(frame, coef) == "float32" else "float64"
    rounded = summed.rounded(dtype)
    return rounded.vector() if flat else rounded


def label_above(scope: Scope, scores: Tensor, classes: Any, threshold: float = 0.0) -> Value:
    """classes[1] where the scores `[batch]` exceed the threshold, else classes[0]."""
    index = (scores.vector() > threshold).cast("int64")
    return pick_label(scope.graph, index.name, classes)


def label_highest(scope: Scope, scores: Tensor, classes: Any) -> Value:
    """The class of the highest score, the first one on a tie."""
    return pick_label(scope.graph, scores.argmax().name, classes)


def both_sides(probability: Tensor) -> Tensor:
    """[1 - p, p] for p `[batch]`."""
    column = probability.column()
    return beside([1.0 - column, column])


def normalised(probabilities: Tensor, count: int) -> Tensor:
    """Rows divided by their sums; 1 / count everywhere in rows of zeros."""
    total = probabilities.sum()
    empty = total.equals(0.0)
    return empty.where(1.0 / count, probabilities / empty.where(1.0, total))


def classification(
    scope: Scope, estimator: Estimator, probabilities: Tensor | None, scores: Tensor | None = None
) -> Prediction:
    """A classifier that takes the class with the highest probability, or, where it has none, the highest score."""
    decisive = probabilities if probabilities is not None else scores
    assert decisive is not None
    classes = estimator.classes_
    label = label_highest(scope, decisive, classes) if decisive.rank == 2 else label_above(scope, decisive, classes)
    return Prediction(
        label=label,
        probabilities=probabilities.value(len(classes)) if probabilities is not None else None,
        scores=scores.value(len(classes)) if scores is not None else None,
    )


def regression(value: Tensor, width: int | None = None) -> Prediction:
    """A regression: `[batch]`, or `[batch, width]`."""
    return Prediction(value=value.value(width))


def inlier(scope: Scope, inside: Tensor) -> Value:
    """+1 where bool `[batch]` holds, else -1: what outlier detectors predict."""
    table = np.array([-1, 1], np.int64)
    return pick_label(scope.graph, inside.vector().cast("int64").name, table)
