"""Gaussian mixtures: the weighted log probability of each component."""

from __future__ import annotations

import math

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction
from mlpack_edge.converters.onnx_from_sklearn.predictions import features, result_dtype
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.onnx_graph import Array
from mlpack_edge.converters.tensor import Tensor, beside


def mixture(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """GaussianMixture and BayesianGaussianMixture: sklearn.mixture._base.BaseMixture.predict and predict_proba."""
    weighted = log_gaussian(scope, estimator, frame) + _log_factors(estimator)[None, :]
    probabilities = (weighted - weighted.logsumexp()).exp()
    count = len(estimator.weights_)
    return Prediction(label=weighted.argmax().value(), probabilities=probabilities.value(count))


def log_gaussian(scope: Scope, estimator: Estimator, frame: Frame) -> Tensor:
    """sklearn.mixture._gaussian_mixture._estimate_log_gaussian_prob, `[batch, components]`.

    With full and tied covariances the squared norm is held in the dtype of the rows: of whole numbers it keeps the
    whole part.
    """
    x = features(scope, frame)
    means = np.asarray(estimator.means_, np.float64)
    chol = np.asarray(estimator.precisions_cholesky_, np.float64)
    kind, width = estimator.covariance_type, means.shape[1]
    if kind in ("full", "tied"):
        columns = []
        for index, mean in enumerate(means):
            factor = np.ascontiguousarray(chol[index] if kind == "full" else chol)
            turned = x @ factor - (mean @ factor)[None, :]
            columns.append((turned**2).sum())
        held = frame.dtype if frame.dtype == "float32" or np.dtype(frame.dtype).kind in "iu" else "float64"
        norm = beside(columns).rounded(held)
    elif kind == "diag":
        precision = chol**2
        own: Array = np.sum(means**2 * precision, axis=1)[None, :]
        norm = (x @ _turned(means * precision)) * -2.0 + own + (x**2) @ _turned(precision)
    else:
        precision = chol**2
        own = (np.sum(means**2, axis=1) * precision)[None, :]
        norm = (x @ _turned(means)) * (-2.0 * precision)[None, :] + own + (x**2).sum() * precision[None, :]
    constant: Array = np.broadcast_to(_log_determinant(chol, kind, width), (len(means),))[None, :]
    joint: Tensor = (norm + width * math.log(2 * math.pi)) * -0.5 + constant
    return joint.rounded(result_dtype(frame, estimator.means_, estimator.precisions_cholesky_))


def _turned(array: Array) -> Array:
    return np.ascontiguousarray(array.T)


def _log_determinant(chol: Array, kind: str, width: int) -> Array:
    if kind == "full":
        made = np.log(chol.reshape(len(chol), -1)[:, :: width + 1]).sum(axis=1)
    elif kind == "tied":
        made = np.log(np.diagonal(chol)).sum()
    elif kind == "diag":
        made = np.log(chol).sum(axis=1)
    else:
        made = width * np.log(chol)
    return np.asarray(made)


def _log_factors(estimator: Estimator) -> Array:
    """What is added to the Gaussian part: the log weights, and for the Bayesian mixture its expectations."""
    if type(estimator).__name__ == "GaussianMixture":
        return np.log(np.asarray(estimator.weights_, np.float64))
    from scipy.special import digamma

    width = estimator.means_.shape[1]
    freedom = np.asarray(estimator.degrees_of_freedom_, np.float64)
    spread = digamma(0.5 * (freedom - np.arange(0, width)[:, np.newaxis])).sum(axis=0)
    scale = width * np.log(2.0) + spread
    added = -0.5 * width * np.log(freedom) + 0.5 * (scale - width / estimator.mean_precision_)
    return np.asarray(added + estimator._estimate_log_weights(), np.float64)


CONVERTERS: dict[str, Converter] = {
    "sklearn.mixture.GaussianMixture": mixture,
    "sklearn.mixture.BayesianGaussianMixture": mixture,
}
