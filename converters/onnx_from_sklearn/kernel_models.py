"""What is predicted from a kernel with the fitted rows, and partial least squares, and the elliptic envelope."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction
from mlpack_edge.converters.onnx_from_sklearn.distances import distances
from mlpack_edge.converters.onnx_from_sklearn.kernels import kernel
from mlpack_edge.converters.onnx_from_sklearn.predictions import (
    classification,
    features,
    inlier,
    regression,
)
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.onnx_graph import Array
from mlpack_edge.converters.tensor import Tensor, const, taken, tensor


def _numbers(scope: Scope, frame: Frame) -> Tensor:
    """The rows in the float dtype they have, integers in float64."""
    dtype = frame.dtype if frame.dtype in ("float32", "float64") else "float64"
    return tensor(scope.graph, frame.dense(scope.graph, dtype))


def kernel_ridge(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """KernelRidge.predict, with the kernels of sklearn.metrics.pairwise."""
    if not isinstance(estimator.kernel, str) or estimator.kernel == "precomputed":
        raise scope.refuse(estimator, "its kernel is precomputed or a function")
    if hasattr(estimator.X_fit_, "toarray"):
        raise scope.refuse(estimator, "it was fitted on sparse rows")
    x = _numbers(scope, frame).value(frame.width)
    made = kernel(
        scope.graph, x, np.asarray(estimator.X_fit_), estimator.kernel, estimator.gamma, estimator.degree,
        estimator.coef0,
    )  # fmt: skip
    table = np.asarray(estimator.dual_coef_, np.float64)
    flat = table.ndim == 1
    value = tensor(scope.graph, made) @ np.ascontiguousarray(table.reshape(len(table), -1))
    return regression(value.vector() if flat else value, None if flat else table.shape[1])


def label_propagation(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """LabelPropagation and LabelSpreading: the label distributions of the fitted rows, weighted by the kernel."""
    spread = np.asarray(estimator.label_distributions_, np.float64)
    fitted = np.asarray(estimator.X_)
    if estimator.kernel == "rbf":
        x = _numbers(scope, frame).value(frame.width)
        weights = tensor(scope.graph, kernel(scope.graph, x, fitted, "rbf", estimator.gamma))
        shares = weights @ spread
    elif estimator.kernel == "knn":
        search = estimator.nn_fit
        reach = distances(
            scope, features(scope, frame), np.asarray(search._fit_X, np.float64), search.effective_metric_,
            direct=search._fit_method != "brute",
        )  # fmt: skip
        count = const(scope.graph, np.array([estimator.n_neighbors], np.int64))
        _, places = scope.graph.ops("TopK", 2, reach.name, count.name, axis=1, largest=0, sorted=1)
        shares = taken(scope.graph, spread, Tensor(scope.graph, places, "int64")).sum(axis=1, keep=False)
    else:
        raise scope.refuse(estimator, "its kernel is a function")
    return classification(scope, estimator, shares / shares.sum())


def _centred(scope: Scope, frame: Frame, mean: Array) -> Tensor:
    """`X -= mean` in place: float32 rows stay float32."""
    dtype = "float32" if frame.dtype == "float32" else "float64"
    return (features(scope, frame) - np.asarray(mean, np.float64)[None, :]).rounded(dtype)


def least_squares(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """PLSRegression, PLSCanonical and CCA: sklearn.cross_decomposition._pls._PLS.predict."""
    coef = np.ascontiguousarray(np.asarray(estimator.coef_, np.float64).T)
    value = _centred(scope, frame, estimator._x_mean) @ coef + np.asarray(estimator.intercept_, np.float64)[None, :]
    return regression(value.vector() if estimator._predict_1d else value, coef.shape[1])


def elliptic_envelope(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """EllipticEnvelope: the squared Mahalanobis distance against its offset."""
    centred = features(scope, frame) - np.asarray(estimator.location_, np.float64)[None, :]
    precision = np.ascontiguousarray(np.asarray(estimator.get_precision(), np.float64))
    scores = -(((centred @ precision) * centred).sum()) - float(estimator.offset_)
    return Prediction(label=inlier(scope, scores >= 0.0), scores=scores.vector().value())


_PLS = tuple(f"sklearn.cross_decomposition.{name}" for name in ("PLSRegression", "PLSCanonical", "CCA"))

CONVERTERS: dict[str, Converter] = {
    "sklearn.kernel_ridge.KernelRidge": kernel_ridge,
    "sklearn.semi_supervised.LabelPropagation": label_propagation,
    "sklearn.semi_supervised.LabelSpreading": label_propagation,
    "sklearn.covariance.EllipticEnvelope": elliptic_envelope,
    **dict.fromkeys(_PLS, least_squares),
}
