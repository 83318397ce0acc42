"""Multi-layer perceptrons, in the dtype of their weights."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction
from mlpack_edge.converters.onnx_from_sklearn.predictions import (
    both_sides,
    label_above,
    label_highest,
    regression,
    result_dtype,
)
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.tensor import Tensor, tensor


def _activated(scope: Scope, estimator: Estimator, name: str, x: Tensor) -> Tensor:
    if name == "identity":
        return x
    if name == "relu":
        return x.most(0.0)
    if name == "tanh":
        return x.tanh()
    if name == "logistic":
        return x.sigmoid()
    if name == "softmax":
        return x.softmax()
    raise scope.refuse(estimator, f"the activation {name!r} has no converter")


def _forward(scope: Scope, estimator: Estimator, frame: Frame) -> Tensor:
    """BaseMultilayerPerceptron._forward_pass_fast."""
    dtype = result_dtype(frame, *estimator.coefs_)
    made = tensor(scope.graph, frame.dense(scope.graph, dtype))
    layers = list(zip(estimator.coefs_, estimator.intercepts_, strict=True))
    for index, (weights, offsets) in enumerate(layers):
        last = index == len(layers) - 1
        made = made @ np.ascontiguousarray(weights) + np.asarray(offsets)[None, :]
        made = _activated(scope, estimator, estimator.out_activation_ if last else estimator.activation, made)
    return made


def perceptron_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """MLPClassifier; with several labels a row, 0 or 1 in each column above one half."""
    made = _forward(scope, estimator, frame)
    binarizer = estimator._label_binarizer
    if binarizer.y_type_.startswith("multilabel"):
        count = int(estimator.n_outputs_)
        return Prediction(label=(made > 0.5).cast("int64").value(count), probabilities=made.value(count))
    if estimator.n_outputs_ == 1:
        label = label_above(scope, made, estimator.classes_, 0.5)
        return Prediction(label=label, probabilities=both_sides(made.vector()).value(2))
    return Prediction(
        label=label_highest(scope, made, estimator.classes_), probabilities=made.value(len(estimator.classes_))
    )


def perceptron_regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """MLPRegressor."""
    made = _forward(scope, estimator, frame)
    return regression(made.vector() if estimator.n_outputs_ == 1 else made, int(estimator.n_outputs_))


CONVERTERS: dict[str, Converter] = {
    "sklearn.neural_network.MLPClassifier": perceptron_classifier,
    "sklearn.neural_network.MLPRegressor": perceptron_regressor,
}
