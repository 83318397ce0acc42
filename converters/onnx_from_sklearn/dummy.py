"""Estimators that do not look at their input. What they draw at random cannot be reproduced and is refused."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.onnx_graph import Array, Value
from mlpack_edge.core.errors import Unsupported


def repeated(scope: Scope, frame: Frame, row: Array) -> Value:
    """`row` `[width]` once for each row of the batch."""
    graph = scope.graph
    array = np.asarray(row).reshape(1, -1)
    dtype = "string" if array.dtype.kind in "OUS" else str(array.dtype)
    batch = graph.op("Shape", frame.blocks[0].value, start=0, end=1)
    shape = graph.op("Concat", batch, graph.const(np.array([array.shape[1]], np.int64)), axis=0)
    constant = graph.const(array, "string" if dtype == "string" else None)
    if dtype == "string":  # ONNX Runtime has no Expand of strings
        places = graph.op("Expand", graph.const(np.arange(array.shape[1], dtype=np.int64).reshape(1, -1)), shape)
        flat = graph.op("Reshape", constant, graph.const(np.array([-1], np.int64)))
        return Value(graph.op("Gather", flat, places), dtype, array.shape[1])
    return Value(graph.op("Expand", constant, shape), dtype, array.shape[1])


def _labels(chosen: list[object]) -> Array:
    """Labels as numpy would tile them, integers and floats at full width."""
    array = np.asarray(chosen)
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    if array.dtype.kind == "f":
        return array.astype(np.float64)
    if array.dtype.kind == "O" and not all(isinstance(label, str) for label in chosen):
        raise Unsupported("class labels of mixed type")
    return array


def dummy_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """DummyClassifier with the strategies "prior", "most_frequent" and "constant"."""
    strategy = estimator.strategy
    if strategy not in ("prior", "most_frequent", "constant"):
        raise scope.refuse(estimator, f"strategy={strategy!r} draws its answers at random")
    single = estimator.n_outputs_ == 1
    classes = [estimator.classes_] if single else list(estimator.classes_)
    priors = [estimator.class_prior_] if single else list(estimator.class_prior_)
    if strategy == "constant":
        constants = np.asarray(estimator.constant, dtype=object).ravel().tolist()
        chosen = [int(np.flatnonzero(known == label)[0]) for known, label in zip(classes, constants, strict=True)]
    else:
        chosen = [int(np.argmax(prior)) for prior in priors]
    label = repeated(scope, frame, _labels([known[place] for known, place in zip(classes, chosen, strict=True)]))
    if not single:
        return Prediction(label=label)
    row = np.asarray(priors[0], np.float64) if strategy == "prior" else np.eye(len(classes[0]))[chosen[0]]
    return Prediction(label=scope.graph.vector(label), probabilities=repeated(scope, frame, row))


def dummy_regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """DummyRegressor: a constant found at fitting."""
    value = repeated(scope, frame, np.asarray(estimator.constant_, np.float64).ravel())
    return Prediction(value=scope.graph.vector(value) if estimator.n_outputs_ == 1 else value)


CONVERTERS: dict[str, Converter] = {
    "sklearn.dummy.DummyClassifier": dummy_classifier,
    "sklearn.dummy.DummyRegressor": dummy_regressor,
}
