"""Projections: decompositions, random projections, kernel approximations, PLS.

numpy's own promotion rules decide the dtype of every product: a float32 batch times float32 weights is a float32
product (ONNX Runtime's has mostly the same bits), and float64 as soon as one side is float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.frame import Frame, frame_of
from mlpack_edge.converters.onnx_from_sklearn.kernels import KERNELS, kernel, kernel_dtype
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.onnx_graph import Value
from mlpack_edge.converters.tensor import Tensor, beside, tensor

Array = NDArray[Any]


def floats(scope: Scope, frame: Frame) -> Tensor:
    """The batch as `validate_data(X, dtype=[float64, float32])` gives it: float32 stays, all else is float64.

    Integers become float64 also where scikit-learn leaves them: they do so anyhow when they meet a float array.
    """
    dtype = "float32" if frame.dtype == "float32" else "float64"
    return tensor(scope.graph, frame.dense(scope.graph, dtype))


def promoted(x: Tensor, fitted: Array) -> Tensor:
    """x in the dtype of `x op fitted`."""
    return x.cast(str(np.result_type(np.dtype(x.dtype), fitted.dtype)))


def dot(x: Tensor, weights: Array) -> Tensor:
    """x @ weights in the dtype numpy gives it."""
    return promoted(x, weights) @ np.ascontiguousarray(weights)


def minus(x: Tensor, fitted: Array, in_place: bool = False) -> Tensor:
    """x - fitted, or `x -= fitted`: computed in the wider dtype, kept in x's."""
    made = promoted(x, fitted) - fitted
    return made.cast(x.dtype) if in_place else made


def over(x: Tensor, fitted: Array, in_place: bool = False) -> Tensor:
    """x / fitted `[width]`, or `x /= fitted`."""
    made = promoted(x, fitted) / _row(fitted)
    return made.cast(x.dtype) if in_place else made


def _row(fitted: Array) -> Array:
    return np.asarray(fitted).reshape(1, -1)


def _frame(made: Tensor, width: int) -> Frame:
    return frame_of(made.value(width))


def pca(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """sklearn.decomposition._base._BasePCA._transform: projected first, then centred."""
    components = estimator.components_
    made = dot(floats(scope, frame), components.T)
    made = minus(made, estimator.mean_.reshape(1, -1) @ components.T, in_place=True)
    if estimator.whiten:
        scale = np.sqrt(estimator.explained_variance_)
        scale[scale < np.finfo(scale.dtype).eps] = np.finfo(scale.dtype).eps
        made = over(made, scale, in_place=True)
    return _frame(made, len(components))


def projection(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """X @ components_.T: TruncatedSVD, random projections, NeighborhoodComponentsAnalysis."""
    components = estimator.components_
    weights = components.toarray() if hasattr(components, "toarray") else components
    return _frame(dot(floats(scope, frame), weights.T), weights.shape[0])


def fast_ica(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """FastICA.transform: centred in place, then projected."""
    x = floats(scope, frame)
    if estimator.whiten:
        x = minus(x, estimator.mean_, in_place=True)
    return _frame(dot(x, estimator.components_.T), len(estimator.components_))


def factor_analysis(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """FactorAnalysis.transform: the posterior means of the factors."""
    weighted = estimator.components_ / estimator.noise_variance_
    covariance = np.linalg.inv(np.eye(len(estimator.components_)) + weighted @ estimator.components_.T)
    centred = minus(floats(scope, frame), estimator.mean_)
    return _frame(dot(dot(centred, weighted.T), covariance), len(covariance))


def sparse_pca(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """SparsePCA.transform is a ridge regression of each row on the components: linear in the row, so one matrix.

    The matrix is what scikit-learn's own solver gives for the unit vectors; it works in the dtype of the components.
    """
    from sklearn.linear_model import ridge_regression

    features = np.eye(estimator.components_.shape[1], dtype=estimator.components_.dtype)
    solved = ridge_regression(estimator.components_.T, features, estimator.ridge_alpha, solver="cholesky")
    centred = minus(floats(scope, frame), estimator.mean_).cast(str(features.dtype))
    return _frame(dot(centred, solved.astype(features.dtype)), solved.shape[1])


def pls(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """_PLS.transform: centred and scaled in place, then rotated."""
    x = minus(floats(scope, frame), estimator._x_mean, in_place=True)
    x = over(x, np.asarray(estimator._x_std), in_place=True)
    return _frame(dot(x, estimator.x_rotations_), estimator.x_rotations_.shape[1])


def pls_svd(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """PLSSVD.transform, in float64."""
    x = over(minus(floats(scope, frame).cast("float64"), estimator._x_mean), np.asarray(estimator._x_std))
    return _frame(dot(x, estimator.x_weights_), estimator.x_weights_.shape[1])


def lda(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """LinearDiscriminantAnalysis.transform."""
    if estimator.solver == "lsqr":
        raise scope.refuse(estimator, "solver='lsqr' cannot transform")
    x = floats(scope, frame)
    if estimator.solver == "svd":
        x = minus(x, estimator.xbar_)
    width = min(estimator.scalings_.shape[1], estimator._max_components)
    return _frame(dot(x, estimator.scalings_).columns(0, width), width)


def boltzmann_machine(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """BernoulliRBM.transform: the probabilities of the hidden units."""
    hidden = minus(dot(floats(scope, frame), estimator.components_.T), -estimator.intercept_hidden_, in_place=True)
    return _frame(hidden.cast("float64").sigmoid().cast(hidden.dtype), len(estimator.intercept_hidden_))


def feature_agglomeration(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """FeatureAgglomeration.transform with pooling_func mean (summed in float64), max or min."""
    x = floats(scope, frame)
    labels = np.asarray(estimator.labels_)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    if estimator.pooling_func is np.mean:
        chosen = (labels[:, None] == np.unique(labels)[None, :]).astype(np.float64)
        return _frame((x.cast("float64") @ chosen) / _row(np.bincount(labels).astype(np.float64)), len(groups))
    if estimator.pooling_func in (np.max, np.min):
        parts = [x.take(group) for group in groups]
        made = [part.max() if estimator.pooling_func is np.max else part.min() for part in parts]
        return _frame(beside(made), len(groups))
    raise scope.refuse(estimator, "pooling_func is none of numpy.mean, numpy.max and numpy.min")


def _kernel_matrix(scope: Scope, estimator: Estimator, x: Tensor, fitted: Array, **parameters: Any) -> Tensor:
    name = estimator.kernel
    if not isinstance(name, str) or name not in KERNELS:
        raise scope.refuse(estimator, f"kernel={name!r}: only {', '.join(KERNELS)} have a converter")
    known = {key: value for key, value in parameters.items() if value is not None}
    value = Value(x.name, x.dtype, fitted.shape[1])
    made = kernel(scope.graph, value, np.asarray(fitted), name, **known)
    return tensor(scope.graph, made, kernel_dtype(value, fitted, name))


def nystroem(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """Nystroem.transform: the kernel to the basis rows, times the fitted normalization."""
    given = {"gamma": estimator.gamma, "degree": estimator.degree, "coef0": estimator.coef0}
    parameters = {
        **(estimator.kernel_params or {}),
        **{key: value for key, value in given.items() if value is not None},
    }
    matrix = _kernel_matrix(scope, estimator, floats(scope, frame), _dense(estimator.components_), **parameters)
    return _frame(dot(matrix, estimator.normalization_.T), estimator.normalization_.shape[0])


def kernel_pca(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """KernelPCA.transform: the kernel to the training rows, centred, times the scaled eigenvectors."""
    matrix = _kernel_matrix(
        scope, estimator, floats(scope, frame), _dense(estimator.X_fit_),
        gamma=estimator.gamma_, degree=estimator.degree, coef0=estimator.coef0,
    )  # fmt: skip
    matrix = _centred(matrix, estimator._centerer)
    kept = np.flatnonzero(estimator.eigenvalues_)
    scaled = np.zeros_like(estimator.eigenvectors_)
    scaled[:, kept] = estimator.eigenvectors_[:, kept] / np.sqrt(estimator.eigenvalues_[kept])
    return _frame(dot(matrix, scaled), scaled.shape[1])


def _centred(matrix: Tensor, centerer: Estimator) -> Tensor:
    """KernelCenterer.transform, each step in place."""
    columns = matrix.sum() / float(centerer.K_fit_rows_.shape[0])
    made = minus(matrix, centerer.K_fit_rows_, in_place=True) - columns
    return minus(made, -np.asarray(centerer.K_fit_all_).reshape(1, 1), in_place=True)


def kernel_centerer(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """KernelCenterer on a kernel matrix that comes in."""
    return _frame(_centred(floats(scope, frame), estimator), estimator.K_fit_rows_.shape[0])


def _dense(fitted: Any) -> Array:
    return np.asarray(fitted.toarray() if hasattr(fitted, "toarray") else fitted)


CONVERTERS: dict[str, Converter] = {
    "sklearn.decomposition.PCA": pca,
    "sklearn.decomposition.IncrementalPCA": pca,
    "sklearn.decomposition.TruncatedSVD": projection,
    "sklearn.decomposition.FactorAnalysis": factor_analysis,
    "sklearn.decomposition.FastICA": fast_ica,
    "sklearn.decomposition.KernelPCA": kernel_pca,
    "sklearn.decomposition.SparsePCA": sparse_pca,
    "sklearn.decomposition.MiniBatchSparsePCA": sparse_pca,
    "sklearn.random_projection.GaussianRandomProjection": projection,
    "sklearn.random_projection.SparseRandomProjection": projection,
    "sklearn.cross_decomposition.PLSSVD": pls_svd,
    "sklearn.neighbors.NeighborhoodComponentsAnalysis": projection,
    "sklearn.neural_network.BernoulliRBM": boltzmann_machine,
    "sklearn.cluster.FeatureAgglomeration": feature_agglomeration,
    "sklearn.preprocessing.KernelCenterer": kernel_centerer,
    "sklearn.kernel_approximation.Nystroem": nystroem,
}
#: These predict, too: what they give here is what feeds a next step.
TRANSFORMS: dict[str, Converter] = {
    "sklearn.cross_decomposition.PLSRegression": pls,
    "sklearn.cross_decomposition.PLSCanonical": pls,
    "sklearn.cross_decomposition.CCA": pls,
    "sklearn.discriminant_analysis.LinearDiscriminantAnalysis": lda,
}
