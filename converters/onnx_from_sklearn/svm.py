"""Support vector machines as libsvm computes them: in float64, a decision for each pair of classes."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction
from mlpack_edge.converters.onnx_from_sklearn.distances import distances
from mlpack_edge.converters.onnx_from_sklearn.predictions import (
    dense_array,
    features,
    inlier,
    label_highest,
    regression,
)
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope, pick_label
from mlpack_edge.converters.onnx_graph import Array
from mlpack_edge.converters.tensor import Tensor, beside, loop

#: An error in the exponent of the RBF kernel below which the faster road to its distances is taken.
_NEGLIGIBLE = 1e-11


def kernel_of(scope: Scope, estimator: Estimator, frame: Frame) -> Tensor:
    """The kernel between the rows and the support vectors, `[batch, support vectors]`."""
    name, vectors = estimator.kernel, dense_array(estimator.support_vectors_)
    if not isinstance(name, str) or name == "precomputed":
        raise scope.refuse(estimator, "its kernel is " + ("precomputed" if isinstance(name, str) else "a function"))
    x, gamma = features(scope, frame), float(estimator._gamma)
    if name == "rbf":
        return (_squares(scope, x, vectors, gamma) * -gamma).exp()
    dot = x @ np.ascontiguousarray(vectors.T)
    if name == "linear":
        return dot
    affine = dot * gamma + float(estimator.coef0)
    if name == "sigmoid":
        return affine.tanh()
    return affine ** float(estimator.degree) if estimator.degree != 2 else affine * affine


def _squares(scope: Scope, x: Tensor, vectors: Array, gamma: float) -> Tensor:
    """Squared distances. libsvm takes differences; the matrix product is much faster, and as good where rows centred
    on the support vectors keep its rounding out of the exponent (a row far from all vectors has a kernel of 0 anyway).
    """
    center = vectors.mean(axis=0, keepdims=True) if len(vectors) else np.zeros((1, vectors.shape[1]))
    spread = float(((vectors - center) ** 2).sum(axis=1).max(initial=0.0))
    if gamma * 16 * np.finfo(np.float64).eps * spread < _NEGLIGIBLE:
        return distances(scope, x - center, vectors - center, "sqeuclidean")
    return distances(scope, x, vectors, "sqeuclidean", direct=True)


def support_regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """SVR and NuSVR."""
    return regression(_single(scope, estimator, frame).vector())


def _single(scope: Scope, estimator: Estimator, frame: Frame) -> Tensor:
    weights = np.ascontiguousarray(dense_array(estimator._dual_coef_).T)
    return kernel_of(scope, estimator, frame) @ weights + float(estimator._intercept_[0])


def one_class(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """OneClassSVM: +1 where the decision is above 0."""
    scores = _single(scope, estimator, frame).vector()
    return Prediction(label=inlier(scope, scores > 0.0), scores=scores.value())


def _pair_weights(estimator: Estimator) -> Array:
    """The weight of each support vector in the decision of each pair of classes i < j, `[support vectors, pairs]`."""
    coef = dense_array(estimator._dual_coef_)
    ends = np.cumsum(estimator._n_support)
    count, columns = len(estimator.classes_), []
    for i, j in combinations(range(count), 2):
        column = np.zeros(coef.shape[1])
        own, other = (
            slice(ends[i] - estimator._n_support[i], ends[i]),
            slice(ends[j] - estimator._n_support[j], ends[j]),
        )
        column[own], column[other] = coef[j - 1, own], coef[i, other]
        columns.append(column)
    return np.ascontiguousarray(np.array(columns).T)


def support_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """SVC and NuSVC: a vote of the pairs; with `break_ties` the highest score; probabilities after Platt and Wu."""
    classes, count = estimator.classes_, len(estimator.classes_)
    pairs = kernel_of(scope, estimator, frame) @ _pair_weights(estimator)
    pairs = pairs + np.asarray(estimator._intercept_, np.float64)[None, :]
    probabilities = _probabilities(scope, estimator, pairs) if len(estimator._probA) else None
    shown = probabilities.value(count) if probabilities is not None else None
    if count == 2:
        scores = -pairs.vector()
        label = pick_label(scope.graph, (scores >= 0.0).cast("int64").name, classes)
        return Prediction(label, shown, scores.value())
    places = np.array(list(combinations(range(count), 2)))
    first, second = np.eye(count)[places[:, 0]], np.eye(count)[places[:, 1]]
    for_first = (pairs > 0.0).cast("float64")
    votes = for_first @ first + (1.0 - for_first) @ second
    # sklearn.utils.multiclass._ovr_decision_function: a decision of exactly 0 counts for the first class here.
    agreed = (pairs >= 0.0).cast("float64")
    confidence = pairs @ (first - second)
    shape = confidence / ((confidence.abs() + 1.0) * 3.0)
    by_class = agreed @ first + (1.0 - agreed) @ second + shape
    if estimator.break_ties and estimator.decision_function_shape == "ovr":
        label = label_highest(scope, by_class, classes)
    else:
        label = label_highest(scope, votes, classes)
    if estimator.decision_function_shape == "ovr":
        return Prediction(label, shown, by_class.value(count))
    return Prediction(label, shown, pairs.value(len(places)))


def _probabilities(scope: Scope, estimator: Estimator, pairs: Tensor) -> Tensor:
    """libsvm's svm_predict_probability: a sigmoid for each pair, then `multiclass_probability` (its method 2 of Wu,
    Lin and Weng, 2004), stopped at the same error as there.
    """
    count = len(estimator.classes_)
    slope, offset = np.asarray(estimator._probA, np.float64), np.asarray(estimator._probB, np.float64)
    first = (-(pairs * slope[None, :] + offset[None, :])).sigmoid().clip(1e-7, 1.0 - 1e-7)
    second = 1.0 - first
    against: dict[tuple[int, int], Tensor] = {}
    for place, (i, j) in enumerate(combinations(range(count), 2)):
        against[i, j], against[j, i] = first.take([place]), second.take([place])
    matrix: list[list[Tensor]] = []
    for t in range(count):
        own = [against[j, t] ** 2 for j in range(count) if j != t]
        total = beside(own).sum() if len(own) > 1 else own[0]
        matrix.append([total if j == t else -(against[j, t] * against[t, j]) for j in range(count)])
    rows = [beside(row) for row in matrix]
    start = first.take([0]) * 0.0 + np.full((1, count), 1.0 / count)
    limit = 0.005 / count

    def step(shares: Tensor) -> tuple[Tensor, Tensor]:
        products = beside([(row * shares).sum() for row in rows])
        total = (shares * products).sum()
        active = (products - total).abs().max() >= limit
        moved = shares
        for t in range(count):
            change = (total - products.take([t])) / matrix[t][t]
            scale = 1.0 + change
            total = (total + change * (change * matrix[t][t] + 2.0 * products.take([t]))) / scale / scale
            products = (products + change * rows[t]) / scale
            moved = (moved + change * np.eye(count)[t][None, :]) / scale
        going = active.cast("float64").sum(axis=0) > 0.0
        return active.where(moved, shares), going

    return loop(scope.graph, max(100, count), start, step)


CONVERTERS: dict[str, Converter] = {
    "sklearn.svm.SVC": support_classifier,
    "sklearn.svm.NuSVC": support_classifier,
    "sklearn.svm.SVR": support_regressor,
    "sklearn.svm.NuSVR": support_regressor,
    "sklearn.svm.OneClassSVM": one_class,
}
