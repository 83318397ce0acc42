"""Gaussian processes: the mean of the posterior, and for classification the Laplace approximation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction
from mlpack_edge.converters.onnx_from_sklearn.distances import distances
from mlpack_edge.converters.onnx_from_sklearn.predictions import both_sides, features, label_above, regression
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.onnx_graph import Array
from mlpack_edge.converters.tensor import Tensor, const
from mlpack_edge.core.errors import Unsupported

#: The weights of a posterior may be large and of both signs: distances are taken by differences, as scipy takes them.
Kernel = Any


def kernel_matrix(scope: Scope, kernel: Kernel, x: Tensor, y: Array) -> Tensor:
    """kernel(x, y) of sklearn.gaussian_process.kernels for rows x `[batch, features]`, float64 `[batch, len(y)]`.

    Raises Unsupported for a kernel of another kind, and for a Matern kernel whose nu is not .5, 1.5, 2.5 or infinite.
    """
    kind = type(kernel).__name__
    if kind == "Sum":
        return kernel_matrix(scope, kernel.k1, x, y) + kernel_matrix(scope, kernel.k2, x, y)
    if kind == "Product":
        return kernel_matrix(scope, kernel.k1, x, y) * kernel_matrix(scope, kernel.k2, x, y)
    if kind == "Exponentiation":
        return kernel_matrix(scope, kernel.kernel, x, y) ** float(kernel.exponent)
    if kind == "ConstantKernel":
        return const(scope.graph, [[float(kernel.constant_value)]])
    if kind == "WhiteKernel":
        return const(scope.graph, [[0.0]])
    if kind == "DotProduct":
        return x @ np.ascontiguousarray(y.T) + float(kernel.sigma_0) ** 2
    if kind in ("RBF", "Matern"):
        scale = np.atleast_1d(np.asarray(kernel.length_scale, np.float64))[None, :]
        return _stationary(scope, kernel, kind, x / scale, y / scale)
    if kind == "RationalQuadratic":
        squared = distances(scope, x, y, "sqeuclidean", direct=True)
        alpha, length = float(kernel.alpha), float(kernel.length_scale)
        return (squared / (2 * alpha * length**2) + 1.0) ** -alpha
    if kind == "ExpSineSquared":
        reach = distances(scope, x, y, "euclidean", direct=True)
        wave = reach * (math.pi / float(kernel.periodicity))
        sine = Tensor(scope.graph, scope.graph.op("Sin", wave.name), "float64")
        return ((sine / float(kernel.length_scale)) ** 2 * -2.0).exp()
    raise Unsupported(f"the kernel {kind} has no converter")


def _stationary(scope: Scope, kernel: Kernel, kind: str, x: Tensor, y: Array) -> Tensor:
    squared = distances(scope, x, y, "sqeuclidean", direct=True)
    nu = math.inf if kind == "RBF" else float(kernel.nu)
    if nu == math.inf:
        return (squared * -0.5).exp()
    reach = squared.sqrt()
    if nu == 0.5:
        return (-reach).exp()
    if nu == 1.5:
        scaled = reach * math.sqrt(3)
        return (scaled + 1.0) * (-scaled).exp()
    if nu == 2.5:
        scaled = reach * math.sqrt(5)
        return (scaled + 1.0 + scaled**2 / 3.0) * (-scaled).exp()
    raise Unsupported(f"a Matern kernel with nu={nu} needs the Bessel function, which ONNX does not have")


def prior_variance(kernel: Kernel, x: Tensor) -> Tensor:
    """kernel.diag(x), `[batch, 1]` or `[1, 1]`."""
    kind = type(kernel).__name__
    if kind == "Sum":
        return prior_variance(kernel.k1, x) + prior_variance(kernel.k2, x)
    if kind == "Product":
        return prior_variance(kernel.k1, x) * prior_variance(kernel.k2, x)
    if kind == "Exponentiation":
        return prior_variance(kernel.kernel, x) ** float(kernel.exponent)
    if kind == "DotProduct":
        return (x * x).sum() + float(kernel.sigma_0) ** 2
    if kind in ("ConstantKernel", "WhiteKernel"):
        number = kernel.constant_value if kind == "ConstantKernel" else kernel.noise_level
        return const(x.graph, [[float(number)]])
    return const(x.graph, [[1.0]])


def _full(x: Tensor, matrix: Tensor, count: int) -> Tensor:
    """A kernel of constants only is `[1, 1]`: repeat it for each row and each fitted row."""
    return matrix + (x.take([0]) * 0.0) @ np.zeros((1, count))


def process_regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """GaussianProcessRegressor.predict: the mean, Rasmussen and Williams (2006), algorithm 2.1 line 4."""
    if not hasattr(estimator, "X_train_"):
        raise scope.refuse(estimator, "it was not fitted: only its prior is there")
    fitted = _fitted_rows(scope, estimator)
    x = features(scope, frame)
    weights = np.asarray(estimator.alpha_, np.float64)
    table = weights.reshape(len(weights), -1)
    matrix = _full(x, kernel_matrix(scope, estimator.kernel_, x, fitted), len(fitted))
    scale = np.broadcast_to(np.asarray(estimator._y_train_std, np.float64), (table.shape[1],))[None, :]
    shift = np.broadcast_to(np.asarray(estimator._y_train_mean, np.float64), (table.shape[1],))[None, :]
    mean = (matrix @ np.ascontiguousarray(table)) * scale + shift
    return regression(mean.vector() if table.shape[1] == 1 else mean, table.shape[1])


def _fitted_rows(scope: Scope, estimator: Estimator) -> Array:
    if not estimator.kernel_.requires_vector_input:
        raise scope.refuse(estimator, "its kernel is over sequences or graphs")
    return np.asarray(estimator.X_train_, np.float64)


def laplace(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """Two classes: Rasmussen and Williams (2006), algorithm 3.2, with the integral of Williams and Barber."""
    from scipy.linalg import solve
    from sklearn.gaussian_process._gpc import COEFS, LAMBDAS

    x = features(scope, frame)
    fitted = _fitted_rows(scope, estimator)
    star = _full(x, kernel_matrix(scope, estimator.kernel_, x, fitted), len(fitted))
    mean = star @ np.asarray(estimator.y_train_ - estimator.pi_, np.float64).reshape(-1, 1)
    label = label_above(scope, mean, estimator.classes_)
    inverse = solve(np.asarray(estimator.L_, np.float64), np.diag(np.asarray(estimator.W_sr_, np.float64)))
    spread = star @ np.ascontiguousarray(inverse.T)
    variance = prior_variance(estimator.kernel_, x) - (spread * spread).sum()
    alpha = 1.0 / (variance * 2.0)
    total = mean * 0.0 + float(0.5 * np.sum(COEFS))
    for factor, weight in zip(LAMBDAS.ravel(), COEFS.ravel(), strict=True):
        inner = (mean * float(factor)) * (alpha / (alpha + float(factor) ** 2)).sqrt()
        integral = (math.pi / alpha).sqrt() * erf(inner) / ((variance * (2 * math.pi)).sqrt() * 2.0)
        total = total + integral * float(weight)
    return Prediction(label=label, probabilities=both_sides(total.vector()).value(2))


def process_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """GaussianProcessClassifier: two classes, or one process a class or a pair of classes."""
    made = scope.predict(estimator.base_estimator_, frame, ".base_estimator_")
    return Prediction(label=made.label, probabilities=made.probabilities)


_NEAR = (
    (3.16112374387056560e00, 1.13864154151050156e02, 3.77485237685302021e02, 3.20937758913846947e03,
     1.85777706184603153e-1),
    (2.36012909523441209e01, 2.44024637934444173e02, 1.28261652607737228e03, 2.84423683343917062e03),
)  # fmt: skip
_MIDDLE = (
    (5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e01, 2.98635138197400131e02,
     8.81952221241769090e02, 1.71204761263407058e03, 2.05107837782607147e03, 1.23033935479799725e03,
     2.15311535474403846e-8),
    (1.57449261107098347e01, 1.17693950891312499e02, 5.37181101862009858e02, 1.62138957456669019e03,
     3.29079923573345963e03, 4.36261909014324716e03, 3.43936767414372164e03, 1.23033935480374942e03),
)  # fmt: skip


def _rational(x: Tensor, tables: tuple[tuple[float, ...], tuple[float, ...]]) -> Tensor:
    """Cody's order: the numerator starts with its last coefficient, the denominator with 1."""
    upper, lower = tables
    top, below = x * upper[-1], x * 1.0
    for a, b in zip(upper[:-2], lower[:-1], strict=True):
        top, below = (top + a) * x, (below + b) * x
    return (top + upper[-2]) / (below + lower[-1])


def erf(x: Tensor) -> Tensor:
    """The error function to about 1e-15: ONNX Runtime has no Erf in float64.

    W. J. Cody, Rational Chebyshev approximations for the error function, Math. Comp. 23 (1969); beyond 6 it is 1.
    """
    size = x.abs().least(6.0)
    near = size * _rational(size * size, _NEAR)
    middle = 1.0 - (-(size * size)).exp() * _rational(size, _MIDDLE)
    positive = (size <= 0.46875).where(near, middle)
    return (x < 0.0).where(-positive, positive)


CONVERTERS: dict[str, Converter] = {
    "sklearn.gaussian_process.GaussianProcessRegressor": process_regressor,
    "sklearn.gaussian_process.GaussianProcessClassifier": process_classifier,
    "sklearn.gaussian_process._BinaryGaussianProcessClassifierLaplace": laplace,
}
